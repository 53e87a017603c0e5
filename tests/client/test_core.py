"""ClientCore: the client's side of the dialogue."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.client import (
    Acked,
    Broken,
    ClientCore,
    Event,
    KeyMoved,
    LiveReceived,
    LoggedIn,
    LoginRefused,
    MessageReceived,
    Overdue,
    Ponged,
    Synced,
)
from gobelieve.errors import BodyError
from gobelieve.names import User
from gobelieve.wire import Message, client, customers, encode_frame
from gobelieve.wire.frames import PUSH, SELF, SUPER_GROUP
from tests.client.scripted import ServerEnd, group_im, im


def contents(events: list[Event]) -> list[str]:
    """Return the contents of the messages among the events."""
    return [event.content.decode() for event in events if isinstance(event, MessageReceived)]


class CoreTestCase(SynchronousTestCase):
    """A core that has all messages up to id 100, and its server."""

    version = 2

    def setUp(self) -> None:
        self.core = ClientCore(1, version=self.version, keys={0: 100})
        self.server = ServerEnd(self.version)

    def sent(self) -> list[Message]:
        """Return the messages that the client sent since the last call."""
        return self.server.read(self.core.data_to_send())

    def deliver(self, data: bytes) -> list[Event]:
        """Deliver bytes from the server and return the client's events."""
        return self.core.receive_data(data)

    def deliver_frame(self, message: Message, flag: int = 0) -> list[Event]:
        """Deliver one frame from the server."""
        return self.deliver(self.server.frame(message, flag))


class LoginTests(CoreTestCase):
    """The login of a client."""

    def test_requests_do_not_wait_for_the_login(self) -> None:
        """A client does not wait for the login's answer. Seqs begin at 1 and grow."""
        self.core.log_in("token", 3, "device")
        self.core.enter_room(5)
        self.core.sync()
        frames = self.server.frames(self.core.data_to_send())
        self.assertEqual([f.seq for f in frames], [1, 2, 3])
        self.assertEqual({f.version for f in frames}, {2})
        self.assertEqual(
            client.AuthToken.decode(frames[0].body),
            client.AuthToken(platform=3, token=b"token", device_id=b"device"),
        )
        self.assertEqual([f.cmd for f in frames], [15, 18, 26])

    def test_the_answer(self) -> None:
        """A login is accepted or refused. A refusal has version 0; the seed's has eight bytes."""
        self.assertEqual(self.deliver_frame(client.AuthStatus(status=0)), [LoggedIn()])
        refused = client.SeedAuthStatus(status=1, ip=0).frame(1, 0)
        self.assertEqual(self.deliver(refused), [LoginRefused(1)])

    def test_no_answer(self) -> None:
        """The login is overdue after ten ticks."""
        self.core.log_in("token")
        for _ in range(10):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("login")])


