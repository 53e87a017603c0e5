"""What clients report all the time, written all together: the newest value of each.

Clients report a sync key for every message they get, and an unread count whenever they like. One
write for each would let a single client keep the store busy. So the values are collected, and
every `interval` seconds what has changed is written in one go. What is lost when the gateway is
killed is at most that much.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.interfaces import World

BACKLOG = 200_000
"""So many values wait at the most while the store is away; the rest is dropped, counted."""

K = TypeVar("K")


class WriteBehind(Generic[K]):
    """One number for each user, or whatever else. `what` is its name in the counters."""

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
        """How many numbers wait to be written."""
        return len(self._waiting)

    def get(self, key: K) -> int | None:
        """What waits to be written for this one."""
        return self._waiting.get(key)

    def forget(self, key: K) -> None:
        """Do not write what waits for this one."""
        self._waiting.pop(key, None)

    def put(self, key: K, value: int) -> None:
        """Write this, in the place of what waits."""
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
        """Write what waits; if that fails, it waits for the next time."""
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
