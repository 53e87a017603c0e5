"""Sync: what a client gets when it asks for what it does not have."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.wire import client, customers
from gobelieve.wire.frames import SELF
from gobelieve.wire.storage import StoredMessage
from tests.gateway.support import APP, TestGateway

ALICE = User(APP, 1)


def im(msgid: int, sender: int, device: int = 99) -> StoredMessage:
    """A stored peer message."""
    body = client.IM(sender=sender, receiver=1, timestamp=5, msgid=0, content=b"%d" % msgid)
    return StoredMessage(msgid, device, 4, body.encode())


class SyncTests(SynchronousTestCase):
    """SYNC and its answer."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)

    def put(self, *messages: StoredMessage, more: bool = False) -> None:
        """Let storage have these for Alice."""
        last = messages[-1].msgid
        self.gateway.storage.pages[ALICE] = Page(last, last + more, more, messages)

    def test_messages_come_oldest_first_between_begin_and_end(self) -> None:
        """END carries the id of the last."""
        self.put(im(100, 2), im(200, 3))
        self.alice.say(client.Sync(sync_key=50))
        told = self.alice.messages()
        self.assertEqual(self.gateway.storage.fetched, [(ALICE, 50)])
        self.assertEqual(told[0], client.SyncBegin(sync_key=50))
        self.assertEqual(
            [m.content for m in told[1:3] if isinstance(m, client.IM)], [b"100", b"200"]
        )
        self.assertEqual(told[3], client.SyncEnd(sync_key=200))
        self.assertEqual(len(told), 4)

    def test_an_empty_sync_ends_with_the_clients_own_key(self) -> None:
        """The key means that there is nothing new."""
        self.gateway.storage.pages[ALICE] = Page(500, 500, False, ())
        self.alice.say(client.Sync(sync_key=500))
        self.assertEqual(
            self.alice.messages(), [client.SyncBegin(sync_key=500), client.SyncEnd(sync_key=500)]
        )

    def test_a_client_without_a_key_goes_on_where_the_user_was(self) -> None:
        """Also when that was not written to the store yet."""
        self.gateway.memory.sync_keys[ALICE] = 70
        self.gateway.storage.pages[ALICE] = Page(90, 90, False, ())
        self.alice.say(client.Sync(sync_key=0))
        self.alice.say(client.SyncKey(sync_key=90), client.Sync(sync_key=0))
        self.assertEqual(self.gateway.storage.fetched, [(ALICE, 70), (ALICE, 90)])

    def test_without_the_store_of_keys_everything_is_synced(self) -> None:
        """Better twice than never."""
        self.gateway.memory.away = True
        self.alice.say(client.Sync(sync_key=0))
        self.assertEqual(self.gateway.storage.fetched, [(ALICE, 0)])

    def test_more_pages_are_announced_behind_the_end(self) -> None:
        """By a notify beyond the page, upon which the client syncs again."""
        self.put(im(100, 2), more=True)
        self.alice.say(client.Sync(sync_key=0))
        self.assertEqual(
            self.alice.messages()[2:],
            [client.SyncEnd(sync_key=100), client.SyncNotify(sync_key=101)],
        )

    def test_own_messages_of_this_device_are_marked(self) -> None:
        """Messages from the user's other devices are not marked."""
        device = self.alice.session.device
        self.put(im(100, 1, device), im(200, 1, device + 1), im(300, 2, device))
        self.alice.say(client.Sync(sync_key=0))
        self.assertEqual([t.flag for t in self.alice.told()], [0, SELF, 0, 0, 0])

    def test_own_messages_can_be_left_out(self) -> None:
        """`sync_self = false`; the key moves past them all the same."""
        gateway = TestGateway(sync_self=False)
        alice = gateway.client(1)
        gateway.storage.pages[ALICE] = Page(
            200, 200, False, [im(100, 2), im(200, 1, alice.session.device)]
        )
        alice.say(client.Sync(sync_key=0))
        self.assertEqual([m.label for m in alice.messages()], ["SYNC_BEGIN", "IM", "SYNC_END"])

    def test_another_browser_tab_does_not_miss_what_the_first_sent(self) -> None:
        """All browsers are device 0, so nothing of device 0 is left out."""
        gateway = TestGateway(sync_self=False)
        tab = gateway.client(1, platform=3)
        gateway.storage.pages[ALICE] = Page(100, 100, False, [im(100, 1, 0)])
        tab.say(client.Sync(sync_key=0))
        self.assertEqual([t.flag for t in tab.told()], [0, 0, 0])

    def test_a_customer_message_is_own_by_its_app_and_user(self) -> None:
        """The kinds have their sender in different places."""
        device = self.alice.session.device
        v2 = customers.CustomerV2(
            sender_appid=APP, sender=1, receiver_appid=9, receiver=5, timestamp=1, content=b""
        )
        foreign = customers.CustomerV2(
            sender_appid=9, sender=1, receiver_appid=APP, receiver=1, timestamp=1, content=b""
        )
        old = customers.CustomerSupport(
            customer_appid=9, customer_id=8, store_id=3, seller_id=1, timestamp=1, content=b""
        )
        self.put(
            StoredMessage(1, device, 64, v2.encode()),
            StoredMessage(2, device, 64, foreign.encode()),
            StoredMessage(3, device, 25, old.encode()),
            StoredMessage(4, device, 21, b"system"),
        )
        self.alice.say(client.Sync(sync_key=0))
        self.assertEqual([t.flag for t in self.alice.told()], [0, SELF, 0, SELF, 0, 0])

    def test_a_client_ahead_of_its_queue_is_set_back(self) -> None:
        """And so is the key that is kept for the user."""
        self.gateway.memory.sync_keys[ALICE] = 10**15
        self.gateway.storage.pages[ALICE] = Page(300, 300, False, ())
        self.alice.say(client.Sync(sync_key=10**15))
        self.assertEqual(self.alice.messages()[-1], client.SyncEnd(sync_key=300))
        self.assertEqual(self.gateway.memory.sync_keys[ALICE], 300)

    def test_a_kept_key_beyond_the_queue_is_no_key(self) -> None:
        """A client that names none gets all that there is; better twice than never."""
        self.gateway.memory.sync_keys[ALICE] = 10**15
        self.gateway.storage.pages[ALICE] = Page(300, 300, False, ())
        self.alice.say(client.Sync(sync_key=0))
        self.assertEqual(self.gateway.storage.fetched, [(ALICE, 10**15), (ALICE, 0)])
        self.assertEqual(
            self.alice.messages(), [client.SyncBegin(sync_key=0), client.SyncEnd(sync_key=300)]
        )
        self.assertEqual(self.gateway.memory.sync_keys[ALICE], 0)

    def test_while_storage_is_away_a_sync_still_ends(self) -> None:
        """With the client's own key, so that it neither hangs nor moves."""
        self.gateway.storage.pages[ALICE] = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.alice.say(client.Sync(sync_key=77))
        self.assertEqual(
            self.alice.messages(), [client.SyncBegin(sync_key=77), client.SyncEnd(sync_key=77)]
        )

    def test_when_storage_is_back_who_could_not_sync_is_notified(self) -> None:
        """Else the client would not know that there is something, until the next message."""
        self.gateway.storage.pages[ALICE] = StorageError(AckStatus.STORAGE_AWAY, "away")
        self.alice.say(client.Sync(sync_key=77))
        self.gateway.clock.pump([1] * 5)
        self.alice.messages()
        self.gateway.storage.pages[ALICE] = Page(0, 500, False, ())
        self.gateway.clock.pump([1] * 5)
        self.assertEqual(self.alice.messages(), [client.SyncNotify(sync_key=500)])

    def test_a_queue_that_is_damaged_is_not_asked_for_in_circles(self) -> None:
        """The client comes again with the next notify."""
        damaged = StorageError(AckStatus.STORAGE_FAILED, "damaged")
        self.gateway.storage.pages[ALICE] = damaged
        self.alice.say(client.Sync(sync_key=77))
        self.gateway.storage.pages[ALICE] = Page(0, 500, False, ())
        self.alice.messages()
        self.gateway.clock.pump([1] * 5)
        self.assertEqual(self.alice.messages(), [])

    def test_pings_are_answered_while_a_sync_is_under_way(self) -> None:
        """Storage may be slow; the client must not hang up for it."""
        page: Deferred[Page] = Deferred()
        self.gateway.storage.pages[ALICE] = page
        self.alice.say(client.Sync(sync_key=1), client.Ping())
        self.assertEqual(self.alice.messages(), [client.Pong()])
        page.callback(Page(1, 1, False, ()))
        self.assertEqual([m.label for m in self.alice.messages()], ["SYNC_BEGIN", "SYNC_END"])

    def test_every_sync_gets_its_end_also_when_they_are_piled_up(self) -> None:
        """One after another; beyond a bound at once."""
        page: Deferred[Page] = Deferred()
        self.gateway.storage.pages[ALICE] = page
        self.alice.say(*[client.Sync(sync_key=1)] * 30)
        at_once = self.alice.messages()
        self.gateway.storage.pages[ALICE] = Page(1, 1, False, ())
        page.callback(Page(1, 1, False, ()))
        ends = [m for m in at_once + self.alice.messages() if isinstance(m, client.SyncEnd)]
        self.assertEqual(len(ends), 30)

    def test_a_message_that_comes_during_a_sync_is_notified_not_pushed(self) -> None:
        """A push would move the client's key, and SYNC_END would move it back."""
        page: Deferred[Page] = Deferred()
        self.gateway.storage.pages[ALICE] = page
        self.alice.say(client.Sync(sync_key=1))
        self.alice.session.deliver(4, im(9, 2).body, 0, 9, 1)
        self.assertEqual(self.alice.messages(), [client.SyncNotify(sync_key=9)])
        page.callback(Page(1, 9, False, ()))
        self.alice.messages()
        self.alice.session.deliver(4, im(10, 2).body, 0, 10, 9)
        self.assertEqual(
            [m.label for m in self.alice.messages()], ["METADATA", "IM", "SYNC_NOTIFY"]
        )

    def test_a_client_that_does_not_read_gets_its_pages_one_at_a_time(self) -> None:
        """The rest of its SYNCs end empty, and a notify brings it back once it reads."""
        self.put(im(100, 2))
        self.alice.connection.congested = True
        self.alice.say(client.Sync(sync_key=5))
        self.assertEqual([m.label for m in self.alice.messages()], ["SYNC_BEGIN", "SYNC_END"])
        self.alice.connection.congested = False
        self.alice.session.drained()
        self.assertEqual(self.alice.messages(), [client.SyncNotify(sync_key=6)])


