"""After a router was away: telling the users here of what they may have missed.

What other gateways published meanwhile did not come, and nobody keeps it. So storage is asked for
the newest id of each user who is here, some at a time, and their sessions are notified of it. A
client that has it already does nothing.
"""

from collections.abc import Iterable

from gobelieve.errors import StorageError
from gobelieve.gateway.sessions import Sessions
from gobelieve.gateway.slices import Slices
from gobelieve.interfaces import MessageReader, Tasks, Time
from gobelieve.metrics import Tally
from gobelieve.names import User

BEYOND_ALL = (1 << 63) - 1


class CatchUp:
    """Catches up with storage for any number of users: at a tenth of a storage's time."""

    def __init__(
        self, sessions: Sessions, reader: MessageReader, time: Time, tasks: Tasks, tally: Tally
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._tally = tally
        self._slices = Slices(sessions, self._tell, time, tasks)

    def begin(self, users: Iterable[User]) -> None:
        """These users may have missed something."""
        self._slices.begin(users)

    async def _tell(self, user: User) -> bool:
        try:
            page = await self._reader.fetch(user, BEYOND_ALL, 1)
        except StorageError:
            return False
        self._tally.add("caught_up")
        if page.newest:
            for session in self._sessions.of(user):
                session.notify(page.newest)
        return True