class SyncTests(CoreTestCase):
    """Messages that the client fetches."""

    def test_a_batch(self) -> None:
        """The messages of a sync are reported and acked when it is complete. Then its key is
        reported."""
        self.core.sync()
        self.assertEqual(self.sent(), [client.Sync(sync_key=100)])
        begin = self.server.frame(client.SyncBegin(sync_key=100))
        self.assertEqual(self.deliver(begin + self.server.frame(im("a"))), [])
        self.assertEqual(self.deliver_frame(im("mine", 1), SELF), [])
        events = self.deliver_frame(client.SyncEnd(sync_key=130))
        self.assertEqual(
            events,
            [
                MessageReceived(im("a"), None, False, False),
                MessageReceived(im("mine", 1), None, True, False),
                KeyMoved(130),
                Synced(130, 100),
            ],
        )
        self.assertEqual(
            self.sent(),
            [client.Ack(seq=2), client.Ack(seq=3), client.SyncKey(sync_key=130)],
        )

    def test_every_stored_kind(self) -> None:
        """A sync may contain notifications and customer service, also under the number with two
        meanings."""
        messages: list[Message] = [
            client.GroupIM(sender=2, receiver=9, timestamp=1, msgid=0, content=b"g"),
            client.GroupNotification(content=b"n"),
            client.System(content=b"s"),
            customers.Customer(
                customer_appid=7, customer_id=1, store_id=1, seller_id=2, timestamp=1, content=b"c"
            ),
            customers.CustomerV2(
                sender_appid=7, sender=2, receiver_appid=8, receiver=1, timestamp=1, content=b"v"
            ),
        ]
        self.core.sync()
        events = self.deliver(self.server.batch(100, messages, 130))
        received = [e.message for e in events if isinstance(e, MessageReceived)]
        self.assertEqual(received, messages)
        self.assertEqual([e.sender for e in events if isinstance(e, MessageReceived)][1:3], [0, 0])

    def test_nothing_new(self) -> None:
        """After a sync without messages the key is unchanged, and not reported again."""
        self.core.sync()
        self.sent()
        self.assertEqual(self.deliver(self.server.batch(100, [], 100)), [Synced(100, 100)])
        self.assertEqual(self.sent(), [])

    def test_a_key_that_is_ahead(self) -> None:
        """The server corrects a key that is too large: the end may be lower."""
        self.core.sync()
        self.sent()
        events = self.deliver(self.server.batch(100, [], 90))
        self.assertEqual(events, [KeyMoved(90), Synced(90, 100)])
        self.assertEqual(self.sent(), [client.SyncKey(sync_key=90)])
        self.assertEqual(contents(self.deliver(self.server.push(im("a"), 95, 90))), ["a"])

    def test_one_at_a_time(self) -> None:
        """Only one sync of a queue runs. Two would fetch the same messages twice."""
        self.core.sync()
        self.core.sync()
        self.assertEqual(len(self.sent()), 1)

    def test_a_notify(self) -> None:
        """A notify begins a sync if its id is new."""
        self.deliver_frame(client.SyncNotify(sync_key=100))
        self.assertEqual(self.sent(), [])
        self.deliver_frame(client.SyncNotify(sync_key=101))
        self.assertEqual(self.sent(), [client.Sync(sync_key=100)])

    def test_a_notify_during_a_sync(self) -> None:
        """A notify during a sync is kept, and compared with the key at the sync's end."""
        for newest, again in [(110, False), (120, True)]:
            core, server = ClientCore(1, keys={0: 100}), ServerEnd()
            core.sync()
            core.receive_data(server.frame(client.SyncNotify(sync_key=newest)))
            core.receive_data(server.frame(client.SyncNotify(sync_key=105)))
            core.receive_data(server.batch(100, [im("a")], 110))
            syncs = [m for m in server.read(core.data_to_send()) if isinstance(m, client.Sync)]
            wanted = [client.Sync(sync_key=100)] + [client.Sync(sync_key=110)] * again
            self.assertEqual(syncs, wanted)

    def test_pages(self) -> None:
        """A server that has more messages sends a notify after the end of a sync."""
        self.core.sync()
        page = self.server.batch(100, [im("a")], 110)
        self.deliver(page + self.server.frame(client.SyncNotify(sync_key=111)))
        self.assertEqual(self.sent()[-1], client.Sync(sync_key=110))

    def test_an_interrupted_sync(self) -> None:
        """A sync that was interrupted is fetched again. No message is reported twice."""
        self.core.sync()
        batch = self.server.batch(100, [im("a"), im("b")], 120)
        self.assertEqual(self.deliver(batch[:-5]), [])
        self.core.connect()
        self.server = ServerEnd()
        self.core.sync()
        self.assertEqual(self.sent(), [client.Sync(sync_key=100)])
        events = self.deliver(self.server.batch(100, [im("a"), im("b")], 120))
        self.assertEqual(contents(events), ["a", "b"])

    def test_a_sync_without_an_end(self) -> None:
        """A sync is overdue after ten ticks without a frame. Frames extend the time."""
        self.core.sync()
        for _ in range(8):
            self.assertEqual(self.core.tick(), [])
        self.deliver_frame(client.SyncBegin(sync_key=100))
        for _ in range(10):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("sync")])


