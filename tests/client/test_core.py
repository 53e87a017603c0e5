"""The client's dialogue."""

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
    """What the messages among the events say."""
    return [event.content.decode() for event in events if isinstance(event, MessageReceived)]


class CoreTestCase(SynchronousTestCase):
    """A core that has everything up to 100, and its server."""

    version = 2

    def setUp(self) -> None:
        self.core = ClientCore(1, version=self.version, keys={0: 100})
        self.server = ServerEnd(self.version)

    def said(self) -> list[Message]:
        """What the client said since the last time."""
        return self.server.read(self.core.data_to_send())

    def hear(self, data: bytes) -> list[Event]:
        """What the client makes of it."""
        return self.core.receive_data(data)

    def tell(self, message: Message, flag: int = 0) -> list[Event]:
        """One frame from the server."""
        return self.hear(self.server.frame(message, flag))


class LoginTests(CoreTestCase):
    """Saying who we are."""

    def test_all_at_once(self) -> None:
        """A client does not wait for the answer; seqs begin at 1 and grow."""
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
        """Accepted or refused; a refusal comes in version 0, and the seed's has eight bytes."""
        self.assertEqual(self.tell(client.AuthStatus(status=0)), [LoggedIn()])
        refused = client.SeedAuthStatus(status=1, ip=0).frame(1, 0)
        self.assertEqual(self.hear(refused), [LoginRefused(1)])

    def test_no_answer(self) -> None:
        """Is overdue after ten ticks."""
        self.core.log_in("token")
        for _ in range(10):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("login")])


class SyncTests(CoreTestCase):
    """Fetching."""

    def test_a_batch(self) -> None:
        """Is told when it is complete, acked, and its key reported."""
        self.core.sync()
        self.assertEqual(self.said(), [client.Sync(sync_key=100)])
        begin = self.server.frame(client.SyncBegin(sync_key=100))
        self.assertEqual(self.hear(begin + self.server.frame(im("a"))), [])
        self.assertEqual(self.tell(im("mine", 1), SELF), [])
        events = self.tell(client.SyncEnd(sync_key=130))
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
            self.said(),
            [client.Ack(seq=2), client.Ack(seq=3), client.SyncKey(sync_key=130)],
        )

    def test_every_stored_kind(self) -> None:
        """Notifications and what customer service says, also under the number with two meanings."""
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
        events = self.hear(self.server.batch(100, messages, 130))
        told = [e.message for e in events if isinstance(e, MessageReceived)]
        self.assertEqual(told, messages)
        self.assertEqual([e.sender for e in events if isinstance(e, MessageReceived)][1:3], [0, 0])

    def test_nothing_new(self) -> None:
        """The key stays, and is not reported again."""
        self.core.sync()
        self.said()
        self.assertEqual(self.hear(self.server.batch(100, [], 100)), [Synced(100, 100)])
        self.assertEqual(self.said(), [])

    def test_a_key_that_is_ahead(self) -> None:
        """Is corrected by the server: the end may go back."""
        self.core.sync()
        self.said()
        events = self.hear(self.server.batch(100, [], 90))
        self.assertEqual(events, [KeyMoved(90), Synced(90, 100)])
        self.assertEqual(self.said(), [client.SyncKey(sync_key=90)])
        self.assertEqual(contents(self.hear(self.server.push(im("a"), 95, 90))), ["a"])

    def test_one_at_a_time(self) -> None:
        """Two syncs under way would bring the same messages twice."""
        self.core.sync()
        self.core.sync()
        self.assertEqual(len(self.said()), 1)

    def test_a_notify(self) -> None:
        """Begins a sync if there is something new."""
        self.tell(client.SyncNotify(sync_key=100))
        self.assertEqual(self.said(), [])
        self.tell(client.SyncNotify(sync_key=101))
        self.assertEqual(self.said(), [client.Sync(sync_key=100)])

    def test_a_notify_during_a_sync(self) -> None:
        """Is remembered, and compared with the key at the end."""
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
        """A server that has more says so by a notify behind the end."""
        self.core.sync()
        page = self.server.batch(100, [im("a")], 110)
        self.hear(page + self.server.frame(client.SyncNotify(sync_key=111)))
        self.assertEqual(self.said()[-1], client.Sync(sync_key=110))

    def test_cut_off_half_way(self) -> None:
        """What came of the batch is forgotten and fetched again: nothing is told twice."""
        self.core.sync()
        batch = self.server.batch(100, [im("a"), im("b")], 120)
        self.assertEqual(self.hear(batch[:-5]), [])
        self.core.connect()
        self.server = ServerEnd()
        self.core.sync()
        self.assertEqual(self.said(), [client.Sync(sync_key=100)])
        events = self.hear(self.server.batch(100, [im("a"), im("b")], 120))
        self.assertEqual(contents(events), ["a", "b"])

    def test_no_end(self) -> None:
        """Is overdue when nothing came for ten ticks; while frames come, it is under way."""
        self.core.sync()
        for _ in range(8):
            self.assertEqual(self.core.tick(), [])
        self.tell(client.SyncBegin(sync_key=100))
        for _ in range(10):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("sync")])


