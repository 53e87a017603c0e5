"""Posts of the app's server: stored, then delivered to all sessions, then answered."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.gateway.fan_out.member_queues import QUEUES_PER_ASK
from gobelieve.interfaces import Group
from gobelieve.names import AckStatus, Room, User
from gobelieve.wire import client, customers
from gobelieve.wire.frames import PUSH, SUPER_GROUP
from tests.fakes.groups import group
from tests.gateway.support import APP, KEFU, TestGateway

ALICE, BOB = User(APP, 1), User(APP, 2)
NOW = 1_700_000_000


class PostingCase(SynchronousTestCase):
    """A gateway; what was answered is in `answers`."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.app_server_messages = self.gateway.app_server_messages
        self.storage, self.routing = self.gateway.storage, self.gateway.routing
        self.answers: list[Any] = []

    def not_underway(self) -> None:
        """Whoever stops waits for nothing any more."""
        self.assertEqual(len(self.gateway.saves_in_flight), 0)


class PeerTests(PostingCase):
    """IM and customer service."""

    def test_stored_told_answered(self) -> None:
        """In this order; the sender's own sessions are told too, all of them."""
        alice, bob = self.gateway.client(1), self.gateway.client(2)
        self.routing.take()
        self.app_server_messages.peer(APP, 1, 2, b"hi", self.answers.append)
        im = client.IM(sender=1, receiver=2, timestamp=NOW, msgid=0, content=b"hi")
        (save,) = self.storage.saves
        self.assertEqual(save[:4], (4, im.encode(), 0, (BOB, ALICE)))
        self.assertEqual((bob.messages(), alice.messages(), self.answers), ([], [], []))
        self.assertEqual(len(self.gateway.saves_in_flight), 1)
        save.answer(0, [(300, 200), (300, 100)])
        for who, prev in ((bob, 200), (alice, 100)):
            said, message, notify = who.told()
            self.assertEqual(said.message, client.Metadata(sync_key=300, prev_sync_key=prev))
            self.assertEqual((message.message, message.flag), (im, PUSH))
            self.assertEqual(notify.message, client.SyncNotify(sync_key=300))
        self.assertEqual(
            self.routing.take(),
            [
                ("push", APP, (2,), 4, im.encode()),
                ("publish", BOB, 4, im.encode(), PUSH, 300, 200),
                ("publish", ALICE, 4, im.encode(), PUSH, 300, 100),
            ],
        )
        self.assertEqual((self.answers, self.gateway.counters["messages"]), ([0], 1))
        self.not_underway()

    def test_to_oneself(self) -> None:
        """The message is entered once in the queue."""
        self.app_server_messages.peer(APP, 1, 1, b"note", self.answers.append)
        (save,) = self.storage.saves
        self.assertEqual(save.queues, (ALICE,))
        save.answer(0, [(300, 200)])
        self.assertEqual(self.answers, [0])

    def test_not_stored(self) -> None:
        """Nobody is told, and the status is passed on."""
        bob = self.gateway.client(2)
        self.routing.take()
        self.app_server_messages.peer(APP, 1, 2, b"hi", self.answers.append)
        self.storage.saves[0].answer(AckStatus.STORAGE_AWAY, [(0, 0), (0, 0)])
        self.assertEqual((bob.messages(), self.routing.take()), ([], []))
        self.assertEqual(self.answers, [AckStatus.STORAGE_AWAY])
        self.assertEqual(self.gateway.counters["messages_not_stored"], 1)
        self.not_underway()

    def test_stored_by_the_receiver_only(self) -> None:
        """He is told; the answer is a failure all the same."""
        bob = self.gateway.client(2)
        self.app_server_messages.peer(APP, 1, 2, b"hi", self.answers.append)
        self.storage.saves[0].answer(AckStatus.STORAGE_AWAY, [(300, 0), (0, 0)])
        self.assertEqual(bob.messages(), [client.SyncNotify(sync_key=300)])
        self.assertEqual(self.answers, [AckStatus.STORAGE_AWAY])

    def test_customers(self) -> None:
        """Messages of both forms go from one app to another."""
        customer, seller = User(APP, 1), User(KEFU, 55)
        self.app_server_messages.customer(customer, seller, 9, b"help", self.answers.append)
        self.app_server_messages.customer_v2(seller, customer, b"yes?", self.answers.append)
        first, second = self.storage.saves
        said = customers.Customer(
            customer_appid=APP,
            customer_id=1,
            store_id=9,
            seller_id=55,
            timestamp=NOW,
            content=b"help",
        )
        later = customers.CustomerV2(
            sender_appid=KEFU,
            sender=55,
            receiver_appid=APP,
            receiver=1,
            timestamp=NOW,
            content=b"yes?",
        )
        self.assertEqual(first[:4], (24, said.encode(), 0, (seller, customer)))
        self.assertEqual(second[:4], (64, later.encode(), 0, (customer, seller)))
        self.routing.take()
        second.answer(0, [(5, 0), (5, 0)])
        self.assertIn(("push", APP, (1,), 64, later.encode()), self.routing.take())


