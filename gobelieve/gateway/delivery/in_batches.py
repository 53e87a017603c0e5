"""Doing something for each of many users or groups, some at a time, so that whoever is asked for it
has time for others."""

from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

from gobelieve.interfaces import World

K = TypeVar("K")

KEYS_PER_BATCH = 100
BATCH_SECONDS = 0.05
"""So many are asked for every so many seconds: 20,000 in ten seconds."""
RETRY_SECONDS = 1.0
"""Seconds until those are asked for again for whom it failed."""


class InBatches(Generic[K]):
    """Visits each. `visit` returns whether it could be done, and is called again if not; it is not
    called for what is not `wanted` any more by then."""

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
        # A dict for its order: each once, whoever asks first is served first.
        self._waiting: dict[K, None] = {}
        self._scheduled = False

    def begin(self, keys: Iterable[K]) -> None:
        """Visit these."""
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