class PushTests(CoreTestCase):
    """Messages that come when they are sent."""

    def test_it_follows(self) -> None:
        """Taken at once; the notify behind it asks for nothing."""
        events = self.hear(self.server.push(im("a"), 110, 100))
        self.assertEqual(events, [MessageReceived(im("a"), 110, False, True), KeyMoved(110)])
        self.assertEqual(self.said(), [client.Ack(seq=2), client.SyncKey(sync_key=110)])

    def test_it_does_not_follow(self) -> None:
        """Dropped, and fetched by the notify."""
        for prev in (99, 105, 0):
            core, server = ClientCore(1, keys={0: 100}), ServerEnd()
            self.assertEqual(core.receive_data(server.push(im("a"), 110, prev)), [])
            self.assertEqual(server.read(core.data_to_send()), [client.Sync(sync_key=100)])

    def test_during_a_sync(self) -> None:
        """Dropped: the batch may have it too. If it has not, another sync has."""
        self.core.sync()
        self.assertEqual(self.hear(self.server.push(im("a"), 110, 100)), [])
        events = self.hear(self.server.batch(100, [im("a")], 110))
        self.assertEqual(contents(events), ["a"])
        self.assertNotIn(client.Sync(sync_key=110), self.said())

    def test_metadata_belongs_to_the_next_frame_alone(self) -> None:
        """By its seq."""
        metadata = self.server.frame(client.Metadata(sync_key=110, prev_sync_key=100))
        between = self.server.frame(client.Pong())
        events = self.hear(metadata + between + self.server.frame(im("a"), PUSH))
        self.assertEqual(events, [Ponged()])
        metadata = self.server.frame(client.Metadata(sync_key=110, prev_sync_key=100))
        self.server.frame(client.Pong())  # numbered and lost
        self.assertEqual(self.hear(metadata + self.server.frame(im("a"), PUSH)), [])

    def test_an_own_message_that_is_wanted(self) -> None:
        """Is not stepped over, but fetched like any other."""
        core, server = ClientCore(1, keys={0: 100}, skip_own=False), ServerEnd()
        seq = core.send_im(2, "hi")
        core.data_to_send()
        self.assertEqual(core.receive_data(server.ack(seq, 110, 100)), [Acked(seq, 0)])
        self.assertEqual(server.read(core.data_to_send()), [client.Sync(sync_key=100)])

    def test_an_own_message_that_is_wanted_and_has_no_ids(self) -> None:
        """As from servers that only notify, and during a sync: fetched all the same, but not
        after what is said in a room."""
        self.core = ClientCore(1, keys={0: 100}, skip_own=False)
        self.core.enter_room(5)
        self.hear(self.server.ack(self.core.send_room(5, "hi")))
        self.said()
        self.hear(self.server.ack(self.core.send_im(2, "hi")))
        self.assertIn(client.Sync(sync_key=100), self.said())
        self.hear(self.server.ack(self.core.send_group(3111, "hi"), group_id=3111))
        self.assertIn(client.SyncGroup(group_id=3111, sync_key=0), self.said())

    def test_an_own_message(self) -> None:
        """The ack's metadata steps over it, if nothing is between."""
        seq = self.core.send_im(2, "hi")
        events = self.hear(self.server.ack(seq, 110, 100))
        self.assertEqual(events, [KeyMoved(110), Acked(seq, 0)])
        self.tell(client.SyncNotify(sync_key=110))
        self.assertEqual(
            self.said()[1:], [client.SyncKey(sync_key=110)], "nothing is left to fetch"
        )

    def test_an_own_message_behind_one_that_is_missing(self) -> None:
        """Does not step over what is missing."""
        seq = self.core.send_im(2, "hi")
        self.assertEqual(self.hear(self.server.ack(seq, 110, 105)), [Acked(seq, 0)])
        self.assertEqual(self.core.key(), 100)

    def test_an_own_message_during_a_sync(self) -> None:
        """Waits for the end, which may be before it."""
        self.core.sync()
        seq = self.core.send_im(2, "hi")
        self.assertEqual(self.hear(self.server.ack(seq, 110, 100)), [Acked(seq, 0)])
        self.hear(self.server.batch(100, [], 100))
        self.assertEqual(self.core.key(), 100)

    def test_holding(self) -> None:
        """Whoever cannot take more leaves it with the server, and fetches it later."""
        self.core.hold()
        self.assertEqual(self.hear(self.server.push(im("a"), 110, 100)), [])
        self.assertEqual(self.said(), [])
        self.core.resume()
        self.assertEqual(self.said(), [client.Sync(sync_key=100)])


