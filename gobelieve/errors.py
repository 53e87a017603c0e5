"""Every error that one part of gobelieve raises for another to catch."""

from gobelieve.names import status_name, was_not_stored


class GobelieveError(Exception):
    """The base of all our errors."""


class WireError(GobelieveError):
    """Bytes from a peer that are not what the protocol says."""


class FrameError(WireError):
    """A header that no frame can have: bad length, or a command not allowed here."""


class BodyError(WireError):
    """A body too short for its message, or with a length in it that cannot be."""


class ConfigError(GobelieveError):
    """A configuration that cannot be used; the text names the file and the key."""


class StorageError(GobelieveError):
    """Something was not stored or could not be read; `status` is an `AckStatus`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BackendError(GobelieveError):
    """Redis or the database did not answer, or not in time."""


class LoginRefusedError(GobelieveError):
    """The server does not accept a client's token."""

    def __init__(self, status: int) -> None:
        super().__init__(f"login refused with status {status}")
        self.status = status


class MessageRefusedError(GobelieveError):
    """The server did not take a client's message; `status` is an `AckStatus`, or newer than we."""

    def __init__(self, status: int) -> None:
        super().__init__(f"message refused: {status_name(status)}")
        self.status = status

    @property
    def name(self) -> str:
        """The status in a word."""
        return status_name(self.status)

    @property
    def not_stored(self) -> bool:
        """Whether storage was the reason, and the same message may be taken later."""
        return was_not_stored(self.status)


class ClientClosedError(GobelieveError):
    """A client was closed while somebody waited for it, or before."""
