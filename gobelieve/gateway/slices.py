"""Doing something for each of many users who are here, some at a time, so that whoever is asked for
it has time for others."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gobelieve.gateway.sessions import Sessions
from gobelieve.interfaces import Tasks, Time
from gobelieve.names import User

AT_ONCE = 100
INTERVAL = 0.05
"""So many users are asked for every so many seconds: 20,000 in ten seconds."""
RETRY = 1.0
"""Seconds until those are asked for again for whom it failed."""


class Slices:
    """Visits users. `visit` is not called for who has no session here by then; it returns whether
    it could be done, and is called again if not."""

    def __init__(
        self,
        sessions: Sessions,
        visit: Callable[[User], Coroutine[Any, Any, bool]],
        time: Time,
        tasks: Tasks,
    ) -> None:
        self._sessions = sessions
        self._visit = visit
        self._time = time
        self._tasks = tasks
        # A dict for its order: each user once, whoever asks first is served first.
        self._waiting: dict[User, None] = {}
        self._scheduled = False

    def begin(self, users: Iterable[User]) -> None:
        """Visit these."""
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
                self._tasks.start(self._one(user))
        self._schedule(INTERVAL)

    async def _one(self, user: User) -> None:
        if not await self._visit(user):
            self._waiting[user] = None
            self._schedule(RETRY)
