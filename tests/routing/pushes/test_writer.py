"""The writer of the push lists."""

from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.interfaces import World
from gobelieve.metrics import Counters
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.pushes import writer
from gobelieve.routing.pushes.payloads import Item
from gobelieve.routing.pushes.writer import BATCH_BYTES, BATCH_ITEMS, LAST_DELAY, PushWriter
from tests.protocols.logs import Events


class Lists:
    """Push lists that answer when the test says so."""

    def __init__(self) -> None:
        self.written: list[Item] = []
        self.batches: list[Sequence[Item]] = []
        self.under_way: Deferred[None] | None = None
        self.at_once = True
        self.away = False

    async def append(self, items: Sequence[Item]) -> None:
        assert self.under_way is None, "one batch at a time"
        self.batches.append(items)
        if not self.at_once:
            self.under_way = Deferred()
            await self.under_way
        if self.away:
            raise BackendError("Redis is away")
        self.written.extend(items)

    def answer(self, error: Exception | None = None) -> None:
        """Answer the batch that is being written."""
        waiting, self.under_way = self.under_way, None
        assert waiting is not None
        if error is None:
            waiting.callback(None)
        else:
            waiting.errback(error)


class Started:
    """Tasks that keep the errors of their coroutines."""

    def __init__(self) -> None:
        self.running: list[Deferred[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self.running.append(Deferred.fromCoroutine(work))


def items(count: int, first: int = 0) -> list[Item]:
    """Return this number of different items."""
    return [("push_queue", b"%d" % n) for n in range(first, first + count)]


class PushWriterTests(SynchronousTestCase):
    """Batches, outages, and the stop."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lists = Lists()
        self.counters = Counters()
        self.events = Events()
        self.tasks = Started()
        self.writer = self.new_writer(10_000)
        self.stopped: list[str] = []

    def new_writer(self, limit: int) -> PushWriter:
        """Return a writer to the lists."""
        return PushWriter(
            self.lists,
            world=World(
                time=self.clock,
                turn=ReactorTurn(self.clock),
                tasks=self.tasks,
                counters=self.counters,
                log=self.events.log(),
            ),
            limit=limit,
        )

    def stop(self) -> None:
        """Stop the writer, and note when it has stopped."""
        self.writer.stop(lambda: self.stopped.append("stopped"))

    def test_one_batch_per_turn(self) -> None:
        """Items of one turn are written together at its end."""
        self.writer.add(items(2))
        self.writer.add(items(1, 2))
        self.assertEqual(self.lists.batches, [])
        self.clock.advance(0)
        self.assertEqual(self.lists.batches, [items(3)])
        self.assertEqual(self.counters["pushes_written"], 3)
        self.assertEqual(len(self.writer), 0)
        self.assertEqual(self.events.texts(), [])

    def test_nothing(self) -> None:
        """Adding no items writes no batch."""
        self.writer.add([])
        self.clock.advance(0)
        self.assertEqual(self.lists.batches, [])

    def test_large(self) -> None:
        """Many items are written in several batches, in order."""
        self.writer.add(items(2 * BATCH_ITEMS + 1))
        self.clock.advance(0)
        self.assertEqual(
            [len(batch) for batch in self.lists.batches], [BATCH_ITEMS, BATCH_ITEMS, 1]
        )
        self.assertEqual(self.lists.written, items(2 * BATCH_ITEMS + 1))

    def test_one_under_way(self) -> None:
        """Items that come during a write wait for its answer, and are then written together."""
        self.lists.at_once = False
        self.writer.add(items(1))
        self.clock.advance(0)
        for n in range(1, 4):
            self.writer.add(items(1, n))
            self.clock.advance(0)
        self.assertEqual(len(self.lists.batches), 1)
        self.assertEqual(len(self.writer), 4)
        self.lists.answer()
        self.assertEqual(self.lists.batches, [items(1), items(3, 1)])
        self.lists.answer()
        self.assertEqual(self.lists.written, items(4))

    def test_an_outage(self) -> None:
        """No item is lost during an outage: the writer retries with growing delays, in order."""
        self.lists.away = True
        self.writer.add(items(2))
        self.clock.advance(0)
        self.writer.add(items(1, 2))
        tried = [self.clock.seconds()]
        for _ in range(2000):
            before = len(self.lists.batches)
            self.clock.advance(0.01)
            if len(self.lists.batches) > before:
                tried.append(self.clock.seconds())
        gaps = [round(b - a, 1) for a, b in pairwise(tried)]
        self.assertEqual(gaps, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
        self.assertEqual(self.lists.written, [])
        self.lists.away = False
        self.clock.advance(LAST_DELAY)
        self.assertEqual(self.lists.written, items(3))
        self.assertEqual(self.counters["push_failures"], len(tried))
        self.assertEqual(self.counters["pushes_dropped"], 0)
        self.assertEqual(
            self.events.texts(),
            [
                "the push lists cannot be written, retrying: Redis is away",
                "the push lists can be written again",
            ],
        )

    def test_the_delay_starts_again_after_an_outage(self) -> None:
        """The first delay of a new outage is short again."""
        for _ in range(2):
            self.lists.away = True
            self.writer.add(items(1))
            self.clock.pump([0, 0.1, 0.2, 0.4])
            self.lists.away = False
            self.clock.advance(0.8)
            self.assertEqual(len(self.writer), 0)
        self.assertEqual(len(self.lists.batches), 10)

    def test_limit(self) -> None:
        """Beyond the limit items are dropped and counted, and logged when that begins and ends."""
        self.writer = self.new_writer(5)
        self.lists.away = True
        self.writer.add(items(4))
        self.clock.advance(0)
        self.writer.add(items(3, 4))
        self.writer.add(items(3, 7))
        self.assertEqual(len(self.writer), 5)
        self.assertEqual(self.counters["pushes_dropped"], 5)
        self.lists.away = False
        self.clock.advance(0.1)
        self.assertEqual(self.lists.written, items(5))
        self.assertEqual(
            self.events.texts(),
            [
                "the push lists cannot be written, retrying: Redis is away",
                "5 pushes wait, and more are dropped",
                "the push lists can be written again",
                "5 pushes were dropped",
            ],
        )
        self.writer.add(items(1, 20))
        self.clock.advance(0)
        self.assertEqual(self.lists.written, items(5) + items(1, 20))

    def test_long_items(self) -> None:
        """Long items make smaller batches, and the waiting bytes are limited as well."""
        long: list[Item] = [("push_queue", b"%d" % n + bytes(BATCH_BYTES // 2)) for n in range(5)]
        self.writer.add(long)
        self.clock.advance(0)
        self.assertEqual([len(batch) for batch in self.lists.batches], [2, 2, 1])
        self.assertEqual(self.lists.written, long)
        self.lists.away = True
        self.patch(writer, "BACKLOG_BYTES", 5000)
        one = ("push_queue", bytes(1000))
        self.writer.add([one] * 8)
        self.assertEqual(self.counters["pushes_dropped"], 3)
        self.lists.away = False
        self.clock.advance(0)
        self.writer.add([one])
        self.clock.advance(0)
        self.assertEqual(self.counters["pushes_dropped"], 3)
        self.assertEqual(len(self.lists.written), 5 + 5 + 1)

    def test_an_unexpected_error(self) -> None:
        """An unexpected error is logged, and later pushes are written."""
        self.lists.at_once = False
        self.writer.add(items(1))
        self.clock.advance(0)
        self.lists.answer(ValueError("a bug"))
        self.failureResultOf(self.tasks.running[0], ValueError)
        self.lists.at_once = True
        self.clock.advance(0.1)
        self.assertEqual(self.lists.written, items(1))

    def test_stop_idle(self) -> None:
        """A writer without items stops at once."""
        self.stop()
        self.assertEqual(self.stopped, ["stopped"])

    def test_stop_writes(self) -> None:
        """Items of the present turn are written before the writer stops."""
        self.lists.at_once = False
        self.writer.add(items(1))
        self.stop()
        self.assertEqual(self.stopped, [])
        self.lists.answer()
        self.assertEqual(self.stopped, ["stopped"])
        self.assertEqual(self.lists.written, items(1))
        self.clock.advance(10)
        self.assertEqual(len(self.lists.batches), 1)
        self.assertEqual(self.stopped, ["stopped"])

    def test_stop_during_a_write(self) -> None:
        """The stop waits for the present write, and for the items behind it."""
        self.lists.at_once = False
        self.writer.add(items(1))
        self.clock.advance(0)
        self.writer.add(items(1, 1))
        self.stop()
        self.lists.answer()
        self.assertEqual(self.stopped, [])
        self.lists.answer()
        self.assertEqual(self.lists.written, items(2))
        self.assertEqual(self.stopped, ["stopped"])

    def test_stop_during_an_outage(self) -> None:
        """The stop tries once more, then logs the number of lost pushes, and leaves no timer."""
        self.lists.away = True
        self.writer.add(items(3))
        self.clock.advance(0)
        self.stop()
        self.assertEqual(self.stopped, ["stopped"])
        self.assertEqual(len(self.lists.batches), 2)
        self.assertIn("3 pushes are lost at the stop", self.events.texts())
        self.assertEqual(self.counters["pushes_dropped"], 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_after_the_stop(self) -> None:
        """Items that come after the stop are dropped and counted."""
        self.stop()
        self.writer.add(items(2))
        self.clock.advance(1)
        self.assertEqual(self.lists.batches, [])
        self.assertEqual(self.counters["pushes_dropped"], 2)
