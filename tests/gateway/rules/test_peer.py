"""Messages from a user to a user."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.sessions.saves_in_flight import MAX_SAVES_PER_SESSION
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.wire import Frame, client
from gobelieve.wire.frames import PUSH, SELF, SUPER_GROUP, TEXT
from tests.gateway.support import APP, TestClient, TestGateway, Told

NOW = 1_700_000_000


def im(sender: int, receiver: int, content: bytes = b"hello") -> client.IM:
    """A message as an app sends it."""
    return client.IM(sender=sender, receiver=receiver, timestamp=1, msgid=9, content=content)


def stored(sender: int, receiver: int, content: bytes = b"hello") -> client.IM:
    """Return the message as it is stored, with the server's time."""
    return client.IM(sender=sender, receiver=receiver, timestamp=NOW, msgid=9, content=content)


def shape(told: list[Told]) -> list[tuple[str, int]]:
    """Return the labels and flags of the frames."""
    return [(one.message.label, one.flag) for one in told]


class PeerTests(SynchronousTestCase):
    """IM: stored, told, acked."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1, device="a1")
        self.bob = self.gateway.client(2, device="b1")
        self.gateway.routing.take()

    def test_a_message_goes_to_both_queues_with_the_servers_time(self) -> None:
        """One save names the body and the queues of receiver and sender."""
        self.alice.say(im(1, 2))
        (save,) = self.gateway.storage.saves
        self.assertEqual(save.queues, (User(APP, 2), User(APP, 1)))
        self.assertEqual(save.device, self.alice.session.device)
        self.assertEqual(client.IM.decode(save.body), stored(1, 2))

    def test_nobody_is_told_before_it_is_stored(self) -> None:
        """Neither receiver, nor sender, nor routers."""
        self.alice.say(im(1, 2))
        self.assertEqual((self.alice.messages(), self.bob.messages()), ([], []))
        self.assertEqual(self.gateway.routing.take(), [])

    def test_the_receiver_gets_metadata_message_and_notify(self) -> None:
        """The message with PUSH directly behind its metadata."""
        self.alice.say(im(1, 2))
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        metadata, message, notify = self.bob.told()
        self.assertEqual(metadata.message, client.Metadata(sync_key=500, prev_sync_key=400))
        self.assertEqual((message.message, message.flag), (stored(1, 2), PUSH))
        self.assertEqual(notify.message, client.SyncNotify(sync_key=500))
        self.assertEqual([metadata.seq, message.seq, notify.seq], [2, 3, 4])

    def test_the_sender_gets_metadata_and_ack(self) -> None:
        """With the previous id of its own queue."""
        seq = self.alice.say(im(1, 2))
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        self.assertEqual(
            self.alice.messages(),
            [client.Metadata(sync_key=500, prev_sync_key=300), client.Ack(seq=seq)],
        )

    def test_the_senders_other_device_is_told_with_its_own_id(self) -> None:
        """The device that sent is not."""
        other = self.gateway.client(1, device="a2")
        self.alice.say(im(1, 2))
        self.gateway.storage.saves[0].answer(0, [(500, 400), (510, 300)])
        self.assertEqual(
            other.messages(),
            [
                client.Metadata(sync_key=510, prev_sync_key=300),
                stored(1, 2),
                client.SyncNotify(sync_key=510),
            ],
        )
        self.assertEqual([m.label for m in self.alice.messages()], ["METADATA", "ACK"])

    def test_a_second_browser_of_the_sender_is_told(self) -> None:
        """All browsers are device 0; only the session that sent is left out."""
        one = self.gateway.client(3, platform=3, device="x")
        two = self.gateway.client(3, platform=3, device="y")
        one.say(im(3, 2))
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        self.assertEqual([m.label for m in one.messages()], ["METADATA", "ACK"])
        self.assertEqual([m.label for m in two.messages()], ["METADATA", "IM", "SYNC_NOTIFY"])

    def test_the_routers_get_the_push_notice_and_one_publication_a_user(self) -> None:
        """In this order: the phone push, the receiver, the sender's other devices."""
        self.alice.say(im(1, 2))
        body = self.gateway.storage.saves[0].body
        self.gateway.storage.saves[0].answer(0, [(500, 400), (501, 300)])
        self.assertEqual(
            self.gateway.routing.take(),
            [
                ("push", APP, (2,), 4, body),
                ("publish", User(APP, 2), 4, body, PUSH, 500, 400),
                ("publish", User(APP, 1), 4, body, PUSH, 501, 300),
            ],
        )

    def test_the_first_message_of_a_queue_is_only_notified(self) -> None:
        """Without a previous id the client could not place a push."""
        self.alice.say(im(1, 2))
        self.gateway.storage.saves[0].answer(0, [(32, 0), (32, 0)])
        self.assertEqual(self.bob.messages(), [client.SyncNotify(sync_key=32)])
        self.assertEqual([m.label for m in self.alice.messages()], ["ACK"])

    def test_a_message_to_oneself_is_entered_once(self) -> None:
        """And told to the other devices once."""
        other = self.gateway.client(1, device="a2")
        self.alice.say(im(1, 1))
        (save,) = self.gateway.storage.saves
        self.assertEqual(save.queues, (User(APP, 1),))
        save.answer(0, [(500, 400)])
        self.assertEqual([m.label for m in other.messages()], ["METADATA", "IM", "SYNC_NOTIFY"])
        self.assertEqual([m.label for m in self.alice.messages()], ["METADATA", "ACK"])

    def test_a_forged_sender_is_refused(self) -> None:
        """Acked with a status, stored nowhere."""
        self.alice.session.version = self.alice.version = 2
        seq = self.alice.say(im(2, 1))
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(
            self.alice.messages(), [client.Ack(seq=seq, status=AckStatus.FORGED_SENDER)]
        )

    def test_only_the_text_flag_of_a_client_is_kept(self) -> None:
        """A client cannot forge SELF or SUPER_GROUP at the receiver."""
        self.alice.say(im(1, 2), flag=TEXT | SELF | SUPER_GROUP | PUSH)
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        self.assertEqual(self.bob.told()[1].flag, TEXT | PUSH)
        self.assertEqual(self.gateway.routing.take()[1][4], TEXT | PUSH)

    def test_a_client_that_hung_up_does_not_stop_the_delivery(self) -> None:
        """Its message is stored, so it is told."""
        self.alice.say(im(1, 2))
        self.alice.hang_up()
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        self.assertEqual(len(self.bob.messages()), 3)

    def test_the_oldest_protocol_has_no_timestamp(self) -> None:
        """Version 0 in, version 0 out; stored with the time all the same."""
        old = self.gateway.client(3, version=0)
        old.say(im(3, 3))
        (save,) = self.gateway.storage.saves
        self.assertEqual(client.IM.decode(save.body).timestamp, NOW)
        other = self.gateway.client(3, version=0, device="o2")
        save.answer(0, [(500, 400)])
        _, message, _ = other.told()
        self.assertEqual(message.version, 0)
        self.assertEqual(
            message.message, client.IM(sender=3, receiver=3, msgid=9, content=b"hello")
        )

    def test_a_short_body_cuts_the_client_off(self) -> None:
        """Every command with a body."""
        for cmd, size in ((4, 23), (17, 15), (10, 15), (22, 3), (26, 7), (34, 7)):
            victim = self.gateway.client(40 + cmd)
            victim.session.received([Frame(cmd, 1, 0, 1, bytes(size))])
            self.assertIsNotNone(victim.connection.cut_for, f"command {cmd}")

    def test_frames_before_a_bad_one_still_count(self) -> None:
        """And those behind it do not."""
        good = im(1, 2).encode(1)
        self.alice.session.received(
            [Frame(4, 1, 0, 1, good), Frame(4, 1, 0, 2, b"short"), Frame(4, 1, 0, 3, good)]
        )
        self.assertEqual(len(self.gateway.storage.saves), 1)


