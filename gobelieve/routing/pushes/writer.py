"""Writes pushes into the push lists; the router never waits for it.

Items are written at the end of the turn, in batches of at most `BATCH_ITEMS`, one batch at a time.
While the lists cannot be written, the items wait. Beyond a limit new ones are dropped and counted.

A batch without an answer is written again. If it was written before, its pushes arrive twice, which
is better than never.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from gobelieve.errors import BackendError
from gobelieve.interfaces import Cancellable, PushQueues, World
from gobelieve.routing.pushes.payloads import Item
from gobelieve.support.backoff import Backoff
from gobelieve.support.throttled_log import ThrottledLog

BATCH_ITEMS = 1000
"""The most items in one batch."""
BATCH_BYTES = 1 << 20
"""A batch takes no further item once it has this many bytes."""
BACKLOG_BYTES = 256 << 20
"""The most bytes that may wait, whatever the limit in items."""
FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds from a failure to the next try; the delay doubles from the first to the last."""


class PushWriter:
    """Writes items to `PushQueues` in order. `limit`: the most items that may wait."""

    def __init__(self, queues: PushQueues, *, world: World, limit: int) -> None:
        self._queues = queues
        self._limit = limit
        self._time = world.time
        self._turn = world.turn
        self._tasks = world.tasks
        self._counters = world.counters
        self._log = world.log
        self._throttled = ThrottledLog(world.log)
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._scheduled = False
        self._writing = False
        self._retry: Cancellable | None = None
        self._backoff = Backoff(FIRST_DELAY, LAST_DELAY)
        self._dropped = 0
        self._stopped: Callable[[], None] | None = None

    def __len__(self) -> int:
        """Return the number of items that wait, with those being written."""
        return len(self._waiting)

    def add(self, items: Iterable[Item]) -> None:
        """Write items at the end of the turn, or when the lists are available again."""
        for item in items:
            if len(self._waiting) < self._limit and self._bytes < BACKLOG_BYTES:
                self._waiting.append(item)
                self._bytes += len(item[1])
            else:
                self._drop(1)
        if self._waiting and not (self._scheduled or self._writing or self._retry):
            self._scheduled = True
            self._turn.at_end(self._write)

    def stop(self, stopped: Callable[[], None]) -> None:
        """Write the items that wait, until the first failure; then call `stopped`.

        Items that are added later are dropped.
        """
        self._stopped = stopped
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._writing:
            self._write()

    def _drop(self, count: int) -> None:
        if not self._dropped:
            waiting = len(self._waiting)
            self._log.warn("{waiting} pushes wait, and more are dropped", waiting=waiting)
        self._dropped += count
        self._counters.add("pushes_dropped", count)

    def _write(self) -> None:
        self._scheduled = False
        self._retry = None
        if not self._writing:
            self._writing = True
            self._tasks.start(self._write_all())

    async def _write_all(self) -> None:
        written = False
        try:
            while self._waiting:
                batch = self._batch()
                await self._queues.append(batch)
                self._wrote(len(batch))
            written = True
        except BackendError as why:
            self._failed(why)
        finally:
            # Also after an unexpected error, which `Tasks` logs.
            self._writing = False
            self._ended(written)

    def _batch(self) -> list[Item]:
        batch: list[Item] = []
        length = 0
        for item in islice(self._waiting, BATCH_ITEMS):
            batch.append(item)
            length += len(item[1])
            if length >= BATCH_BYTES:
                break
        return batch

    def _wrote(self, count: int) -> None:
        # Items leave the queue only when they are written, so that new ones stay behind them.
        for _ in range(count):
            self._bytes -= len(self._waiting.popleft()[1])
        self._counters.add("pushes_written", count)
        self._backoff.reset()
        self._throttled.recovered("unwritable", "the push lists can be written again")
        if self._dropped and not self._waiting:
            self._log.info("{count} pushes were dropped", count=self._dropped)
            self._dropped = 0

    def _failed(self, why: BackendError) -> None:
        self._counters.add("push_failures")
        self._throttled.warn(
            "unwritable", "the push lists cannot be written, retrying: {why}", why=why
        )

    def _ended(self, written: bool) -> None:
        if self._stopped is not None:
            if self._waiting:
                count = len(self._waiting)
                self._log.warn("{count} pushes are lost at the stop", count=count)
                self._counters.add("pushes_dropped", count)
                self._waiting.clear()
            self._limit = 0
            stopped, self._stopped = self._stopped, None
            stopped()
        elif not written:
            self._retry = self._time.callLater(self._backoff.next(), self._write)