class PushTests(CoreTestCase):
    """Messages that the server sends without a request."""

    def test_a_push_that_follows(self) -> None:
        """A push that directly follows is accepted. The notify after it causes no sync."""
        events = self.deliver(self.server.push(im("a"), 110, 100))
        self.assertEqual(events, [MessageReceived(im("a"), 110, False, True), KeyMoved(110)])
        self.assertEqual(self.sent(), [client.Ack(seq=2), client.SyncKey(sync_key=110)])

    def test_a_push_after_a_gap(self) -> None:
        """A push after a gap is dropped. Its notify begins a sync."""
        for prev in (99, 105, 0):
            core, server = ClientCore(1, keys={0: 100}), ServerEnd()
            self.assertEqual(core.receive_data(server.push(im("a"), 110, prev)), [])
            self.assertEqual(server.read(core.data_to_send()), [client.Sync(sync_key=100)])

    def test_during_a_sync(self) -> None:
        """A push during a sync is dropped, as the sync may contain it. If not, the next sync
        does."""
        self.core.sync()
        self.assertEqual(self.deliver(self.server.push(im("a"), 110, 100)), [])
        events = self.deliver(self.server.batch(100, [im("a")], 110))
        self.assertEqual(contents(events), ["a"])
        self.assertNotIn(client.Sync(sync_key=110), self.sent())

    def test_metadata_belongs_to_the_next_frame_alone(self) -> None:
        """METADATA counts only for the frame with the next seq."""
        metadata = self.server.frame(client.Metadata(sync_key=110, prev_sync_key=100))
        between = self.server.frame(client.Pong())
        events = self.deliver(metadata + between + self.server.frame(im("a"), PUSH))
        self.assertEqual(events, [Ponged()])
        metadata = self.server.frame(client.Metadata(sync_key=110, prev_sync_key=100))
        self.server.frame(client.Pong())  # it has a seq, and is lost
        self.assertEqual(self.deliver(metadata + self.server.frame(im("a"), PUSH)), [])

    def test_an_own_message_that_is_wanted(self) -> None:
        """An own message is fetched like any other if the program wants own messages."""
        core, server = ClientCore(1, keys={0: 100}, skip_own=False), ServerEnd()
        seq = core.send_im(2, "hi")
        core.data_to_send()
        self.assertEqual(core.receive_data(server.ack(seq, 110, 100)), [Acked(seq, 0)])
        self.assertEqual(server.read(core.data_to_send()), [client.Sync(sync_key=100)])

    def test_an_own_message_that_is_wanted_and_has_no_ids(self) -> None:
        """Without ids in the ack, and during a sync, a wanted own message is fetched too. A message
        to a room is not."""
        self.core = ClientCore(1, keys={0: 100}, skip_own=False)
        self.core.enter_room(5)
        self.deliver(self.server.ack(self.core.send_room(5, "hi")))
        self.sent()
        self.deliver(self.server.ack(self.core.send_im(2, "hi")))
        self.assertIn(client.Sync(sync_key=100), self.sent())
        self.deliver(self.server.ack(self.core.send_group(3111, "hi"), group_id=3111))
        self.assertIn(client.SyncGroup(group_id=3111, sync_key=0), self.sent())

    def test_an_own_message(self) -> None:
        """The ack's METADATA moves the key past the own message, if there is no gap."""
        seq = self.core.send_im(2, "hi")
        events = self.deliver(self.server.ack(seq, 110, 100))
        self.assertEqual(events, [KeyMoved(110), Acked(seq, 0)])
        self.deliver_frame(client.SyncNotify(sync_key=110))
        self.assertEqual(
            self.sent()[1:], [client.SyncKey(sync_key=110)], "nothing is left to fetch"
        )

    def test_an_own_message_after_a_gap(self) -> None:
        """An own message after a gap does not move the key."""
        seq = self.core.send_im(2, "hi")
        self.assertEqual(self.deliver(self.server.ack(seq, 110, 105)), [Acked(seq, 0)])
        self.assertEqual(self.core.key(), 100)

    def test_an_own_message_during_a_sync(self) -> None:
        """An own message waits for the sync's end, which may be before it."""
        self.core.sync()
        seq = self.core.send_im(2, "hi")
        self.assertEqual(self.deliver(self.server.ack(seq, 110, 100)), [Acked(seq, 0)])
        self.deliver(self.server.batch(100, [], 100))
        self.assertEqual(self.core.key(), 100)

    def test_a_client_that_cannot_take_more(self) -> None:
        """A client that cannot take more leaves messages on the server, and fetches them later."""
        self.core.hold()
        self.assertEqual(self.deliver(self.server.push(im("a"), 110, 100)), [])
        self.assertEqual(self.sent(), [])
        self.core.resume()
        self.assertEqual(self.sent(), [client.Sync(sync_key=100)])