class SuperGroupTests(CoreTestCase):
    """A queue of its own for each super group."""

    def message(self, content: bytes) -> client.GroupIM:
        """To the group 3111."""
        return client.GroupIM(sender=2, receiver=3111, timestamp=1, msgid=0, content=content)

    def batch(self, key: int, messages: list[Message], end: int) -> bytes:
        """The answer to its sync."""
        return b"".join(
            [
                self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=key)),
                *map(self.server.frame, messages),
                self.server.frame(client.SyncGroupEnd(group_id=3111, sync_key=end)),
            ]
        )

    def test_a_notify_for_a_group_we_did_not_know(self) -> None:
        """Begins at 0; the user's own queue is not touched."""
        self.tell(client.SyncGroupNotify(group_id=3111, sync_key=500))
        self.assertEqual(self.said(), [client.SyncGroup(group_id=3111, sync_key=0)])
        events = self.hear(self.batch(0, [self.message(b"a")], 500))
        self.assertEqual(
            events,
            [
                MessageReceived(self.message(b"a"), None, False, False, 3111),
                KeyMoved(500, 3111),
                Synced(500, 0, 3111),
            ],
        )
        self.assertIn(client.GroupSyncKey(group_id=3111, sync_key=500), self.said())
        self.assertEqual(self.core.key(), 100)

    def test_a_push(self) -> None:
        """Its keys are the group's, as its flag says."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        metadata = self.server.frame(client.Metadata(sync_key=510, prev_sync_key=500))
        pushed = self.server.frame(self.message(b"a"), PUSH | SUPER_GROUP)
        self.assertEqual(
            self.hear(metadata + pushed),
            [MessageReceived(self.message(b"a"), 510, False, True, 3111), KeyMoved(510, 3111)],
        )

    def test_an_own_message(self) -> None:
        """The ack names neither group nor queue: its seq does."""
        self.core = ClientCore(1, keys={0: 500, 3110: 500, 3111: 500})
        seq = self.core.send_group(3111, "hi")
        metadata = self.server.frame(client.Metadata(sync_key=510, prev_sync_key=500))
        self.hear(metadata + self.server.frame(client.Ack(seq=seq), SUPER_GROUP))
        self.assertEqual([self.core.key(g) for g in (0, 3110, 3111)], [500, 500, 510])

    def test_batches_of_two_queues_at_once(self) -> None:
        """Each message goes to its own."""
        self.core.sync()
        self.core.sync(3111)
        ours = self.server.frame(client.SyncBegin(sync_key=100))
        theirs = self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=0))
        both = self.server.frame(self.message(b"group")) + self.server.frame(im("a"))
        end = self.server.frame(client.SyncEnd(sync_key=110))
        self.assertEqual(contents(self.hear(ours + theirs + both + end)), ["a"])
        events = self.tell(client.SyncGroupEnd(group_id=3111, sync_key=500))
        self.assertEqual(contents(events), ["group"])

    def test_what_was_said_before_a_group_became_super(self) -> None:
        """Is of the user's own queue, and lost with that queue's sync, not with the group's."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        self.core.sync_all()
        self.hear(self.server.frame(client.SyncGroupBegin(group_id=3111, sync_key=500)))
        events = self.hear(self.server.batch(100, [self.message(b"before")], 110))
        self.assertEqual(contents(events), ["before"])

    def test_a_notification(self) -> None:
        """Names no group: it is of the queue that is being synced."""
        self.core.sync_all()
        self.core.sync(3111)
        told: list[Message] = [client.GroupNotification(content=b"n")]
        (received, *_) = self.hear(self.server.batch(0, told, 500, group_id=3111))
        assert isinstance(received, MessageReceived)
        self.assertEqual(received.group_id, 3111)
        (received, *_) = self.hear(self.server.batch(100, told, 110))
        assert isinstance(received, MessageReceived)
        self.assertEqual(received.group_id, 0)

    def test_to_whom_it_is_not_shown(self) -> None:
        """A notify of a group whose sync is empty, since we are no member, is no endless sync."""
        self.tell(client.SyncGroupNotify(group_id=3111, sync_key=500))
        self.said()
        self.assertEqual(self.hear(self.server.batch(0, [], 0, 3111)), [Synced(0, 0, 3111)])
        self.assertEqual(self.said(), [])

    def test_asking_for_a_key_is_not_following(self) -> None:
        """A group that was only asked about is not synced."""
        self.assertEqual(self.core.key(3111), 0)
        self.core.sync_all()
        self.assertEqual(self.said(), [client.Sync(sync_key=100)])

    def test_a_new_connection(self) -> None:
        """Syncs every queue that is known."""
        self.core = ClientCore(1, keys={0: 100, 3111: 500})
        self.core.sync_all()
        self.assertEqual(
            self.said(),
            [client.Sync(sync_key=100), client.SyncGroup(group_id=3111, sync_key=500)],
        )