class FailureTests(SynchronousTestCase):
    """Storage does not keep a message."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.bob = self.gateway.client(2)

    def sent(self, version: int, status: int, *entries: tuple[int, int]) -> TestClient:
        """A client of a version whose message came to this end."""
        alice = self.gateway.client(1, version=version)
        self.gateway.routing.take()
        alice.say(im(1, 2))
        self.gateway.storage.saves.pop().answer(status, entries)
        return alice

    def test_a_new_client_learns_the_status(self) -> None:
        """From 100 on they are ours."""
        alice = self.sent(2, AckStatus.STORAGE_AWAY, (0, 0), (0, 0))
        self.assertEqual(
            alice.messages(), [client.Ack(seq=alice.seq, status=AckStatus.STORAGE_AWAY)]
        )

    def test_an_old_client_gets_no_ack_so_that_it_sends_again(self) -> None:
        """It would take any ack for success."""
        alice = self.sent(1, AckStatus.STORAGE_FULL, (0, 0), (0, 0))
        self.assertEqual(alice.messages(), [])

    def test_nobody_is_told_of_what_is_not_stored(self) -> None:
        """Neither receiver nor routers."""
        self.sent(2, AckStatus.STORAGE_FAILED, (0, 0), (0, 0))
        self.assertEqual(self.bob.messages(), [])
        self.assertEqual(self.gateway.routing.take(), [])

    def test_when_only_the_receivers_copy_is_stored_it_is_told_and_the_ack_says_failure(
        self,
    ) -> None:
        """Nothing stored is hidden, nothing unstored is acked as success."""
        alice = self.sent(2, AckStatus.STORAGE_AWAY, (500, 400), (0, 0))
        self.assertEqual(len(self.bob.messages()), 3)
        self.assertEqual(
            alice.messages(), [client.Ack(seq=alice.seq, status=AckStatus.STORAGE_AWAY)]
        )


class UnderwayTests(SynchronousTestCase):
    """Messages that storage has not answered yet."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)

    def test_a_client_that_sends_without_end_is_not_read_from_until_answers_come(self) -> None:
        """It holds up its own messages and nobody else's."""
        self.alice.say(*[im(1, 2)] * (MAX_SAVES_PER_SESSION - 1))
        self.assertEqual(self.alice.connection.paused, 0)
        self.alice.say(im(1, 2), im(1, 2))
        self.assertEqual(self.alice.connection.paused, 1)
        first, second, *_ = self.gateway.storage.saves
        first.answer(0, [(500, 400), (500, 300)])
        self.assertEqual(self.alice.connection.paused, 1)
        second.answer(AckStatus.STORAGE_AWAY, [(0, 0), (0, 0)])
        self.assertEqual(self.alice.connection.paused, 0)

    def test_the_end_of_the_last_one_is_told_behind_its_ack(self) -> None:
        """A gateway that stops waits for it."""
        told: list[list[str]] = []
        self.alice.say(im(1, 2), im(1, 2))
        self.gateway.saves_in_flight.when_none(
            lambda: told.append([message.label for message in self.alice.messages()])
        )
        self.assertEqual(len(self.gateway.saves_in_flight), 2)
        for save in self.gateway.storage.saves:
            self.assertEqual(told, [])
            save.answer(0, [(500, 400), (500, 300)])
        self.assertEqual(told, [["METADATA", "ACK", "METADATA", "ACK"]])
        self.gateway.saves_in_flight.when_none(lambda: told.append([]))
        self.assertEqual(told[-1], [])

    def test_during_a_sync_the_ack_comes_without_metadata(self) -> None:
        """It would move the client's key, and SYNC_END would move it back."""
        page: Deferred[Page] = Deferred()
        self.gateway.storage.pages[User(APP, 1)] = page
        seq = self.alice.say(im(1, 2), client.Sync(sync_key=300)) - 1
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        self.assertEqual(self.alice.messages(), [client.Ack(seq=seq)])


