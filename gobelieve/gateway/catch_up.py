"""After a router was away: telling the users here of what they may have missed.

What other gateways published meanwhile did not come, and nobody keeps it. So storage is asked for
the newest id of each user who is here, some at a time, and their sessions are notified of it. A
client that has it already does nothing.
"""

from collections.abc import Iterable

from gobelieve.errors import StorageError
from gobelieve.gateway.sessions import Sessions
from gobelieve.interfaces import MessageReader, Tasks, Time
from gobelieve.metrics import Tally
from gobelieve.names import User

AT_ONCE = 100
INTERVAL = 0.05
"""So many users are asked for every so many seconds: 20,000 in ten seconds, at a tenth of a
storage's time."""
RETRY = 1.0
"""Seconds until those are asked for again whom storage did not answer for."""
BEYOND_ALL = (1 << 63) - 1


class CatchUp:
    """Catches up with storage for any number of users."""

    def __init__(
        self, sessions: Sessions, reader: MessageReader, time: Time, tasks: Tasks, tally: Tally
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._time = time
        self._tasks = tasks
        self._tally = tally
        # A dict for its order: each user once, whoever asks first is served first.
        self._waiting: dict[User, None] = {}
        self._scheduled = False

    def begin(self, users: Iterable[User]) -> None:
        """These users may have missed something."""
        self._waiting.update(dict.fromkeys(users))
        self._schedule(INTERVAL)

    def _schedule(self, delay: float) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._time.callLater(delay, self._step)

    def _step(self) -> None:
        self._scheduled = False
        some = [user for user, _ in zip(self._waiting, range(AT_ONCE), strict=False)]
        for user in some:
            del self._waiting[user]
        for user in some:
            if self._sessions.of(user):
                self._tasks.start(self._tell(user))
        self._schedule(INTERVAL)

    async def _tell(self, user: User) -> None:
        try:
            page = await self._reader.fetch(user, BEYOND_ALL, 1)
        except StorageError:
            self._waiting[user] = None
            self._schedule(RETRY)
            return
        self._tally.add("caught_up")
        if page.newest:
            for session in self._sessions.of(user):
                session.notify(page.newest)
