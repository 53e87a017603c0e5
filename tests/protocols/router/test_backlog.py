"""What is kept for a router that is away: notifies and pushes."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.protocols.router import backlog
from gobelieve.protocols.router.backlog import NotifyBacklog, PushBacklog, of_groups, of_users
from gobelieve.wire import client

ALICE, BOB = (7, 1), (7, 2)


def taken(kept: NotifyBacklog) -> dict[tuple[int, int], int]:
    """All that waits."""
    return dict(kept.take() for _ in range(len(kept)))


class KeptNotifiesTests(SynchronousTestCase):
    """The newest id of each queue."""

    def setUp(self) -> None:
        self.counters = Counters()

    def test_the_newest_id_of_each(self) -> None:
        """Of the message or of the notify, whichever comes, in whatever order."""
        kept = of_users(self.counters)
        for msgid in (500, 700, 600):
            kept.keep(ALICE, client.IM.number, b"x", msgid)
        kept.keep(BOB, client.SyncNotify.number, client.SyncNotify(sync_key=5).encode(), 0)
        self.assertEqual(taken(kept), {ALICE: 700, BOB: 5})
        self.assertEqual(len(kept), 0)

    def test_groups(self) -> None:
        """Their notify names the group first."""
        kept = of_groups(self.counters)
        notify = client.SyncGroupNotify(group_id=1, sync_key=5)
        kept.keep(ALICE, notify.number, notify.encode(), 0)
        self.assertEqual(taken(kept), {ALICE: 5})

    def test_what_has_no_id_is_dropped(self) -> None:
        """And counted."""
        kept = of_users(self.counters)
        kept.keep(ALICE, client.RT.number, bytes(16), 0)
        self.assertEqual((len(kept), self.counters["live_dropped"]), (0, 1))

    def test_told_again(self) -> None:
        """What was told waits once more, unless something newer does."""
        kept = of_users(self.counters)
        kept.sent(ALICE, client.IM.number, b"x", 500)
        kept.sent(BOB, client.IM.number, b"x", 500)
        kept.sent(BOB, client.RT.number, b"x", 0)
        self.assertEqual(len(kept), 0)
        kept.keep(BOB, client.IM.number, b"x", 600)
        kept.requeue()
        self.assertEqual(taken(kept), {ALICE: 500, BOB: 600})
        kept.requeue()
        self.assertEqual(taken(kept), {})

    def test_a_bound(self) -> None:
        """Beyond it new queues are dropped, and counted; known ones are kept newest."""
        self.patch(backlog, "MAX_NOTIFIES", 1)
        kept = of_users(self.counters)
        for queue, msgid in ((ALICE, 1), (BOB, 2), (ALICE, 3)):
            kept.keep(queue, client.IM.number, b"x", msgid)
        self.assertEqual((taken(kept), self.counters["notifies_dropped"]), ({ALICE: 3}, 1))


class KeptPushesTests(SynchronousTestCase):
    """In order, up to a bound."""

    def test_order_and_bound(self) -> None:
        """The oldest are kept; there is room again when some are taken."""
        self.patch(backlog, "MAX_PUSH_BYTES", 10)
        counters = Counters()
        kept = PushBacklog(counters)
        for body in (b"first", b"other", b"x"):
            kept.keep(134, body)
        self.assertEqual((len(kept), counters["pushes_dropped"]), (2, 1))
        self.assertEqual(kept.take(), (134, b"first"))
        kept.keep(135, b"third")
        self.assertEqual([kept.take() for _ in range(2)], [(134, b"other"), (135, b"third")])