class KeptKeyTests(SynchronousTestCase):
    """SYNC_KEY, and how keys get to the store."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)

    def test_the_newest_key_of_a_user_is_written_once_an_interval(self) -> None:
        """Clients report one for each message."""
        for key in (10, 30, 20):
            self.alice.say(client.SyncKey(sync_key=key))
        self.assertEqual(self.gateway.memory.sync_keys, {})
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {ALICE: 30})

    def test_a_key_never_moves_back(self) -> None:
        """Two gateways may write in any order."""
        self.gateway.memory.sync_keys[ALICE] = 100
        self.alice.say(client.SyncKey(sync_key=50))
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {ALICE: 100})

    def test_keys_wait_while_the_store_is_away(self) -> None:
        """And are written when it is back."""
        self.gateway.memory.away = True
        self.alice.say(client.SyncKey(sync_key=50))
        self.gateway.clock.advance(1)
        self.gateway.memory.away = False
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {ALICE: 50})

    def test_what_waits_is_written_when_the_gateway_stops(self) -> None:
        """No second is lost by a clean stop."""
        self.alice.say(client.SyncKey(sync_key=50))
        self.successResultOf(Deferred.fromCoroutine(self.gateway.keys.flush()))
        self.assertEqual(self.gateway.memory.sync_keys, {ALICE: 50})

    def test_zero_and_negative_keys_are_ignored(self) -> None:
        """The kept key does not change."""
        self.alice.say(client.SyncKey(sync_key=0), client.SyncKey(sync_key=-5))
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.sync_keys, {})