class CustomerTests(CoreTestCase):
    """Customer service, in both forms."""

    def setUp(self) -> None:
        super().setUp()
        self.core = ClientCore(1, appid=7, keys={0: 100})

    def test_sent(self) -> None:
        """With ourselves as customer, as seller, as sender; all are acked."""
        seqs = [
            self.core.send_customer(2, "c", store_id=9),
            self.core.send_support(User(8, 3), "s", store_id=9),
            self.core.send_customer_v2(User(1453, 2), "v"),
        ]
        fields: dict[str, Any] = {"store_id": 9, "timestamp": 0}
        self.assertEqual(
            self.said(),
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
            self.hear(self.server.ack(seq, prev + 10, prev))
        self.assertEqual(self.core.key(), 130)

    def test_number_64(self) -> None:
        """Pushed it is customer service, by itself the signalling of a call."""
        message = customers.CustomerV2(
            sender_appid=1453, sender=2, receiver_appid=7, receiver=1, timestamp=9, content=b"v"
        )
        (received, _) = self.hear(self.server.push(message, 110, 100))
        self.assertEqual(received, MessageReceived(message, 110, False, True))
        self.core.send_voip(2, b"\0\0\0\1")
        call = customers.VoipControl(sender=1, receiver=2, content=b"\0\0\0\1")
        frames = self.server.frames(self.core.data_to_send())
        self.assertEqual((frames[-1].cmd, frames[-1].body), (64, call.encode()))
        self.assertEqual(self.tell(call), [LiveReceived(call)])

    def test_live(self) -> None:
        """What was not to be stored comes by itself, and moves no key."""
        message = customers.Customer(
            customer_appid=7, customer_id=3, store_id=1, seller_id=1, timestamp=9, content=b"c"
        )
        self.assertEqual(self.tell(message), [MessageReceived(message, None, False, False)])


class LiveTests(CoreTestCase):
    """What is stored nowhere."""

    def test_received(self) -> None:
        """Told as it is, without an ack."""
        messages: list[Message] = [
            client.RT(sender=2, receiver=1, content=b"r"),
            client.Inputing(sender=2, receiver=1),
            client.RoomIM(sender=2, receiver=5, content=b"room"),
            client.Notification(content=b"n"),
            customers.VoipControl(sender=2, receiver=1, content=b"\0\0\0\1"),
        ]
        for message in messages:
            self.assertEqual(self.tell(message), [LiveReceived(message)])
        self.assertEqual(self.said(), [])

    def test_sent(self) -> None:
        """With ourselves as the sender."""
        self.core.send_rt(2, "r")
        self.core.send_inputing(2)
        self.core.enter_room(5)
        self.core.send_room(5, "room")
        self.core.leave_room(5)
        self.core.report_unread(7)
        self.assertEqual(
            self.said(),
            [
                client.RT(sender=1, receiver=2, content=b"r"),
                client.Inputing(sender=1, receiver=2),
                client.EnterRoom(room=5),
                client.RoomIM(sender=1, receiver=5, content=b"room"),
                client.LeaveRoom(room=5),
                client.UnreadCount(count=7),
            ],
        )

    def test_what_we_do_not_know(self) -> None:
        """Is passed over: the server may be newer than we are."""
        self.assertEqual(self.hear(encode_frame(99, b"future", 1, 2)), [])
        self.assertEqual(self.tell(client.Pong()), [Ponged()])


class TimeTests(CoreTestCase):
    """Counting ticks."""

    def test_an_ack_that_does_not_come(self) -> None:
        """Is overdue after five ticks, whole ones."""
        first = self.core.send_im(2, "hi")
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.core.send_im(2, "later")
        self.hear(self.server.ack(first))
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("ack")])

    def test_ping(self) -> None:
        """After a minute of silence, and once."""
        for _ in range(59):
            self.core.tick()
        self.assertEqual(self.said(), [])
        self.core.tick()
        self.core.tick()
        self.assertEqual(self.said(), [client.Ping()])
        self.assertEqual(self.tell(client.Pong()), [Ponged()])
        for _ in range(59):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.said(), [client.Ping()])

    def test_a_client_that_only_listens(self) -> None:
        """Pings all the same: the server counts what it hears."""
        for _ in range(60):
            self.tell(client.RT(sender=2, receiver=1, content=b"r"))
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.said(), [client.Ping()])

    def test_no_pong(self) -> None:
        """Is overdue after five ticks."""
        self.core.ping()
        for _ in range(5):
            self.assertEqual(self.core.tick(), [])
        self.assertEqual(self.core.tick(), [Overdue("pong")])

    def test_a_new_connection_owes_nothing(self) -> None:
        """What the last one owed is forgotten."""
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
        """Count as accepted: older servers say no more."""
        for version in (0, 1):
            core, server = ClientCore(1, version=version), ServerEnd(version)
            seq = core.send_im(2, "hi")
            (frame,) = server.frames(core.data_to_send())
            self.assertEqual(frame.version, version)
            self.assertEqual(client.IM.decode(frame.body, version).content, b"hi")
            self.assertEqual(core.receive_data(server.ack(seq, status=64)), [Acked(seq, 0)])

    def test_a_refusal(self) -> None:
        """Version 2 has its reason, and no key is stepped to."""
        seq = self.core.send_im(2, "hi")
        (acked,) = self.hear(self.server.ack(seq, 110, 100, status=2))
        assert isinstance(acked, Acked)
        self.assertEqual((acked, acked.name), (Acked(seq, 2), "NOT_YOUR_FRIEND"))
        self.assertEqual(self.core.key(), 100)


