"""The sync keys that users report, kept for clients that come without one."""

from gobelieve.errors import BackendError
from gobelieve.gateway.write_behind import WriteBehind
from gobelieve.interfaces import SyncKeys, Tasks, Time
from gobelieve.metrics import Tally
from gobelieve.names import User


class KeptKeys:
    """Sync keys, written behind: a client that comes without a key after the gateway was killed
    gets the messages of its last second again."""

    def __init__(
        self, store: SyncKeys, time: Time, tasks: Tasks, tally: Tally, interval: float = 1.0
    ) -> None:
        self._store = store
        self._tally = tally
        self._behind = WriteBehind(store.advance, "sync_keys", time, tasks, tally, interval)

    def advance(self, user: User, key: int) -> None:
        """The user has everything up to this key."""
        if key > (self._behind.get(user) or 0):
            self._behind.put(user, key)

    async def load(self, user: User) -> int:
        """The user's key; 0 if there is none, or the store does not answer: then all is synced."""
        waiting = self._behind.get(user) or 0
        try:
            return max(waiting, await self._store.load(user))
        except BackendError:
            self._tally.add("sync_keys_not_loaded")
            return waiting

    async def lower(self, user: User, key: int) -> None:
        """There is nothing beyond this key. Raises `BackendError`."""
        if (self._behind.get(user) or 0) > key:
            self._behind.forget(user)
        await self._store.lower(user, key)

    async def flush(self) -> None:
        """Write what waits."""
        await self._behind.flush()
