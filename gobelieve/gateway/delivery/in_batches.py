"""Work for many users or groups in batches, so that the store that is asked has time for others."""

from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

from gobelieve.interfaces import World

K = TypeVar("K")

KEYS_PER_BATCH = 100
BATCH_SECONDS = 0.05
"""Seconds between two batches: 2,000 keys per second."""
RETRY_SECONDS = 1.0
"""Seconds until a visit that failed is repeated."""


class InBatches(Generic[K]):
    """Visits each key once. `visit` returns False to be called again later.

    A key that is no longer `wanted` when its turn comes is left out.
    """

    def __init__(
        self,
        wanted: Callable[[K], bool],
        visit: Callable[[K], Coroutine[Any, Any, bool]],
        world: World,
    ) -> None:
        self._wanted = wanted
        self._visit = visit
        self._time = world.time
        self._tasks = world.tasks
        # A dict keeps the order: each key once, the first one first.
        self._waiting: dict[K, None] = {}
        self._scheduled = False

    def begin(self, keys: Iterable[K]) -> None:
        """Visit these keys, behind those that wait."""
        self._waiting.update(dict.fromkeys(keys))
        self._schedule(BATCH_SECONDS)

    def _schedule(self, delay: float) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._time.callLater(delay, self._step)

    def _step(self) -> None:
        self._scheduled = False
        some = list(islice(self._waiting, KEYS_PER_BATCH))
        for key in some:
            del self._waiting[key]
        for key in some:
            if self._wanted(key):
                self._tasks.start(self._one(key))
        self._schedule(BATCH_SECONDS)

    async def _one(self, key: K) -> None:
        if not await self._visit(key):
            self._waiting[key] = None
            self._schedule(RETRY_SECONDS)