class BadServerTests(CoreTestCase):
    """Bytes that make no sense."""

    def test_frames_before_count(self) -> None:
        """Then the connection is told to be broken, and nothing is raised."""
        events = self.hear(self.server.frame(client.Pong()) + bytes.fromhex("ffffffff") + bytes(9))
        self.assertEqual(events[0], Ponged())
        self.assertIsInstance(events[1], Broken)

    def test_a_body_too_short(self) -> None:
        """The same."""
        (event,) = self.hear(encode_frame(28, b"short", 1, 2))
        self.assertIsInstance(event, Broken)
        self.assertEqual(self.tell(client.Pong()), [], "nothing more is believed")
        self.core.connect()
        self.assertEqual(self.tell(client.Pong()), [Ponged()])

    @settings(max_examples=150)
    @given(
        st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255), st.binary(max_size=60))),
    )
    def test_any_frames(self, frames: list[tuple[int, int, bytes]]) -> None:
        """Nothing is raised, whatever comes."""
        core = ClientCore(1)
        for seq, (cmd, flag, body) in enumerate(frames):
            core.receive_data(encode_frame(cmd, body, seq, 2, flag))
            core.tick()

    def test_too_long_to_send(self) -> None:
        """Is said before it is sent, and takes no number."""
        with self.assertRaises(BodyError):
            self.core.send_im(2, bytes(32767))
        self.assertEqual(self.core.send_im(2, bytes(32767 - 24)), 1)


