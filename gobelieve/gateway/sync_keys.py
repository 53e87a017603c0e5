"""The sync keys that users report, kept for clients that come without one.

Clients report a key for every message they get, so the keys are collected and only the newest of
each user is written, all together, every `interval` seconds. What is lost when the gateway is
killed is at most that much: a client that then comes without a key gets a few messages again.
"""

from gobelieve.errors import BackendError
from gobelieve.interfaces import SyncKeys, Tasks, Time
from gobelieve.metrics import Tally
from gobelieve.names import User

BACKLOG = 200_000
"""So many users' keys wait at the most while the store is away; the rest is dropped, counted."""


class KeptKeys:
    """Sync keys with writing behind."""

    def __init__(
        self, store: SyncKeys, time: Time, tasks: Tasks, tally: Tally, interval: float = 1.0
    ) -> None:
        self._store = store
        self._time = time
        self._tasks = tasks
        self._tally = tally
        self._interval = interval
        self._waiting: dict[User, int] = {}
        self._scheduled = False

    def advance(self, user: User, key: int) -> None:
        """The user has everything up to this key."""
        if key <= 0:
            return
        waiting = self._waiting
        if user not in waiting and len(waiting) >= BACKLOG:
            self._tally.add("sync_keys_dropped")
            return
        if key > waiting.get(user, 0):
            waiting[user] = key
        if not self._scheduled:
            self._scheduled = True
            self._time.callLater(self._interval, self._due)

    async def load(self, user: User) -> int:
        """The user's key; 0 if there is none, or the store does not answer: then all is synced."""
        waiting = self._waiting.get(user, 0)
        try:
            return max(waiting, await self._store.load(user))
        except BackendError:
            self._tally.add("sync_keys_not_loaded")
            return waiting

    async def lower(self, user: User, key: int) -> None:
        """There is nothing beyond this key. Raises `BackendError`."""
        if self._waiting.get(user, 0) > key:
            del self._waiting[user]
        await self._store.lower(user, key)

    def _due(self) -> None:
        self._scheduled = False
        self._tasks.start(self.flush())

    async def flush(self) -> None:
        """Write what waits; if that fails, it waits for the next time."""
        keys, self._waiting = self._waiting, {}
        if not keys:
            return
        try:
            await self._store.advance(keys)
        except BackendError:
            self._tally.add("sync_key_writes_failed")
            for user, key in keys.items():
                self.advance(user, key)
