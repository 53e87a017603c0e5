"""The messages that storage has been asked to keep, and has not answered yet.

A session may have only so many of them: beyond that nothing is read from its client until answers
come, so that a client which sends without end holds up its own messages and nobody else's. And a
gateway that stops waits for the last one, since what is stored is to be told and acked.
"""

from gobelieve.gateway.sessions.session import Session
from gobelieve.support.when_empty import WhenEmpty

MAX_SAVES_PER_SESSION = 256
"""A session's. What one read of the client brought (64 KiB) is still taken beyond it."""


class SavesInFlight:
    """Counts saves."""

    def __init__(self) -> None:
        self._open = 0
        self.when_none = WhenEmpty(self)
        """Takes a call that is made once no save is under way."""

    def __len__(self) -> int:
        """How many there are."""
        return self._open

    def begun(self, session: Session | None) -> None:
        """Storage is asked; None for what no session sent."""
        self._open += 1
        if session is None:
            return
        session.saving += 1
        if session.saving == MAX_SAVES_PER_SESSION:
            session.connection.pause()

    def ended(self, session: Session | None) -> None:
        """Storage answered."""
        self._open -= 1
        if session is None:
            return
        session.saving -= 1
        if session.saving == MAX_SAVES_PER_SESSION - 1:
            session.connection.resume()

    def settled(self) -> None:
        """What the last answer caused is done."""
        if not self._open:
            self.when_none.check()
