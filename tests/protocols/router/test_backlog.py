"""Notifies and pushes that wait for a router."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.protocols.router import backlog
from gobelieve.protocols.router.backlog import NotifyBacklog, PushBacklog, of_groups, of_users
from gobelieve.wire import client

ALICE, BOB = (7, 1), (7, 2)


def taken(kept: NotifyBacklog) -> dict[tuple[int, int], int]:
    """Take all notifies that wait."""
    return dict(kept.take() for _ in range(len(kept)))


class NotifyBacklogTests(SynchronousTestCase):
    """The newest id of each queue is kept."""

    def setUp(self) -> None:
        self.counters = Counters()

    def test_the_newest_id_of_each_queue(self) -> None:
        """The id comes from the message or from the notify, in any order."""
        kept = of_users(self.counters)
        for msgid in (500, 700, 600):
            kept.keep(ALICE, client.IM.number, b"x", msgid)
        kept.keep(BOB, client.SyncNotify.number, client.SyncNotify(sync_key=5).encode(), 0)
        self.assertEqual(taken(kept), {ALICE: 700, BOB: 5})
        self.assertEqual(len(kept), 0)

    def test_super_groups(self) -> None:
        """The id of a SYNC_GROUP_NOTIFY comes after the group."""
        kept = of_groups(self.counters)
        notify = client.SyncGroupNotify(group_id=1, sync_key=5)
        kept.keep(ALICE, notify.number, notify.encode(), 0)
        self.assertEqual(taken(kept), {ALICE: 5})

    def test_a_publication_without_an_id(self) -> None:
        """A live message is dropped and counted."""
        kept = of_users(self.counters)
        kept.keep(ALICE, client.RT.number, bytes(16), 0)
        self.assertEqual((len(kept), self.counters["live_dropped"]), (0, 1))

    def test_requeue(self) -> None:
        """A notify that was sent waits again, unless a newer one waits already."""
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

    def test_limit(self) -> None:
        """Above the limit new queues are dropped and counted. The others are updated."""
        self.patch(backlog, "MAX_NOTIFIES", 1)
        kept = of_users(self.counters)
        for queue, msgid in ((ALICE, 1), (BOB, 2), (ALICE, 3)):
            kept.keep(queue, client.IM.number, b"x", msgid)
        self.assertEqual((taken(kept), self.counters["notifies_dropped"]), ({ALICE: 3}, 1))


class PushBacklogTests(SynchronousTestCase):
    """Pushes keep their order, up to a limit."""

    def test_order_and_limit(self) -> None:
        """Above the limit new pushes are dropped and counted, until some are taken."""
        self.patch(backlog, "MAX_PUSH_BYTES", 10)
        counters = Counters()
        kept = PushBacklog(counters)
        for body in (b"first", b"other", b"x"):
            kept.keep(134, body)
        self.assertEqual((len(kept), counters["pushes_dropped"]), (2, 1))
        self.assertEqual(kept.take(), (134, b"first"))
        kept.keep(135, b"third")
        self.assertEqual([kept.take() for _ in range(2)], [(134, b"other"), (135, b"third")])
