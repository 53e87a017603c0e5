"""Push requests for the members of a large group."""

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.routing.pushes import batches
from gobelieve.routing.pushes.batches import MEMBERS_PER_TURN, PushBatches
from tests.fakes.world import world


class PushBatchesTests(SynchronousTestCase):
    """Members are pushed in batches, one batch per turn."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.pushed: list[tuple[Sequence[int], bytes]] = []
        self.push_batches = PushBatches(self.push, world(time=self.clock, counters=self.counters))

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """Keep a batch of receivers."""
        self.assertEqual((appid, cmd), (7, 8))
        self.pushed.append((receivers, body))

    def begin(self, members: Sequence[int], body: bytes = b"x", sender: int = 0) -> None:
        """Begin the pushes of a message to a group."""
        self.push_batches.begin(7, lambda: members, sender, 8, body)

    def test_a_small_group_is_pushed_at_once(self) -> None:
        """The sender gets no push; a group without other members gets none at all."""
        self.begin([1, 2, 3], sender=2)
        self.begin([2], sender=2)
        self.begin([])
        self.assertEqual(self.pushed, [([1, 3], b"x")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_large_group_is_pushed_in_batches(self) -> None:
        """The first batch is pushed at once, the others in later turns."""
        self.begin(range(1, 2 * MEMBERS_PER_TURN + 6))
        self.assertEqual(len(self.pushed), 1)
        self.clock.advance(0)
        self.assertEqual(
            [len(some) for some, _ in self.pushed], [MEMBERS_PER_TURN, MEMBERS_PER_TURN, 5]
        )

    def test_messages_stay_in_order(self) -> None:
        """The push of a small group waits behind that of a large one."""
        self.begin(range(MEMBERS_PER_TURN + 1), b"first")
        self.begin([1], b"second")
        self.clock.advance(0)
        self.assertEqual([body for _, body in self.pushed], [b"first", b"first", b"second"])

    def test_too_many_are_dropped_and_counted(self) -> None:
        """Beyond the limit of waiting messages, new ones are dropped and counted."""
        self.patch(batches, "MAX_WAITING_MESSAGES", 2)
        for _ in range(3):
            self.begin(range(MEMBERS_PER_TURN + 1))
        self.assertEqual((len(self.push_batches), self.counters["pushes_dropped"]), (2, 1))

    def test_an_error_does_not_block_later_messages(self) -> None:
        """An unexpected error reaches the caller, and the message does not stay in the queue."""

        def fails(appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
            raise ValueError("a bug")

        self.push_batches = PushBatches(fails, world(time=self.clock, counters=self.counters))
        self.assertRaises(ValueError, self.begin, range(MEMBERS_PER_TURN + 1))
        self.assertRaises(ValueError, self.clock.advance, 0)
        self.assertEqual(len(self.push_batches), 0)