class NotifyOnlyTests(SynchronousTestCase):
    """`direct_push = false`: as the seed does."""

    def test_only_ids_travel(self) -> None:
        """To sessions and to routers."""
        gateway = TestGateway(direct_push=False)
        alice, bob = gateway.client(1), gateway.client(2)
        other = gateway.client(1, device="a2")
        gateway.routing.take()
        seq = alice.say(im(1, 2))
        body = gateway.storage.saves[0].body
        gateway.storage.saves[0].answer(0, [(500, 400), (501, 300)])
        self.assertEqual(bob.messages(), [client.SyncNotify(sync_key=500)])
        self.assertEqual(other.messages(), [client.SyncNotify(sync_key=501)])
        self.assertEqual(alice.messages(), [client.Ack(seq=seq)])
        self.assertEqual(
            gateway.routing.take(),
            [
                ("push", APP, (2,), 4, body),
                ("publish", User(APP, 2), 29, (500).to_bytes(8, "big"), 0, 0, 0),
                ("publish", User(APP, 1), 29, (501).to_bytes(8, "big"), 0, 0, 0),
            ],
        )


class LiveTests(SynchronousTestCase):
    """RT and INPUTING: to whoever is there."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)
        self.bob = self.gateway.client(2)
        self.gateway.routing.take()

    def test_they_reach_the_receiver_here_and_elsewhere_unchanged(self) -> None:
        """No ack, nothing stored."""
        rt = client.RT(sender=1, receiver=2, content=b"live")
        typing = client.Inputing(sender=1, receiver=2)
        self.alice.say(rt, typing)
        self.alice.session.received([Frame(10, 1, 0, 9, typing.encode() + b"more")])
        self.assertEqual(self.gateway.routing.told.pop()[3], typing.encode())
        self.assertEqual(self.bob.messages()[-1:], [typing])
        self.alice.say(rt, typing)
        self.gateway.routing.told[:2] = []
        self.assertEqual(self.bob.messages(), [rt, typing])
        self.assertEqual(self.alice.messages(), [])
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(
            self.gateway.routing.take(),
            [
                ("publish", User(APP, 2), 17, rt.encode(), 0, 0, 0),
                ("publish", User(APP, 2), 10, typing.encode(), 0, 0, 0),
            ],
        )

    def test_a_forged_sender_goes_nowhere(self) -> None:
        """For typing too, which upstream did not check."""
        self.alice.say(
            client.RT(sender=2, receiver=2, content=b"x"), client.Inputing(sender=2, receiver=2)
        )
        self.assertEqual(self.bob.messages(), [])
        self.assertEqual(self.gateway.routing.take(), [])
        self.assertEqual(self.gateway.counters["forged_senders"], 2)

    def test_to_oneself_they_reach_the_other_devices(self) -> None:
        """Not the one that sent."""
        other = self.gateway.client(1, device="a2")
        self.alice.say(client.RT(sender=1, receiver=1, content=b"x"))
        self.assertEqual(len(other.messages()), 1)
        self.assertEqual(self.alice.messages(), [])


class NotStoredTests(SynchronousTestCase):
    """`PeerDelivery` takes kinds of messages that are stored, and no others."""

    def test_a_live_message_is_not_saved_but_reported_as_an_error(self) -> None:
        """Storage would take an RT, but no sync would ever give it to a client."""
        gateway = TestGateway()
        alice, rt = gateway.client(1), client.RT(sender=1, receiver=2, content=b"x")
        peer_delivery = PeerDelivery(
            saver=gateway.storage,
            delivery=gateway.delivery,
            routing=gateway.routing,
            saves_in_flight=gateway.saves_in_flight,
            counters=gateway.counters,
        )
        sender, receiver = User(APP, 1), User(APP, 2)
        with self.assertRaises(ValueError):
            peer_delivery.send(alice.session, 1, receiver, rt.number, rt.encode(), 0)
        with self.assertRaises(ValueError):
            peer_delivery.post(sender, receiver, rt.number, rt.encode(), lambda status: None)
        self.assertEqual((gateway.storage.saves, len(gateway.saves_in_flight)), ([], 0))


class IgnoredTests(SynchronousTestCase):
    """Commands that a client may send and the gateway ignores."""

    def test_retired_commands_and_answers_are_ignored(self) -> None:
        """They are parsed by their header alone and do not end the connection."""
        gateway = TestGateway()
        alice = gateway.client(1)
        for cmd in (1, 2, 5, 6, 9, 11, 12, 14, 16, 23, 37):
            alice.session.received([Frame(cmd, 1, 0, 1, bytes(40)), Frame(cmd, 1, 0, 1, b"")])
        self.assertEqual(alice.messages(), [])
        self.assertIsNone(alice.connection.ended)
