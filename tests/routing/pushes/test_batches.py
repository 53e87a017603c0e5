"""A push for the members of a large group."""

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.routing.pushes import batches
from gobelieve.routing.pushes.batches import MEMBERS_PER_TURN, PushBatches
from tests.fakes.world import world


class MemberSlicesTests(SynchronousTestCase):
    """Some in a turn."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.pushed: list[tuple[Sequence[int], bytes]] = []
        self.push_batches = PushBatches(self.push, world(time=self.clock, counters=self.counters))

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """A slice."""
        self.assertEqual((appid, cmd), (7, 8))
        self.pushed.append((receivers, body))

    def begin(self, members: Sequence[int], body: bytes = b"x", sender: int = 0) -> None:
        """A message to a group."""
        self.push_batches.begin(7, lambda: members, sender, 8, body)

    def test_a_small_group_is_pushed_at_once(self) -> None:
        """Without its sender; to nobody if there is nobody else."""
        self.begin([1, 2, 3], sender=2)
        self.begin([2], sender=2)
        self.begin([])
        self.assertEqual(self.pushed, [([1, 3], b"x")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_large_one_in_slices(self) -> None:
        """The first at once; the group may change meanwhile if what it gave does not."""
        self.begin(range(1, 2 * MEMBERS_PER_TURN + 6))
        self.assertEqual(len(self.pushed), 1)
        self.clock.advance(0)
        self.assertEqual(
            [len(some) for some, _ in self.pushed], [MEMBERS_PER_TURN, MEMBERS_PER_TURN, 5]
        )

    def test_messages_stay_in_order(self) -> None:
        """Also a small group's behind a large one's."""
        self.begin(range(MEMBERS_PER_TURN + 1), b"first")
        self.begin([1], b"second")
        self.clock.advance(0)
        self.assertEqual([body for _, body in self.pushed], [b"first", b"first", b"second"])

    def test_too_many_are_dropped_and_counted(self) -> None:
        """Not kept without end."""
        self.patch(batches, "MAX_WAITING_MESSAGES", 2)
        for _ in range(3):
            self.begin(range(MEMBERS_PER_TURN + 1))
        self.assertEqual((len(self.push_batches), self.counters["pushes_dropped"]), (2, 1))

    def test_one_that_cannot_be_pushed_holds_up_no_other(self) -> None:
        """An error of ours, which the caller meets."""

        def fails(appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
            raise ValueError("a bug")

        self.push_batches = PushBatches(fails, world(time=self.clock, counters=self.counters))
        self.assertRaises(ValueError, self.begin, range(MEMBERS_PER_TURN + 1))
        self.assertRaises(ValueError, self.clock.advance, 0)
        self.assertEqual(len(self.push_batches), 0)
