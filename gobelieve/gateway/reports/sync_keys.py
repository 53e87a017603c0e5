"""The sync keys that clients report, kept for clients that come without one."""

from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.interfaces import SyncKeys, World

R = TypeVar("R")


class KeptKeys(Generic[R]):
    """Sync keys, written behind: a client that comes without a key after the gateway was killed
    gets the messages of its last second again."""

    def __init__(self, store: SyncKeys[R], world: World, interval: float = 1.0) -> None:
        self._store = store
        self._counters = world.counters
        self._behind = WriteBehind(store.advance, world=world, what="sync_keys", interval=interval)

    def __len__(self) -> int:
        """How many keys wait to be written."""
        return len(self._behind)

    def advance(self, reader: R, key: int) -> None:
        """The user has everything up to this key."""
        if key > (self._behind.get(reader) or 0):
            self._behind.put(reader, key)

    async def load(self, reader: R) -> int:
        """The user's key; 0 if there is none, or the store does not answer: then all is synced."""
        waiting = self._behind.get(reader) or 0
        try:
            return max(waiting, await self._store.load(reader))
        except BackendError:
            self._counters.add("sync_keys_not_loaded")
            return waiting

    async def lower(self, reader: R, key: int) -> None:
        """There is nothing beyond this key. Raises `BackendError`."""
        if (self._behind.get(reader) or 0) > key:
            self._behind.forget(reader)
        await self._store.lower(reader, key)

    async def flush(self) -> None:
        """Write what waits."""
        await self._behind.flush()
