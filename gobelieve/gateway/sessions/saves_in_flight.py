"""The saves under way: messages for which storage has not answered yet.

Their number per session is limited. Beyond the limit the gateway reads nothing from the client
until answers come. A client that sends too fast holds up its own messages and no others. A gateway
that stops waits for the last save, since a stored message must be delivered and acked.
"""

from gobelieve.gateway.sessions.session import Session
from gobelieve.support.when_empty import WhenEmpty

MAX_SAVES_PER_SESSION = 256
"""The limit per session. The frames of one read (64 KiB) are still handled beyond it."""


class SavesInFlight:
    """Counts the saves under way, in all and per session."""

    def __init__(self) -> None:
        self._open = 0
        self.when_none = WhenEmpty(self)
        """Makes a call once no save is under way."""

    def __len__(self) -> int:
        """Return the number of saves under way."""
        return self._open

    def begun(self, session: Session | None) -> None:
        """Count a save; the session is None for a post of the app's server."""
        self._open += 1
        if session is None:
            return
        session.saving += 1
        if session.saving == MAX_SAVES_PER_SESSION:
            session.connection.pause()

    def ended(self, session: Session | None) -> None:
        """Count the answer of storage to a save."""
        self._open -= 1
        if session is None:
            return
        session.saving -= 1
        if session.saving == MAX_SAVES_PER_SESSION - 1:
            session.connection.resume()

    def settled(self) -> None:
        """Report that the message of the last answer is delivered and acked."""
        if not self._open:
            self.when_none.check()
