"""Frequent reports of clients, collected and written together: the newest value per key.

Clients report a sync key for every message they get, and an unread count whenever they like. With
one write per report a single client could keep the store busy. The values are collected instead,
and the changed ones are written together every `interval` seconds. If the gateway is killed, the
values of one interval are lost.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.interfaces import World

BACKLOG = 200_000
"""Values that may wait while the store is away; further ones are dropped and counted."""

K = TypeVar("K")


class WriteBehind(Generic[K]):
    """One number per key, such as a user. `what` is the name of the numbers in the counters."""

    def __init__(
        self,
        write: Callable[[Mapping[K, int]], Awaitable[None]],
        *,
        world: World,
        what: str,
        interval: float,
    ) -> None:
        self._write = write
        self._what = what
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._interval = interval
        self._waiting: dict[K, int] = {}
        self._scheduled = False

    def __len__(self) -> int:
        """Return the number of values that wait to be written."""
        return len(self._waiting)

    def get(self, key: K) -> int | None:
        """Return the value that waits to be written for a key; None if there is none."""
        return self._waiting.get(key)

    def forget(self, key: K) -> None:
        """Drop the value that waits for a key."""
        self._waiting.pop(key, None)

    def put(self, key: K, value: int) -> None:
        """Write a value soon; it replaces the value that waits for the key."""
        waiting = self._waiting
        if key not in waiting and len(waiting) >= BACKLOG:
            self._counters.add(f"{self._what}_dropped")
            return
        waiting[key] = value
        if not self._scheduled:
            self._scheduled = True
            self._time.callLater(self._interval, self._due)

    def _due(self) -> None:
        self._scheduled = False
        self._tasks.start(self.flush())

    async def flush(self) -> None:
        """Write all values that wait; if the write fails, they wait for the next one."""
        values, self._waiting = self._waiting, {}
        if not values:
            return
        try:
            await self._write(values)
        except BackendError:
            self._counters.add(f"{self._what}_writes_failed")
            for key, value in values.items():
                if key not in self._waiting:
                    self.put(key, value)
