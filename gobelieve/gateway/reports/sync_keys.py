"""The sync keys that clients report, kept for clients that come without one."""

from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.interfaces import SyncKeys, World

R = TypeVar("R")


class KeptKeys(Generic[R]):
    """Sync keys, collected and written every `interval` seconds.

    If the gateway is killed, the keys of the last interval are lost. A client that then comes
    without a key gets the messages of that time again.
    """

    def __init__(self, store: SyncKeys[R], world: World, interval: float = 1.0) -> None:
        self._store = store
        self._counters = world.counters
        self._behind = WriteBehind(store.advance, world=world, what="sync_keys", interval=interval)

    def __len__(self) -> int:
        """Return the number of keys that wait to be written."""
        return len(self._behind)

    def advance(self, reader: R, key: int) -> None:
        """Keep the report that the user has everything up to this key."""
        if key > (self._behind.get(reader) or 0):
            self._behind.put(reader, key)

    async def load(self, reader: R) -> int:
        """Return the user's key; 0 (everything is synced) if there is none or the store fails."""
        waiting = self._behind.get(reader) or 0
        try:
            return max(waiting, await self._store.load(reader))
        except BackendError:
            self._counters.add("sync_keys_not_loaded")
            return waiting

    async def lower(self, reader: R, key: int) -> None:
        """Set the user's key back to the end of the queue. Raises `BackendError`."""
        if (self._behind.get(reader) or 0) > key:
            self._behind.forget(reader)
        await self._store.lower(reader, key)

    async def flush(self) -> None:
        """Write all keys that wait."""
        await self._behind.flush()
