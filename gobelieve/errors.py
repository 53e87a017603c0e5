"""The errors that one part of gobelieve raises and another part catches."""

from gobelieve.names import status_name, was_not_stored


class GobelieveError(Exception):
    """The base class of all errors of gobelieve."""


class WireError(GobelieveError):
    """A peer sent bytes that break the protocol."""


class FrameError(WireError):
    """A frame has an impossible header: a bad length, or a command that is not allowed here."""


class BodyError(WireError):
    """A body is too short for its message, or contains an impossible length or value."""


class ConfigError(GobelieveError):
    """A configuration cannot be used; the text names the file and the key."""


class StorageError(GobelieveError):
    """A message was not stored, or a queue could not be read; `status` is an `AckStatus`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BackendError(GobelieveError):
    """Redis or the database failed, or did not answer in time."""


class LoginRefusedError(GobelieveError):
    """The server does not accept a client's token."""

    def __init__(self, status: int) -> None:
        super().__init__(f"login refused with status {status}")
        self.status = status


class MessageRefusedError(GobelieveError):
    """The server refused a client's message, or did not store it.

    `status` is an `AckStatus`, or a number that a newer server has.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"message refused: {status_name(status)}")
        self.status = status

    @property
    def name(self) -> str:
        """The name of the status."""
        return status_name(self.status)

    @property
    def not_stored(self) -> bool:
        """True if the message was not stored, and the same message may be accepted later."""
        return was_not_stored(self.status)


class ClientClosedError(GobelieveError):
    """A client was closed before a call, or while the caller waited for its answer."""
