"""Getting push items into their lists, without ever making the router wait.

Items collect and leave at the end of the turn, at most `BATCH_ITEMS` in one go and one batch under
way. While the lists cannot be written the items wait, up to a limit; beyond it new ones are dropped
and counted. A batch whose answer did not come is sent again: should it have been written all the
same, its pushes come twice, which is better than not at all.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from gobelieve.errors import BackendError
from gobelieve.interfaces import Cancellable, Log, PushQueues, Tasks, Time, Turn
from gobelieve.metrics import Counters
from gobelieve.routing.pushes.payloads import Item
from gobelieve.support.backoff import Backoff
from gobelieve.support.throttled_log import ThrottledLog

BATCH_ITEMS = 1000
BATCH_BYTES = 1 << 20
"""In one go: so many items, and no more of them than reach this length."""
BACKLOG_BYTES = 256 << 20
"""So many bytes wait at the most, whatever the limit in items."""
FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds from a failure to the next try; doubled each time in between."""


class PushWriter:
    """Writes items to `PushQueues` in order. `limit`: how many items may wait."""

    def __init__(
        self,
        queues: PushQueues,
        limit: int,
        *,
        time: Time,
        turn: Turn,
        tasks: Tasks,
        counters: Counters,
        log: Log,
    ) -> None:
        self._queues = queues
        self._limit = limit
        self._time = time
        self._turn = turn
        self._tasks = tasks
        self._counters = counters
        self._log = log
        self._throttled = ThrottledLog(log)
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._asked = False
        self._writing = False
        self._retry: Cancellable | None = None
        self._backoff = Backoff(FIRST_DELAY, LAST_DELAY)
        self._dropped = 0
        self._stopped: Callable[[], None] | None = None

    def __len__(self) -> int:
        """How many items wait, those under way included."""
        return len(self._waiting)

    def add(self, items: Iterable[Item]) -> None:
        """Write these at the end of the turn, or when the lists are there again."""
        for item in items:
            if len(self._waiting) < self._limit and self._bytes < BACKLOG_BYTES:
                self._waiting.append(item)
                self._bytes += len(item[1])
            else:
                self._drop(1)
        if self._waiting and not (self._asked or self._writing or self._retry):
            self._asked = True
            self._turn.at_end(self._write)

    def stop(self, stopped: Callable[[], None]) -> None:
        """Write what waits, giving up at the first failure; then call `stopped`.

        What is added after that is dropped.
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
        self._asked = False
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
            # Also after an error that nobody foresaw, which goes to whoever runs the task.
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
        # What failed was kept at the front, so that new items queue behind it.
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
            "unwritable", "the push lists cannot be written, trying on: {why}", why=why
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