class SystemTests(PostingCase):
    """SYSTEM, to one or many."""

    def posted(self, status: int, missing: Sequence[int]) -> None:
        self.answers.append((status, list(missing)))

    def test_one_save_for_many(self) -> None:
        """One body; each is told, and pushed if offline."""
        bob = self.gateway.client(2)
        self.routing.take()
        self.app_server_messages.system(APP, (1, 2), b"{}", self.posted)
        (save,) = self.storage.saves
        self.assertEqual(save[:4], (21, b"{}", 0, [ALICE, BOB]))
        save.answer(0, [(7, 0), (7, 0)])
        self.assertEqual(bob.messages(), [client.SyncNotify(sync_key=7)])
        self.assertEqual(self.routing.take()[0], ("push", APP, (1, 2), 21, b"{}"))
        self.assertEqual(self.answers, [(0, [])])
        self.not_underway()

    def test_some_do_not_get_it(self) -> None:
        """They are named; those who have it are told."""
        uids = list(range(1, QUEUES_PER_ASK + 3))
        self.app_server_messages.system(APP, uids, b"{}", self.posted)
        first, second = self.storage.saves
        self.assertEqual([uid for _, uid in [*first.queues, *second.queues]], uids)
        second.answer(AckStatus.STORAGE_FULL, [(0, 0), (9, 0)])
        self.assertEqual(self.answers, [])
        first.answer(0, [(8, 0)] * QUEUES_PER_ASK)
        self.assertEqual(self.answers, [(AckStatus.STORAGE_FULL, [uids[-2]])])
        pushed = [told[2] for told in self.routing.take() if told[0] == "push"]
        self.assertEqual(pushed, [(uids[-1],), tuple(uids[:-2])])
        self.assertEqual(self.gateway.counters["messages"], QUEUES_PER_ASK + 1)

    def test_to_nobody(self) -> None:
        """Is done at once."""
        self.app_server_messages.system(APP, (), b"{}", self.posted)
        self.assertEqual((self.answers, self.storage.saves), ([(0, [])], []))


class LiveTests(PostingCase):
    """Posts that are not stored."""

    def test_kinds(self) -> None:
        """To all sessions of the user, or all in the room, here and elsewhere."""
        bob = self.gateway.client(2)
        bob.say(client.EnterRoom(room=5))
        self.routing.take()
        self.app_server_messages.notification(BOB, b"n")
        self.app_server_messages.real_time(APP, 1, 2, b"rt")
        self.app_server_messages.room(Room(APP, 5), 2, b"room")
        rt = client.RT(sender=1, receiver=2, content=b"rt")
        said = client.RoomIM(sender=2, receiver=5, content=b"room")
        self.assertEqual(bob.messages(), [client.Notification(content=b"n"), rt, said])
        self.assertEqual(
            self.routing.take(),
            [
                ("publish", BOB, 36, b"n", 0, 0, 0),
                ("publish", BOB, 17, rt.encode(), 0, 0, 0),
                ("publish_room", Room(APP, 5), 20, said.encode(), 0),
            ],
        )
        self.assertEqual((self.storage.saves, self.gateway.counters["live"]), ([], 3))