GROUP, ORDINARY = 3111, 3110
"""A super group, which has a queue of its own; and a group whose messages are in the user's."""


class Model:
    """A server with a user's queue and a super group's, and a client that it may lose at any
    moment.

    Every answer takes its time: a sync reads the queue at one moment and is written at another,
    while pushes and notifies go on.
    """

    def __init__(self) -> None:
        self.core = ClientCore(1, keys={0: 0, GROUP: 0})
        self.stored: dict[int, list[tuple[int, Message]]] = {0: [], GROUP: []}
        self.told: list[Message] = []
        self.connect()

    def connect(self) -> None:
        """A new connection; what was on the way is lost."""
        self.server = ServerEnd()
        self.pending: list[tuple[int, int, list[tuple[int, Message]]]] = []
        self.owed: set[int] = set()
        self.wire = b""
        self.core.connect()
        self.core.log_in("token")
        if not self.core.holding:
            self.core.sync_all()

    def newest(self, queue: int) -> int:
        """The newest id of a queue."""
        return self.stored[queue][-1][0] if self.stored[queue] else 0

    def enter(self, queue: int, message: Message) -> tuple[int, int]:
        """The message is stored: its id, and the one before."""
        prev = self.newest(queue)
        # Ids of both queues are of one storage.
        msgid = max(map(self.newest, self.stored)) + 7
        self.stored[queue].append((msgid, message))
        return msgid, prev

    def push(self, message: Message, queue: int) -> None:
        """Somebody writes: stored, pushed where the previous id is known, notified."""
        msgid, prev = self.enter(queue, message)
        if prev:
            self.wire += self.server.push(message, msgid, prev, group_id=queue)
        else:
            self.wire += self.server.notify(msgid, queue)

    def store(self) -> None:
        """To the user."""
        self.push(im(f"to the user, {self.newest(0)}"), 0)

    def store_to_members(self) -> None:
        """To an ordinary group."""
        self.push(group_im(f"to members, {self.newest(0)}", ORDINARY), 0)

    def store_to_group(self) -> None:
        """To the super group."""
        self.push(group_im(f"to the group, {self.newest(GROUP)}", GROUP), GROUP)

    def store_slowly(self) -> None:
        """Somebody writes while the client reads slowly: no push, one notify for all, later."""
        self.enter(0, im(f"slowly, {self.newest(0)}"))
        self.owed.add(0)

    def store_to_group_slowly(self) -> None:
        """The same to the super group."""
        self.enter(GROUP, group_im(f"slowly, {self.newest(GROUP)}", GROUP))
        self.owed.add(GROUP)

    def write(self) -> None:
        """The client writes to somebody: stored in its own queue, stepped over by the ack."""
        seq = self.core.send_im(2, "own")
        self.wire += self.server.ack(seq, *self.enter(0, im("own", 1)))

    def write_to_group(self) -> None:
        """The client writes to the super group."""
        seq = self.core.send_group(GROUP, "own")
        entry = self.enter(GROUP, group_im("own", GROUP, 1))
        self.wire += self.server.ack(seq, *entry, group_id=GROUP)

    def write_to_members(self) -> None:
        """The client writes to an ordinary group; the ids are not known in time for the ack."""
        seq = self.core.send_group(ORDINARY, "own")
        self.enter(0, group_im("own", ORDINARY, 1))
        self.wire += self.server.ack(seq)

    def read(self) -> None:
        """The server reads what the client said, and the queue for each sync."""
        for message in self.server.read(self.core.data_to_send()):
            queue = GROUP if isinstance(message, client.SyncGroup) else 0
            if isinstance(message, client.Sync | client.SyncGroup):
                key = message.sync_key
                page = [m for m in self.stored[queue] if m[0] > key][:3]
                self.pending.append((queue, key, page))

    def answer(self) -> None:
        """The server writes the oldest answer."""
        if self.pending:
            queue, key, page = self.pending.pop(0)
            end = page[-1][0] if page else key
            self.wire += self.server.batch(key, [message for _, message in page], end, queue)
            if end < self.newest(queue):
                self.wire += self.server.notify(end + 1, queue)

    def deliver(self) -> None:
        """What is on the way arrives."""
        for queue in self.owed:
            self.wire += self.server.notify(self.newest(queue), queue)
        self.owed.clear()
        data, self.wire = self.wire, b""
        events = self.core.receive_data(data)
        self.told += [event.message for event in events if isinstance(event, MessageReceived)]

    def deliver_some(self) -> None:
        """Half of it arrives, and the connection is lost."""
        self.wire = self.wire[: len(self.wire) // 2]
        self.owed.clear()
        self.deliver()
        self.connect()

    def hold(self) -> None:
        """The client has more than its user takes."""
        self.core.hold()

    def resume(self) -> None:
        """The user took it."""
        self.core.resume()

    def settle(self) -> None:
        """Everybody reads and answers until there is nothing left to say."""
        self.core.resume()
        while self.wire or self.owed or self.pending or not self.quiet():
            self.answer()
            self.deliver()

    def quiet(self) -> bool:
        """Whether the client had nothing to say that wants an answer."""
        self.read()
        return not self.pending

    def of(self, queue: int) -> list[Message]:
        """What the client was told of a queue, but for its own."""
        return [
            m
            for m in self.told
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
    """The rules together."""

    @settings(max_examples=150)
    @given(STEPS)
    def test_nothing_is_lost_or_doubled(self, steps: list[Callable[[Model], None]]) -> None:
        """However pushes, syncs, own messages, slow readers and lost connections fall together,
        in the user's queue and in a super group's."""
        model = Model()
        for step in steps:
            step(model)
        model.settle()
        for queue, stored in model.stored.items():
            wanted = [m for _, m in stored if m.content != b"own"]  # type: ignore[attr-defined]
            self.assertEqual(model.of(queue), wanted)
