"""Messages to groups: who may speak, where they go, who is told."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.gateway.delivery.group_members_here import (
    MAX_WAITING_CALLS,
    RETRY_SECONDS,
    USERS_PER_TURN,
    GroupMembersHere,
)
from gobelieve.gateway.rules.sync import QUEUES_AT_ONCE
from gobelieve.gateway.sessions.packing import GroupMessage
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Page, membership
from gobelieve.names import AckStatus, GroupReader, User
from gobelieve.wire import client
from gobelieve.wire.frames import PUSH, SELF, SUPER_GROUP, TEXT, encode_frame
from gobelieve.wire.storage import StoredMessage
from tests.fakes.groups import group
from tests.fakes.world import FakeTasks
from tests.gateway.support import APP, TestClient, TestGateway

NOW = 1_700_000_000
GROUP, SUPER = 100, 200


def said(sender: int, receiver: int, content: bytes = b"hello", msgid: int = 9) -> client.GroupIM:
    """Return a message as an app sends it."""
    return client.GroupIM(
        sender=sender, receiver=receiver, timestamp=1, msgid=msgid, content=content
    )


def stored(sender: int, receiver: int, content: bytes = b"hello", msgid: int = 9) -> client.GroupIM:
    """Return a message as it is stored."""
    return client.GroupIM(
        sender=sender, receiver=receiver, timestamp=NOW, msgid=msgid, content=content
    )


class GroupTestCase(SynchronousTestCase):
    """An ordinary and a super group of users 1, 2 and 3; user 9 is in none."""

    def setUp(self) -> None:
        self.start(TestGateway())

    def start(self, gateway: TestGateway) -> None:
        """With everybody logged in but 3."""
        self.gateway = gateway
        self.groups = gateway.groups
        self.groups.at_hand = {
            GROUP: group(GROUP, 1, 2, 3),
            SUPER: group(SUPER, 1, 2, 3, super=True),
        }
        self.alice = gateway.client(1, version=2, device="a")
        self.bob = gateway.client(2, version=2, device="b")
        self.eve = gateway.client(9, version=2, device="e")
        gateway.routing.take()

    def refused(self, who: TestClient, message: client.GroupIM, status: int) -> None:
        """Acked with the status, and neither kept, stored nor told."""
        seq = who.say(message)
        self.assertEqual(who.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(self.gateway.storage.group_saves, [])
        self.assertEqual(self.gateway.pending.messages, {})
        self.assertEqual(self.gateway.routing.take(), [])


class RefusalTests(GroupTestCase):
    """Whoever may not speak learns it."""

    def test_who_is_no_member_may_not_speak(self) -> None:
        """In neither kind of group."""
        for where in (GROUP, SUPER):
            self.refused(self.eve, said(9, where), AckStatus.NOT_GROUP_MEMBER)

    def test_a_group_that_does_not_exist_is_named_so(self) -> None:
        """Once the database was asked."""
        self.refused(self.alice, said(1, 999), AckStatus.GROUP_NONEXIST)
        self.assertEqual(self.groups.asked, [999])

    def test_a_group_of_another_app_is_none_of_mine(self) -> None:
        """Although a user with my number is in it."""
        self.groups.at_hand[300] = group(300, 1, 2, appid=8)
        self.refused(self.alice, said(1, 300), AckStatus.NOT_GROUP_MEMBER)

    def test_nobody_speaks_as_somebody_else(self) -> None:
        """Not even as a member."""
        self.refused(self.bob, said(1, GROUP), AckStatus.FORGED_SENDER)

    def test_who_is_muted_may_not_speak(self) -> None:
        """But goes on hearing."""
        for where in (GROUP, SUPER):
            self.groups.at_hand[where].members[2] = membership(1, True)
            self.refused(self.bob, said(2, where), AckStatus.MUTED)

    def test_while_groups_cannot_be_known_the_client_is_to_try_again(self) -> None:
        """An old client gets no ack then, since it would take it for success."""
        self.groups.away = True
        self.refused(self.alice, said(1, 999), AckStatus.GROUPS_AWAY)
        old = self.gateway.client(1, version=1, device="old")
        self.alice.messages()
        old.say(said(1, 999))
        self.assertEqual(old.messages(), [])

    def test_what_comes_behind_a_group_that_is_looked_up_waits_for_it(self) -> None:
        """The order is kept."""
        self.groups.stored[300] = group(300, 1, 2, super=True)
        self.alice.say(said(1, 300, b"first"), said(1, SUPER, b"second"))
        self.assertEqual(
            [client.GroupIM.decode(save.body).content for save in self.gateway.storage.group_saves],
            [b"first", b"second"],
        )

    def test_a_site_without_groups_has_none(self) -> None:
        """Every message is answered all the same, and every sync ends."""
        alice = TestGateway(with_groups=False).client(1, version=2)
        seq = alice.say(said(1, GROUP))
        self.assertEqual(alice.messages(), [client.Ack(seq=seq, status=AckStatus.GROUP_NONEXIST)])
        alice.say(client.SyncGroup(group_id=SUPER, sync_key=5))
        self.assertEqual(
            alice.messages(),
            [
                client.SyncGroupBegin(group_id=SUPER, sync_key=5),
                client.SyncGroupEnd(group_id=SUPER, sync_key=5),
            ],
        )


class SuperGroupTests(GroupTestCase):
    """One queue for all."""

    def answer(self, status: int = 0, key: int = 500, prev: int = 400) -> None:
        """Storage answers the save."""
        entry = (0, 0) if status else (key, prev)
        self.gateway.storage.group_saves.pop(0).answer(status, [entry])

    def test_a_message_is_stored_once_in_the_groups_queue(self) -> None:
        """With the server's time; nobody is told before."""
        self.alice.say(said(1, SUPER), flag=TEXT)
        (save,) = self.gateway.storage.group_saves
        self.assertEqual((save.cmd, save.group), (8, (APP, SUPER)))
        self.assertEqual(save.device, self.alice.session.device)
        self.assertEqual(client.GroupIM.decode(save.body), stored(1, SUPER))
        self.assertEqual((self.alice.messages(), self.bob.messages()), ([], []))
        self.assertEqual(self.gateway.routing.take(), [])

    def test_members_here_get_it_with_its_ids_and_a_notify_of_the_group(self) -> None:
        """With exactly the flags that say where the ids belong."""
        self.alice.say(said(1, SUPER), flag=TEXT)
        self.answer()
        metadata, message, notify = self.bob.told()
        self.assertEqual(metadata.message, client.Metadata(sync_key=500, prev_sync_key=400))
        self.assertEqual((message.message, message.flag), (stored(1, SUPER), PUSH | SUPER_GROUP))
        self.assertEqual(notify.message, client.SyncGroupNotify(group_id=SUPER, sync_key=500))
        self.assertEqual(self.eve.messages(), [])

    def test_the_sender_gets_the_ids_and_an_ack_that_says_of_which_queue(self) -> None:
        """And is not told of the own message; other devices of the same user are."""
        tablet = self.gateway.client(1, device="tablet")
        seq = self.alice.say(said(1, SUPER))
        self.answer()
        metadata, ack = self.alice.told()
        self.assertEqual(metadata.message, client.Metadata(sync_key=500, prev_sync_key=400))
        self.assertEqual((ack.message, ack.flag), (client.Ack(seq=seq), SUPER_GROUP))
        self.assertEqual(len(tablet.messages()), 3)

    def test_routers_are_asked_for_pushes_and_told_once_for_all_gateways(self) -> None:
        """Whatever the number of members."""
        self.alice.say(said(1, SUPER))
        self.answer()
        push, publish = self.gateway.routing.take()
        body = stored(1, SUPER).encode(1)
        self.assertEqual(push[:3], ("push_group", APP, SUPER))
        self.assertEqual((sorted(push[3]), push[4], push[5:]), ([1, 2, 3], 1, (8, body)))
        flag = PUSH | SUPER_GROUP
        self.assertEqual(publish, ("publish_group", APP, SUPER, 8, body, flag, 500, 400))

    def test_what_was_not_stored_is_not_told(self) -> None:
        """And the ack says so."""
        seq = self.alice.say(said(1, SUPER))
        self.answer(AckStatus.STORAGE_FULL)
        status = AckStatus.STORAGE_FULL
        self.assertEqual(self.alice.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual((self.bob.messages(), self.gateway.routing.take()), ([], []))

    def test_with_notifies_only_the_message_itself_does_not_travel(self) -> None:
        """For apps of 2018."""
        self.start(TestGateway(direct_push=False))
        seq = self.alice.say(said(1, SUPER))
        self.answer()
        notify = client.SyncGroupNotify(group_id=SUPER, sync_key=500)
        self.assertEqual(self.bob.messages(), [notify])
        self.assertEqual(self.alice.messages(), [client.Ack(seq=seq)])
        published = self.gateway.routing.take()[1]
        self.assertEqual(published[:5], ("publish_group", APP, SUPER, 33, notify.encode()))

    def test_what_another_gateway_publishes_reaches_the_members_here(self) -> None:
        """The message with its ids, a notify, or something live."""
        body = stored(3, SUPER).encode(1)
        flag = PUSH | SUPER_GROUP
        publish = self.gateway.publications.published_to_group
        publish(APP, SUPER, encode_frame(8, body, 0, 1, flag), 500, 400)
        labels = [type(one).label for one in self.bob.messages()]
        self.assertEqual(labels, ["METADATA", "GROUP_IM", "SYNC_GROUP_NOTIFY"])
        notify = client.SyncGroupNotify(group_id=SUPER, sync_key=600)
        publish(APP, SUPER, notify.frame(), 0, 0)
        self.assertEqual(self.bob.messages(), [notify])
        publish(APP, SUPER, encode_frame(8, body, 0, 1, flag), 0, 0)
        self.assertEqual(self.bob.messages(), [])
        publish(APP, SUPER, client.Notification(content=b"!").frame(), 0, 0)
        self.assertEqual(self.bob.messages(), [client.Notification(content=b"!")])
        self.assertEqual(self.eve.messages(), [])

    def test_a_notify_of_the_group_to_one_user_is_owed_too(self) -> None:
        """Whom another gateway tells alone: it is a notify like any other, and is not dropped."""
        notify = client.SyncGroupNotify(group_id=SUPER, sync_key=500)
        self.bob.connection.congested = True
        self.gateway.publications.published_to_user(User(APP, 2), notify.frame(), 0, 0)
        self.bob.connection.congested = False
        self.bob.session.drained()
        self.assertEqual(self.bob.messages(), [notify])

    def test_a_member_who_does_not_read_is_owed_one_notify_a_group(self) -> None:
        """The member gets the newest id per group when it reads again."""
        self.groups.at_hand[201] = group(201, 2, super=True)
        self.bob.connection.congested = True
        for key in (500, 700, 600):
            message = GroupMessage(8, stored(1, SUPER).encode(1), SUPER, key, 400)
            self.bob.session.deliver_group(message)
        self.bob.session.notify_group(201, 900)
        self.assertEqual(self.bob.messages(), [])
        self.bob.connection.congested = False
        self.bob.session.drained()
        self.assertEqual(
            self.bob.messages(),
            [
                client.SyncGroupNotify(group_id=SUPER, sync_key=700),
                client.SyncGroupNotify(group_id=201, sync_key=900),
            ],
        )


class OrdinaryGroupTests(GroupTestCase):
    """A place in every member's queue; the fan-out has its own tests."""

    def test_a_message_is_kept_with_its_receivers_and_goes_into_their_queues(self) -> None:
        """The sender's queue gets the message too."""
        self.alice.say(said(1, GROUP))
        ((message, _),) = self.gateway.pending.messages.values()
        self.assertEqual((message.members, message.device), ((1, 2, 3), 1))
        (save,) = self.gateway.storage.saves
        self.assertEqual(save.queues, [User(APP, uid) for uid in (1, 2, 3)])
        self.assertEqual(client.GroupIM.decode(save.body), stored(1, GROUP))

    def test_the_ack_comes_with_the_ids_of_the_own_entry(self) -> None:
        """With the ids the client need not sync its own message."""
        seq = self.alice.say(said(1, GROUP))
        self.assertEqual(self.alice.messages(), [])
        self.gateway.storage.saves[0].answer(0, [(500, 300), (500, 301), (500, 302)])
        metadata, ack = self.alice.told()
        self.assertEqual(metadata.message, client.Metadata(sync_key=500, prev_sync_key=300))
        self.assertEqual((ack.message, ack.flag), (client.Ack(seq=seq), 0))
        labels = [type(one).label for one in self.bob.messages()]
        self.assertEqual(labels, ["METADATA", "GROUP_IM", "SYNC_NOTIFY"])

    def test_a_full_disk_of_the_gateway_is_told(self) -> None:
        """No member gets the message, and the sender gets the status."""
        self.gateway.pending.full = True
        seq = self.alice.say(said(1, GROUP))
        status = AckStatus.STORAGE_FULL
        self.assertEqual(self.alice.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual(self.gateway.storage.saves, [])

    def test_the_same_words_twice_in_a_second_are_two_messages(self) -> None:
        """Also from a bot that does not number them: they get a number of ours."""
        self.alice.say(said(1, GROUP, msgid=0), said(1, GROUP, msgid=0))
        first, second = (message.body for message, _ in self.gateway.pending.messages.values())
        self.assertNotEqual(first, second)
        self.assertEqual(client.GroupIM.decode(first).content, b"hello")

    def test_a_client_that_floods_is_held_up_and_nobody_else(self) -> None:
        """Messages that are not settled count like those that storage has not answered."""
        self.alice.say(*[said(1, GROUP) for _ in range(256)])
        self.assertEqual(self.alice.connection.paused, 1)
        self.gateway.clock.advance(2)
        self.assertEqual(self.alice.connection.paused, 0)
        self.assertEqual(len(self.alice.messages()), 256)


class GroupSyncTests(GroupTestCase):
    """Syncs of super groups: SYNC_GROUP and GROUP_SYNC_KEY."""

    def sync(self, who: TestClient, key: int, where: int = SUPER) -> list[object]:
        """Ask, and what comes."""
        who.say(client.SyncGroup(group_id=where, sync_key=key))
        return list(who.messages())

    def page(self, *messages: StoredMessage, more: bool = False, newest: int = 600) -> None:
        """Set the messages of the group's queue."""
        last = messages[-1].msgid if messages else 0
        self.gateway.storage.group_pages[APP, SUPER] = Page(last, newest, more, messages)

    def empty(self, key: int, where: int = SUPER) -> list[object]:
        """An answer that says: nothing new."""
        return [
            client.SyncGroupBegin(group_id=where, sync_key=key),
            client.SyncGroupEnd(group_id=where, sync_key=key),
        ]

    def test_a_member_gets_what_came_after_the_key(self) -> None:
        """Between begin and end, both of which name the group; own words marked."""
        body = stored(1, SUPER).encode(1)
        device = self.alice.session.device
        self.page(StoredMessage(500, 77, 8, body), StoredMessage(600, device, 8, body))
        self.alice.say(client.SyncGroup(group_id=SUPER, sync_key=400))
        told = self.alice.told()
        self.assertEqual(
            [(type(one.message).label, one.flag) for one in told],
            [("SYNC_GROUP_BEGIN", 0), ("GROUP_IM", 0), ("GROUP_IM", SELF), ("SYNC_GROUP_END", 0)],
        )
        self.assertEqual(told[-1].message, client.SyncGroupEnd(group_id=SUPER, sync_key=600))

    def test_a_long_history_comes_page_by_page(self) -> None:
        """Nothing is left out: a notify asks the client to come again."""
        self.page(StoredMessage(500, 77, 8, stored(2, SUPER).encode(1)), more=True, newest=9000)
        *_, end, notify = self.sync(self.alice, 400)
        self.assertEqual(end, client.SyncGroupEnd(group_id=SUPER, sync_key=500))
        self.assertEqual(notify, client.SyncGroupNotify(group_id=SUPER, sync_key=501))

    def test_what_was_said_before_somebody_joined_is_not_for_them(self) -> None:
        """Whatever key they come with."""
        self.groups.at_hand[SUPER].members[1] = membership(NOW - 60, False)
        self.sync(self.alice, 400)
        self.sync(self.alice, 0)
        self.assertEqual(
            self.gateway.storage.group_fetched,
            [(APP, SUPER, 400, NOW - 60), (APP, SUPER, 0, NOW - 60)],
        )

    def test_to_anybody_else_the_queue_is_empty(self) -> None:
        """Nobody reads a group by knowing its number; yet every sync ends."""
        self.page(StoredMessage(500, 77, 8, stored(1, SUPER).encode(1)))
        self.assertEqual(self.sync(self.eve, 3), self.empty(3))
        self.groups.at_hand[300] = group(300, 1, appid=8, super=True)
        self.assertEqual(self.sync(self.alice, 3, 300), self.empty(3, 300))
        self.assertEqual(self.sync(self.alice, 3, 999), self.empty(3, 999))
        self.groups.away = True
        self.assertEqual(self.sync(self.alice, 3, 998), self.empty(3, 998))
        self.assertEqual(self.gateway.storage.group_fetched, [])

    def test_a_group_that_nobody_used_here_yet_is_loaded(self) -> None:
        """The original did not answer at all until somebody spoke."""
        self.groups.stored[300] = group(300, 1, super=True)
        self.assertEqual(self.sync(self.alice, 3, 300)[1], self.empty(0, 300)[1])
        self.assertEqual(self.gateway.storage.group_fetched, [(APP, 300, 3, 1)])

    def test_a_key_beyond_the_queue_is_set_back(self) -> None:
        """In the client and in the store."""
        reader = GroupReader(APP, 1, SUPER)
        self.gateway.memory.sync_keys[reader] = 9000
        self.page(newest=600)
        self.assertEqual(
            self.sync(self.alice, 9000)[-1], client.SyncGroupEnd(group_id=SUPER, sync_key=600)
        )
        self.assertEqual(self.gateway.memory.sync_keys[reader], 600)

    def test_while_storage_is_away_the_sync_still_ends(self) -> None:
        """With the client's own key."""
        away = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.gateway.storage.group_pages[APP, SUPER] = away
        self.assertEqual(self.sync(self.alice, 400), self.empty(400))

    def test_when_storage_is_back_members_are_notified(self) -> None:
        """A client whose sync failed would else not know that there are messages."""
        away = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.gateway.storage.group_pages[APP, SUPER] = away
        self.sync(self.alice, 400)
        self.gateway.clock.pump([1] * 5)
        self.page(newest=600)
        self.gateway.clock.pump([1] * 5)
        notify = client.SyncGroupNotify(group_id=SUPER, sync_key=600)
        self.assertEqual(self.alice.messages(), [notify])

    def test_a_client_without_a_key_begins_where_the_user_was(self) -> None:
        """A user and a group have their own key; another member's is another."""
        self.page()
        self.alice.say(client.GroupSyncKey(group_id=SUPER, sync_key=450))
        self.sync(self.alice, 0)
        self.sync(self.bob, 0)
        fetched = [after for _, _, after, _ in self.gateway.storage.group_fetched]
        self.assertEqual(fetched, [450, 0])
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {GroupReader(APP, 1, SUPER): 450})

    def test_keys_of_groups_that_a_user_is_not_in_are_not_kept(self) -> None:
        """Nobody fills the store with keys of groups that do not concern them."""
        self.eve.say(client.GroupSyncKey(group_id=SUPER, sync_key=450))
        self.eve.say(client.GroupSyncKey(group_id=12345, sync_key=450))
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {})

    def test_who_is_in_very_many_groups_misses_nothing(self) -> None:
        """The client is notified of groups beyond the bound, and asks again."""
        first: Deferred[Page] = Deferred()
        for number in range(QUEUES_AT_ONCE + 2):
            self.groups.at_hand[1000 + number] = group(1000 + number, 2, super=True)
            self.gateway.storage.group_pages[APP, 1000 + number] = first
        groups = range(1000, 1000 + QUEUES_AT_ONCE + 2)
        self.bob.say(*[client.SyncGroup(group_id=one, sync_key=5) for one in groups])
        late = [one.group_id for one in self.bob.messages() if type(one) is client.SyncGroupNotify]
        self.assertEqual(late, list(groups[QUEUES_AT_ONCE:]))

    def test_during_a_sync_of_the_group_its_messages_are_only_notified(self) -> None:
        """Messages in other queues are still pushed."""
        page: Deferred[Page] = Deferred()
        self.gateway.storage.group_pages[APP, SUPER] = page
        self.bob.say(client.SyncGroup(group_id=SUPER, sync_key=400))
        body = stored(1, SUPER).encode(1)
        self.bob.session.deliver_group(GroupMessage(8, body, SUPER, 500, 400))
        notify = client.SyncGroupNotify(group_id=SUPER, sync_key=500)
        self.assertEqual(self.bob.messages(), [notify])
        self.bob.session.deliver_group(GroupMessage(8, body, 201, 500, 400))
        self.bob.session.deliver(8, body, 0, 500, 400)
        self.assertEqual(len(self.bob.messages()), 6)
        page.callback(Page(0, 0, False, ()))
        self.assertEqual(len(self.bob.messages()), 2)