class GroupTests(PostingCase):
    """To groups of either kind."""

    def find(self, group_id: int) -> Group | None:
        found = Deferred.fromCoroutine(self.app_server_messages.groups.find(APP, group_id))
        result: Group | None = self.successResultOf(found)
        return result

    def test_find(self) -> None:
        """Of this app only; one that cannot be looked up is not one that is not there."""
        groups = self.gateway.groups
        groups.at_hand[100] = group(100, 1)
        groups.stored[101] = group(101, 1)
        groups.at_hand[102] = group(102, 1, appid=8)
        found = [self.find(id_) for id_ in (100, 101, 102, 103)]
        self.assertEqual(found, [groups.at_hand[100], groups.stored[101], None, None])
        groups.away = True
        failed = self.failureResultOf(
            Deferred.fromCoroutine(self.app_server_messages.groups.find(APP, 101))
        )
        self.assertEqual(failed.check(StorageError), StorageError)
        self.assertEqual(failed.value.status, AckStatus.GROUPS_AWAY)

    def test_no_groups(self) -> None:
        """A site that has none."""
        app_server_messages = TestGateway(with_groups=False).app_server_messages
        found = Deferred.fromCoroutine(app_server_messages.groups.find(APP, 100))
        self.assertIsNone(self.successResultOf(found))

    def test_ordinary(self) -> None:
        """The message goes into each member's queue. The sender need not be a member, and a member
        who is the sender gets no push."""
        bob = self.gateway.client(2)
        self.app_server_messages.groups.message(group(100, 1, 2), 1, b"hi", self.answers.append)
        (save,) = self.storage.saves
        self.assertEqual((save.cmd, save.device, list(save.queues)), (8, 0, [ALICE, BOB]))
        im = client.GroupIM.decode(save.body, 1)
        self.assertEqual((im.sender, im.receiver, im.content), (1, 100, b"hi"))
        self.routing.take()
        save.answer(0, [(7, 3), (7, 4)])
        self.assertEqual(self.answers, [0])
        self.assertEqual([told.message for told in bob.told()][1], im)
        self.assertEqual(self.routing.take()[0], ("push", APP, (2,), 8, save.body))
        self.not_underway()

    def test_no_two_are_alike(self) -> None:
        """By which the fan-out tells whether a queue has one."""
        for _ in range(2):
            self.app_server_messages.groups.message(group(100, 1), 1, b"hi", self.answers.append)
        for message, _ in list(self.gateway.pending.messages.values()):
            self.assertEqual(message.body[24:], b"hi")
        bodies = {message.body for message, _ in self.gateway.pending.messages.values()}
        self.assertEqual(len(bodies), 2)

    def test_the_disk_of_the_gateway_is_full(self) -> None:
        """Then an ordinary group's message is not taken."""
        self.gateway.pending.full = True
        self.app_server_messages.groups.message(group(100, 1), 1, b"hi", self.answers.append)
        self.assertEqual((self.answers, self.storage.saves), ([AckStatus.STORAGE_FULL], []))
        self.not_underway()

    def test_super(self) -> None:
        """One entry; members here and elsewhere are told, offline ones pushed."""
        here = group(111, 1, 2, super=True)
        self.gateway.groups.at_hand[111] = here
        alice, bob = self.gateway.client(1), self.gateway.client(2)
        self.routing.take()
        self.app_server_messages.groups.message(here, 1, b"hi", self.answers.append)
        (save,) = self.storage.group_saves
        self.assertEqual((save.cmd, save.device, save.group), (8, 0, (APP, 111)))
        save.answer(0, [(9, 4)])
        for one in (alice, bob):
            _, message, notify = one.told()
            self.assertEqual(message.flag, PUSH | SUPER_GROUP)
            self.assertEqual(notify.message, client.SyncGroupNotify(group_id=111, sync_key=9))
        push, publish = self.routing.take()
        self.assertEqual(push, ("push_group", APP, 111, (1, 2), 1, 8, save.body))
        self.assertEqual(publish[:3], ("publish_group", APP, 111))
        self.assertEqual(self.answers, [0])
        self.not_underway()

    def test_super_not_stored(self) -> None:
        """No member gets the message, and the app's server gets the status."""
        self.app_server_messages.groups.message(
            group(111, 1, super=True), 1, b"hi", self.answers.append
        )
        self.routing.take()
        self.storage.group_saves[0].answer(AckStatus.STORAGE_AWAY, [(0, 0)])
        self.assertEqual((self.answers, self.routing.take()), ([AckStatus.STORAGE_AWAY], []))
        self.not_underway()


class NoticeTests(PostingCase):
    """Notifications to groups, GROUP_NOTIFICATION."""

    def post(self, of: Group | None, others: Sequence[int], super_: bool = False) -> None:
        id_ = 100 if of is None else of.id
        self.app_server_messages.groups.notification(
            APP, id_, of, super_, others, b"{}", self.answers.append
        )

    def test_members_and_others(self) -> None:
        """Each once, also who is named and is a member; no pushes."""
        self.post(group(100, 1, 2), [2, 3])
        (save,) = self.storage.saves
        users = [ALICE, BOB, User(APP, 3)]
        self.assertEqual((save.cmd, save.body, list(save.queues)), (7, b"{}", users))
        save.answer(0, [(5, 0)] * 3)
        self.assertEqual({told[0] for told in self.routing.take()}, {"publish"})
        self.assertEqual(self.answers, [0])

    def test_a_group_that_is_gone(self) -> None:
        """Users who are named get the notification."""
        self.post(None, [3])
        self.assertEqual(list(self.storage.saves[0].queues), [User(APP, 3)])

    def test_super(self) -> None:
        """One entry; members are told of it, and who is named and is none."""
        here = group(111, 1, super=True)
        self.gateway.groups.at_hand[111] = here
        alice, carol = self.gateway.client(1), self.gateway.client(3)
        self.routing.take()
        self.post(here, [1, 3])
        (save,) = self.storage.group_saves
        self.assertEqual((save.cmd, save.body, save.group), (7, b"{}", (APP, 111)))
        save.answer(0, [(9, 4)])
        notify = client.SyncGroupNotify(group_id=111, sync_key=9)
        self.assertEqual((alice.messages(), carol.messages()), ([notify], [notify]))
        self.assertEqual(
            self.routing.take(),
            [
                ("publish_group", APP, 111, 33, notify.encode(), 0, 0, 0),
                ("publish", User(APP, 3), 33, notify.encode(), 0, 0, 0),
            ],
        )
        self.assertEqual(self.answers, [0])

    def test_super_that_is_gone(self) -> None:
        """The caller tells the kind of the group; many users are notified over several turns."""
        self.post(None, range(1, 12_001), super_=True)
        self.routing.take()
        self.storage.group_saves[0].answer(0, [(9, 0)])
        told = len(self.routing.take())
        self.assertEqual(told, 5000)
        self.gateway.clock.pump([0, 0, 0])
        self.assertEqual(told + len(self.routing.take()), 12_000)
