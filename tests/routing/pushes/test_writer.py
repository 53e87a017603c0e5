"""Writing to the push lists."""

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
    """`PushQueues` that answers when it is told to."""

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
        """To the batch under way."""
        waiting, self.under_way = self.under_way, None
        assert waiting is not None
        if error is None:
            waiting.callback(None)
        else:
            waiting.errback(error)


class Started:
    """`Tasks` that keeps what went wrong."""

    def __init__(self) -> None:
        self.running: list[Deferred[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self.running.append(Deferred.fromCoroutine(work))


def items(count: int, first: int = 0) -> list[Item]:
    """So many, all different."""
    return [("push_queue", b"%d" % n) for n in range(first, first + count)]


class PushWriterTests(SynchronousTestCase):
    """Batches, outages, the end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lists = Lists()
        self.counters = Counters()
        self.events = Events()
        self.tasks = Started()
        self.writer = self.new_writer(10_000)
        self.stopped: list[str] = []

    def new_writer(self, limit: int) -> PushWriter:
        """A writer over the lists."""
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
        """Ask for the end."""
        self.writer.stop(lambda: self.stopped.append("stopped"))

    def test_one_batch_a_turn(self) -> None:
        """What comes in one turn leaves together at its end."""
        self.writer.add(items(2))
        self.writer.add(items(1, 2))
        self.assertEqual(self.lists.batches, [])
        self.clock.advance(0)
        self.assertEqual(self.lists.batches, [items(3)])
        self.assertEqual(self.counters["pushes_written"], 3)
        self.assertEqual(len(self.writer), 0)
        self.assertEqual(self.events.texts(), [])

    def test_nothing(self) -> None:
        """To add makes no batch."""
        self.writer.add([])
        self.clock.advance(0)
        self.assertEqual(self.lists.batches, [])

    def test_large(self) -> None:
        """More than a batch leaves in several, in order."""
        self.writer.add(items(2 * BATCH_ITEMS + 1))
        self.clock.advance(0)
        self.assertEqual(
            [len(batch) for batch in self.lists.batches], [BATCH_ITEMS, BATCH_ITEMS, 1]
        )
        self.assertEqual(self.lists.written, items(2 * BATCH_ITEMS + 1))

    def test_one_under_way(self) -> None:
        """What comes while a batch is under way waits for its answer, then goes together."""
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

    def test_away(self) -> None:
        """Nothing is lost while Redis is away: tried again, ever later, and all in order."""
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
                "the push lists cannot be written, trying on: Redis is away",
                "the push lists can be written again",
            ],
        )

    def test_back_off_begins_anew(self) -> None:
        """After an outage the next one is tried soon again."""
        for _ in range(2):
            self.lists.away = True
            self.writer.add(items(1))
            self.clock.pump([0, 0.1, 0.2, 0.4])
            self.lists.away = False
            self.clock.advance(0.8)
            self.assertEqual(len(self.writer), 0)
        self.assertEqual(len(self.lists.batches), 10)

    def test_limit(self) -> None:
        """Beyond it new items are dropped, counted, and spoken of once at each end."""
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
                "the push lists cannot be written, trying on: Redis is away",
                "5 pushes wait, and more are dropped",
                "the push lists can be written again",
                "5 pushes were dropped",
            ],
        )
        self.writer.add(items(1, 20))
        self.clock.advance(0)
        self.assertEqual(self.lists.written, items(5) + items(1, 20))

    def test_long_items(self) -> None:
        """Not many of them go at once, and their bytes are bounded as well."""
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

    def test_what_nobody_foresaw(self) -> None:
        """An error of another kind is reported, and does not end the pushes."""
        self.lists.at_once = False
        self.writer.add(items(1))
        self.clock.advance(0)
        self.lists.answer(ValueError("a bug"))
        self.failureResultOf(self.tasks.running[0], ValueError)
        self.lists.at_once = True
        self.clock.advance(0.1)
        self.assertEqual(self.lists.written, items(1))

    def test_stop_idle(self) -> None:
        """Stops at once."""
        self.stop()
        self.assertEqual(self.stopped, ["stopped"])

    def test_stop_writes(self) -> None:
        """What was added in this very turn is written first."""
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

    def test_stop_under_way(self) -> None:
        """Waits for the batch under way and for what came behind it."""
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

    def test_stop_while_away(self) -> None:
        """Tries once more, then says how many are lost. Nothing is left to be called later."""
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
        """What comes is dropped and counted."""
        self.stop()
        self.writer.add(items(2))
        self.clock.advance(1)
        self.assertEqual(self.lists.batches, [])
        self.assertEqual(self.counters["pushes_dropped"], 2)