class AudienceTests(GroupTestCase):
    """Many members, and groups that are not at hand."""

    def publish(self, key: int, where: int = SUPER) -> None:
        """A notify from another gateway."""
        notify = client.SyncGroupNotify(group_id=where, sync_key=key)
        self.gateway.publications.published_to_group(APP, where, notify.frame(), 0, 0)

    def keys(self, who: TestClient) -> list[int]:
        """The keys that it was notified of."""
        return [one.sync_key for one in who.messages() if isinstance(one, client.SyncGroupNotify)]

    def test_a_group_that_is_not_at_hand_is_loaded_and_told_in_order(self) -> None:
        """The notify is not lost because nobody here used the group before."""
        self.groups.stored[300] = group(300, 2, super=True)
        self.publish(500, 300)
        self.publish(600, 300)
        self.assertEqual(self.keys(self.bob), [500, 600])

    def test_while_groups_are_away_the_newest_id_is_kept(self) -> None:
        """And told when they are back."""
        self.groups.stored[300] = group(300, 2, super=True)
        self.groups.away = True
        for key in (500, 700, 600):
            self.publish(key, 300)
        self.gateway.clock.advance(RETRY_SECONDS)
        self.groups.away = False
        self.gateway.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.keys(self.bob), [700])
        self.publish(800, 300)
        self.assertEqual(self.keys(self.bob), [800])

    def test_a_group_that_is_gone_is_forgotten(self) -> None:
        """Publications that waited for the group are dropped."""
        self.publish(500, 999)
        self.publish(600, 999)
        self.assertEqual(self.groups.asked, [999, 999])

    def test_a_very_large_group_is_told_over_several_turns_and_in_order(self) -> None:
        """Others are served between."""
        big = self.groups.at_hand[SUPER]
        uids = range(10, 10 + 2 * USERS_PER_TURN + 1)
        big.members.update(dict.fromkeys(uids, membership(1, False)))
        for uid in uids:
            user = User(APP, uid)
            self.gateway.sessions._of[user] = (self.bob.session,)  # without a client each
        self.publish(500)
        self.publish(600)
        first = self.keys(self.bob)
        self.assertLess(len(first), len(uids))
        self.assertEqual(set(first), {500})
        for _ in range(10):
            self.gateway.clock.advance(0)
        rest = self.keys(self.bob)
        told = first + rest
        self.assertEqual(told, [500] * (len(uids) + 1) + [600] * (len(uids) + 1))

    def make_big(self) -> None:
        """The super group has more members than are told in a turn; bob is each of them."""
        big = self.groups.at_hand[SUPER]
        uids = range(10, 10 + USERS_PER_TURN + 1)
        big.members.update(dict.fromkeys(uids, membership(1, False)))
        for uid in uids:
            self.gateway.sessions._of[User(APP, uid)] = (self.bob.session,)

    def test_who_left_meanwhile_is_not_told_even_if_the_group_was_loaded_anew(self) -> None:
        """However long the stream of messages is already."""
        self.make_big()
        self.publish(500)
        self.publish(600)
        self.groups.at_hand[SUPER] = group(SUPER, 1, super=True)
        self.bob.messages()
        for _ in range(10):
            self.gateway.clock.advance(0)
        self.assertEqual(self.keys(self.bob), [])
        self.assertEqual(self.keys(self.alice), [500, 600])

    def test_a_group_that_is_disbanded_meanwhile_is_forgotten(self) -> None:
        """Nobody is told any more."""
        self.make_big()
        self.publish(500)
        self.publish(600)
        self.bob.messages()
        del self.groups.at_hand[SUPER]
        for _ in range(10):
            self.gateway.clock.advance(0)
        self.assertEqual(self.keys(self.bob), [])
        self.assertEqual(len(self.groups.asked), 2)

    def test_a_group_that_cannot_be_loaded_again_in_between_is_told_later(self) -> None:
        """No delivery is lost."""
        self.make_big()
        self.publish(500)
        self.publish(600)
        big = self.groups.at_hand.pop(SUPER)
        self.groups.away = True
        self.gateway.clock.advance(0)
        self.groups.away = False
        self.groups.stored[SUPER] = big
        self.gateway.clock.advance(RETRY_SECONDS)
        for _ in range(10):
            self.gateway.clock.advance(0)
        told = self.keys(self.bob)
        self.assertEqual(told, [500] * (USERS_PER_TURN + 2) + [600] * (USERS_PER_TURN + 2))

    def test_a_bug_in_telling_a_large_group_holds_up_nothing_else(self) -> None:
        """The delivery with the bug is given up; the next one reaches all members."""
        self.make_big()

        def bug(session: Session) -> None:
            raise RuntimeError("a bug")

        gateway, tasks, told = self.gateway, FakeTasks(), set[Session]()
        members_here = GroupMembersHere(self.groups, gateway.sessions, gateway.world(tasks=tasks))
        members_here.deliver(APP, SUPER, bug, 500)
        members_here.deliver(APP, SUPER, told.add, 600)
        for _ in range(10):
            gateway.clock.advance(0)
        self.assertEqual(len(tasks.failures), 1)
        self.assertEqual(told, {self.alice.session, self.bob.session})

    def test_what_is_too_much_for_a_group_that_waits_ends_in_one_notify(self) -> None:
        """Memory is bounded, and the newest id still comes."""
        self.groups.away = True
        self.groups.stored[300] = group(300, 2, super=True)
        self.publish(1, 300)
        for key in range(2, MAX_WAITING_CALLS + 50):
            self.publish(key, 300)
        self.groups.away = False
        self.gateway.clock.advance(RETRY_SECONDS)
        told = self.keys(self.bob)
        self.assertEqual(told[-1], MAX_WAITING_CALLS + 49)
        self.assertLessEqual(len(told), MAX_WAITING_CALLS + 1)