class SuperGroupTests(CoreTestCase):
    """The queues of super groups."""

    def message(self, content: bytes) -> client.GroupIM:
        """Return a message to group 3111."""
        return client.GroupIM(sender=2, receiver=3111, timestamp=1, msgid=0, content=content)

    def batch(self, key: int, messages: list[Message], end: int) -> bytes:
        """Return the server's answer to a sync of the group."""
        return b"".join(
            [
                self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=key)),
                *map(self.server.frame, messages),
                self.server.frame(client.SyncGroupEnd(group_id=3111, sync_key=end)),
            ]
        )

    def test_a_notify_of_an_unknown_group(self) -> None:
        """A notify for an unknown group begins a sync at 0. The user's own queue is unchanged."""
        self.deliver_frame(client.SyncGroupNotify(group_id=3111, sync_key=500))
        self.assertEqual(self.sent(), [client.SyncGroup(group_id=3111, sync_key=0)])
        events = self.deliver(self.batch(0, [self.message(b"a")], 500))
        self.assertEqual(
            events,
            [
                MessageReceived(self.message(b"a"), None, False, False, 3111),
                KeyMoved(500, 3111),
                Synced(500, 0, 3111),
            ],
        )
        self.assertIn(client.GroupSyncKey(group_id=3111, sync_key=500), self.sent())
        self.assertEqual(self.core.key(), 100)

    def test_a_push(self) -> None:
        """A push with the group's flag moves the group's key."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        metadata = self.server.frame(client.Metadata(sync_key=510, prev_sync_key=500))
        pushed = self.server.frame(self.message(b"a"), PUSH | SUPER_GROUP)
        self.assertEqual(
            self.deliver(metadata + pushed),
            [MessageReceived(self.message(b"a"), 510, False, True, 3111), KeyMoved(510, 3111)],
        )

    def test_an_own_message(self) -> None:
        """The ack names no group. The client knows the group by the ack's seq."""
        self.core = ClientCore(1, keys={0: 500, 3110: 500, 3111: 500})
        seq = self.core.send_group(3111, "hi")
        metadata = self.server.frame(client.Metadata(sync_key=510, prev_sync_key=500))
        self.deliver(metadata + self.server.frame(client.Ack(seq=seq), SUPER_GROUP))
        self.assertEqual([self.core.key(g) for g in (0, 3110, 3111)], [500, 500, 510])

    def test_batches_of_two_queues_at_once(self) -> None:
        """Each message belongs to the batch of its own queue."""
        self.core.sync()
        self.core.sync(3111)
        ours = self.server.frame(client.SyncBegin(sync_key=100))
        theirs = self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=0))
        both = self.server.frame(self.message(b"group")) + self.server.frame(im("a"))
        end = self.server.frame(client.SyncEnd(sync_key=110))
        self.assertEqual(contents(self.deliver(ours + theirs + both + end)), ["a"])
        events = self.deliver_frame(client.SyncGroupEnd(group_id=3111, sync_key=500))
        self.assertEqual(contents(events), ["group"])

    def test_a_message_before_the_group_became_super(self) -> None:
        """A message of the time before a group became super is in the user's queue."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        self.core.sync_all()
        self.deliver(self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=500)))
        events = self.deliver(self.server.batch(100, [self.message(b"before")], 110))
        self.assertEqual(contents(events), ["before"])

    def test_a_notification(self) -> None:
        """A notification names no group. It belongs to the queue that is being synced."""
        self.core.sync_all()
        self.core.sync(3111)
        notifications: list[Message] = [client.GroupNotification(content=b"n")]
        (received, *_) = self.deliver(self.server.batch(0, notifications, 500, group_id=3111))
        assert isinstance(received, MessageReceived)
        self.assertEqual(received.group_id, 3111)
        (received, *_) = self.deliver(self.server.batch(100, notifications, 110))
        assert isinstance(received, MessageReceived)
        self.assertEqual(received.group_id, 0)

    def test_a_notify_of_a_group_of_others(self) -> None:
        """A notify of a group that the user is no member of causes no endless sync."""
        self.deliver_frame(client.SyncGroupNotify(group_id=3111, sync_key=500))
        self.sent()
        self.assertEqual(self.deliver(self.server.batch(0, [], 0, 3111)), [Synced(0, 0, 3111)])
        self.assertEqual(self.sent(), [])

    def test_asking_for_a_key_is_not_following(self) -> None:
        """Asking for a group's key does not begin to sync the group."""
        self.assertEqual(self.core.key(3111), 0)
        self.core.sync_all()
        self.assertEqual(self.sent(), [client.Sync(sync_key=100)])

    def test_a_new_connection(self) -> None:
        """A new connection syncs every known queue."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        self.core.sync_all()
        self.assertEqual(
            self.sent(),
            [client.Sync(sync_key=100), client.SyncGroup(group_id=3111, sync_key=500)],
        )


class CustomerTests(CoreTestCase):
    """Customer service, in the old and the new format."""

    def setUp(self) -> None:
        super().setUp()
        self.core = ClientCore(1, appid=7, keys={0: 100})

    def test_sent(self) -> None:
        """A client may send as customer or as seller. The server acks all of these messages."""
        seqs = [
            self.core.send_customer(2, "c", store_id=9),
            self.core.send_support(User(8, 3), "s", store_id=9),
            self.core.send_customer_v2(User(1453, 2), "v"),
        ]
        fields: dict[str, Any] = {"store_id": 9, "timestamp": 0}
        self.assertEqual(
            self.sent(),
            [
                customers.Customer(
                    customer_appid=7, customer_id=1, seller_id=2, content=b"c", **fields
                ),
                customers.CustomerSupport(
                    customer_appid=8, customer_id=3, seller_id=1, content=b"s", **fields
                ),
                customers.CustomerV2(
                    sender_appid=7,
                    sender=1,
                    receiver_appid=1453,
                    receiver=2,
                    timestamp=0,
                    content=b"v",
                ),
            ],
        )
        for seq, prev in zip(seqs, (100, 110, 120), strict=True):
            self.deliver(self.server.ack(seq, prev + 10, prev))
        self.assertEqual(self.core.key(), 130)

    def test_number_64(self) -> None:
        """Number 64 is customer service if it is pushed, and otherwise a signal of a call."""
        message = customers.CustomerV2(
            sender_appid=1453, sender=2, receiver_appid=7, receiver=1, timestamp=9, content=b"v"
        )
        (received, _) = self.deliver(self.server.push(message, 110, 100))
        self.assertEqual(received, MessageReceived(message, 110, False, True))
        self.core.send_voip(2, b"\0\0\0\1")
        call = customers.VoipControl(sender=1, receiver=2, content=b"\0\0\0\1")
        frames = self.server.frames(self.core.data_to_send())
        self.assertEqual((frames[-1].cmd, frames[-1].body), (64, call.encode()))
        self.assertEqual(self.deliver_frame(call), [LiveReceived(call)])

    def test_live(self) -> None:
        """A message of customer service that is not stored moves no key."""
        message = customers.Customer(
            customer_appid=7, customer_id=3, store_id=1, seller_id=1, timestamp=9, content=b"c"
        )
        self.assertEqual(
            self.deliver_frame(message), [MessageReceived(message, None, False, False)]
        )


class LiveTests(CoreTestCase):
    """Messages that are not stored."""

    def test_received(self) -> None:
        """A live message is reported without an ack."""
        messages: list[Message] = [
            client.RT(sender=2, receiver=1, content=b"r"),
            client.Inputing(sender=2, receiver=1),
            client.RoomIM(sender=2, receiver=5, content=b"room"),
            client.Notification(content=b"n"),
            customers.VoipControl(sender=2, receiver=1, content=b"\0\0\0\1"),
        ]
        for message in messages:
            self.assertEqual(self.deliver_frame(message), [LiveReceived(message)])
        self.assertEqual(self.sent(), [])

    def test_sent(self) -> None:
        """Live messages name the client as their sender."""
        self.core.send_rt(2, "r")
        self.core.send_inputing(2)
        self.core.enter_room(5)
        self.core.send_room(5, "room")
        self.core.leave_room(5)
        self.core.report_unread(7)
        self.assertEqual(
            self.sent(),
            [
                client.RT(sender=1, receiver=2, content=b"r"),
                client.Inputing(sender=1, receiver=2),
                client.EnterRoom(room=5),
                client.RoomIM(sender=1, receiver=5, content=b"room"),
                client.LeaveRoom(room=5),
                client.UnreadCount(count=7),
            ],
        )

    def test_an_unknown_command(self) -> None:
        """An unknown command is ignored: the server may be newer than the client."""
        self.assertEqual(self.deliver(encode_frame(99, b"future", 1, 2)), [])
        self.assertEqual(self.deliver_frame(client.Pong()), [Ponged()])


class TimeTests(CoreTestCase):
    """Timeouts, counted in ticks."""

    def test_an_ack_that_does_not_come(self) -> None:
        """An ack is overdue after five whole ticks."""
        first = self.core.send_im(2, "hi")
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.core.send_im(2, "later")
        self.deliver(self.server.ack(first))
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("ack")])

    def test_ping(self) -> None:
        """The client sends one PING after a minute of silence."""
        for _ in range(59):
            self.core.tick()
        self.assertEqual(self.sent(), [])
        self.core.tick()
        self.core.tick()
        self.assertEqual(self.sent(), [client.Ping()])
        self.assertEqual(self.deliver_frame(client.Pong()), [Ponged()])
        for _ in range(59):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.sent(), [client.Ping()])

    def test_a_client_that_only_listens(self) -> None:
        """A client that only receives sends PING too: the server counts what it hears."""
        for _ in range(60):
            self.deliver_frame(client.RT(sender=2, receiver=1, content=b"r"))
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.sent(), [client.Ping()])

    def test_no_pong(self) -> None:
        """PONG is overdue after five ticks."""
        self.core.ping()
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("pong")])

    def test_a_new_connection_has_nothing_overdue(self) -> None:
        """Answers that the last connection owed are forgotten."""
        self.core.log_in("token")
        self.core.send_im(2, "hi")
        self.core.ping()
        self.core.sync()
        self.core.connect()
        for _ in range(30):
            self.assertEqual(self.core.tick(), [])


class VersionTests(CoreTestCase):
    """The older versions of the protocol."""

    def test_acks_without_a_status(self) -> None:
        """Acks without a status mean success, as older servers send no more."""
        for version in (0, 1):
            core, server = ClientCore(1, version=version), ServerEnd(version)
            seq = core.send_im(2, "hi")
            (frame,) = server.frames(core.data_to_send())
            self.assertEqual(frame.version, version)
            self.assertEqual(client.IM.decode(frame.body, version).content, b"hi")
            self.assertEqual(core.receive_data(server.ack(seq, status=64)), [Acked(seq, 0)])

    def test_a_refusal(self) -> None:
        """A refusal in version 2 has its reason, and moves no key."""
        seq = self.core.send_im(2, "hi")
        (acked,) = self.deliver(self.server.ack(seq, 110, 100, status=2))
        assert isinstance(acked, Acked)
        self.assertEqual((acked, acked.name), (Acked(seq, 2), "NOT_YOUR_FRIEND"))
        self.assertEqual(self.core.key(), 100)


class BadServerTests(CoreTestCase):
    """A server that sends malformed bytes."""

    def test_frames_before_malformed_bytes(self) -> None:
        """The frames before the malformed bytes count. Then the connection is `Broken`."""
        events = self.deliver(
            self.server.frame(client.Pong()) + bytes.fromhex("ffffffff") + bytes(9)
        )
        self.assertEqual(events[0], Ponged())
        self.assertIsInstance(events[1], Broken)

    def test_a_body_too_short(self) -> None:
        """A body that is too short makes the connection `Broken`."""
        (event,) = self.deliver(encode_frame(28, b"short", 1, 2))
        self.assertIsInstance(event, Broken)
        self.assertEqual(self.deliver_frame(client.Pong()), [], "nothing more is believed")
        self.core.connect()
        self.assertEqual(self.deliver_frame(client.Pong()), [Ponged()])

    @settings(max_examples=150)
    @given(
        st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255), st.binary(max_size=60))),
    )
    def test_any_frames(self, frames: list[tuple[int, int, bytes]]) -> None:
        """No frame from the server makes the core raise an error: the test does not raise."""
        core = ClientCore(1)
        for seq, (cmd, flag, body) in enumerate(frames):
            core.receive_data(encode_frame(cmd, body, seq, 2, flag))
            core.tick()

    def test_too_long_to_send(self) -> None:
        """A message that is too long is an error, and takes no seq."""
        with self.assertRaises(BodyError):
            self.core.send_im(2, bytes(32767))
        self.assertEqual(self.core.send_im(2, bytes(32767 - 24)), 1)


GROUP, ORDINARY = 3111, 3110
"""A super group, which has its own queue, and an ordinary group, whose messages are in the user's
queue."""


class Model:
    """A server with a user's queue and a super group's queue, and a client whose connection may be
    lost at any moment.

    Answers take time: the server reads the queue for a sync at one moment, and writes the answer at
    another. Pushes and notifies come in between.
    """

    def __init__(self) -> None:
        self.core = ClientCore(1, keys={0: 0, GROUP: 0})
        self.stored: dict[int, list[tuple[int, Message]]] = {0: [], GROUP: []}
        self.received: list[Message] = []
        self.connect()

    def connect(self) -> None:
        """Begin a new connection. Everything on the way is lost."""
        self.server = ServerEnd()
        self.pending: list[tuple[int, int, list[tuple[int, Message]]]] = []
        self.owed: set[int] = set()
        self.wire = b""
        self.core.connect()
        self.core.log_in("token")
        if not self.core.holding:
            self.core.sync_all()

    def newest(self, queue: int) -> int:
        """Return the newest id of a queue."""
        return self.stored[queue][-1][0] if self.stored[queue] else 0

    def enter(self, queue: int, message: Message) -> tuple[int, int]:
        """Store a message. Return its id and the id before it."""
        prev = self.newest(queue)
        # Both queues are in the same storage, which gives the ids.
        msgid = max(map(self.newest, self.stored)) + 7
        self.stored[queue].append((msgid, message))
        return msgid, prev

    def push(self, message: Message, queue: int) -> None:
        """Store a message of another user, push it if the previous id is known, and notify."""
        msgid, prev = self.enter(queue, message)
        if prev:
            self.wire += self.server.push(message, msgid, prev, group_id=queue)
        else:
            self.wire += self.server.notify(msgid, queue)

    def store(self) -> None:
        """Store and push a message to the user."""
        self.push(im(f"to the user, {self.newest(0)}"), 0)

    def store_to_members(self) -> None:
        """Store and push a message to an ordinary group."""
        self.push(group_im(f"to members, {self.newest(0)}", ORDINARY), 0)

    def store_to_group(self) -> None:
        """Store and push a message to the super group."""
        self.push(group_im(f"to the group, {self.newest(GROUP)}", GROUP), GROUP)

    def store_slowly(self) -> None:
        """Store messages while the client reads slowly: no push, and one later notify for all."""
        self.enter(0, im(f"slowly, {self.newest(0)}"))
        self.owed.add(0)

    def store_to_group_slowly(self) -> None:
        """Store messages to the super group while the client reads slowly."""
        self.enter(GROUP, group_im(f"slowly, {self.newest(GROUP)}", GROUP))
        self.owed.add(GROUP)

    def write(self) -> None:
        """Let the client send a message. It is in its own queue, and the ack moves the key."""
        seq = self.core.send_im(2, "own")
        self.wire += self.server.ack(seq, *self.enter(0, im("own", 1)))

    def write_to_group(self) -> None:
        """Let the client send a message to the super group."""
        seq = self.core.send_group(GROUP, "own")
        entry = self.enter(GROUP, group_im("own", GROUP, 1))
        self.wire += self.server.ack(seq, *entry, group_id=GROUP)

    def write_to_members(self) -> None:
        """Let the client send a message to an ordinary group. The ack comes without ids."""
        seq = self.core.send_group(ORDINARY, "own")
        self.enter(0, group_im("own", ORDINARY, 1))
        self.wire += self.server.ack(seq)

    def read(self) -> None:
        """Let the server read the client's frames, and the queue for each sync."""
        for message in self.server.read(self.core.data_to_send()):
            queue = GROUP if isinstance(message, client.SyncGroup) else 0
            if isinstance(message, client.Sync | client.SyncGroup):
                key = message.sync_key
                page = [m for m in self.stored[queue] if m[0] > key][:3]
                self.pending.append((queue, key, page))

    def answer(self) -> None:
        """Let the server write the oldest answer."""
        if self.pending:
            queue, key, page = self.pending.pop(0)
            end = page[-1][0] if page else key
            self.wire += self.server.batch(key, [message for _, message in page], end, queue)
            if end < self.newest(queue):
                self.wire += self.server.notify(end + 1, queue)

    def deliver(self) -> None:
        """Deliver all bytes on the way."""
        for queue in self.owed:
            self.wire += self.server.notify(self.newest(queue), queue)
        self.owed.clear()
        data, self.wire = self.wire, b""
        events = self.core.receive_data(data)
        self.received += [event.message for event in events if isinstance(event, MessageReceived)]

    def deliver_some(self) -> None:
        """Deliver half of the bytes on the way, and lose the connection."""
        self.wire = self.wire[: len(self.wire) // 2]
        self.owed.clear()
        self.deliver()
        self.connect()

    def hold(self) -> None:
        """Let the client have more messages than its program takes."""
        self.core.hold()

    def resume(self) -> None:
        """Let the program take the messages."""
        self.core.resume()

    def settle(self) -> None:
        """Let both sides read and answer until there is nothing left to say."""
        self.core.resume()
        while self.wire or self.owed or self.pending or not self.quiet():
            self.answer()
            self.deliver()

    def quiet(self) -> bool:
        """Return True if the client sent nothing that needs an answer."""
        self.read()
        return not self.pending

    def of(self, queue: int) -> list[Message]:
        """Return the messages of a queue that the client reported, without its own."""
        return [
            m
            for m in self.received
            if m.content != b"own"  # type: ignore[attr-defined]
            and (m.receiver == GROUP) == (queue == GROUP)  # type: ignore[attr-defined]
        ]


STEPS = st.lists(
    st.sampled_from(
        [
            Model.store,
            Model.store_to_members,
            Model.store_to_group,
            Model.store_slowly,
            Model.store_to_group_slowly,
            Model.write,
            Model.write_to_group,
            Model.write_to_members,
            Model.read,
            Model.answer,
            Model.deliver,
            Model.deliver_some,
            Model.hold,
            Model.resume,
            Model.settle,
        ]
    ),
    min_size=20,
    max_size=60,
)


class ExactlyOnceTests(SynchronousTestCase):
    """All rules together."""

    @settings(max_examples=150)
    @given(STEPS)
    def test_nothing_is_lost_or_doubled(self, steps: list[Callable[[Model], None]]) -> None:
        """Any mix of pushes, syncs, own messages, slow readers and lost connections delivers each
        message once."""
        model = Model()
        for step in steps:
            step(model)
        model.settle()
        for queue, stored in model.stored.items():
            wanted = [m for _, m in stored if m.content != b"own"]  # type: ignore[attr-defined]
            self.assertEqual(model.of(queue), wanted)
