"""Client: connecting, waiting calls, and reconnecting after a lost connection."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.client import (
    Acked,
    Client,
    LiveReceived,
    LoginRefused,
    MemoryKeyStore,
    MessageReceived,
    Overdue,
    Ponged,
    Synced,
)
from gobelieve.client.connection import Connection
from gobelieve.errors import (
    BodyError,
    ClientClosedError,
    LoginRefusedError,
    MessageRefusedError,
)
from gobelieve.names import AckStatus, User
from gobelieve.wire import client, customers, encode_frame
from gobelieve.wire.frames import SELF
from tests.client.net import Network, Wire
from tests.client.scripted import group_im, im
from tests.protocols.logs import Events

T = TypeVar("T")


def start(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Start a coroutine and return its Deferred."""
    return Deferred.fromCoroutine(work)


class ClientTestCase(SynchronousTestCase):
    """A client that has all messages up to id 100."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        self.keys = MemoryKeyStore()
        self.keys.save({0: 100})
        self.events = Events()
        for cls in (Client, Connection):
            self.patch(cls, "log", self.events.log())
        self.client = self.make()

    def make(self, **options: Any) -> Client:
        """Return a client with these options, which reconnects after one second."""
        return Client(
            self.clock,
            self.network,
            1,
            "token",
            key_store=self.keys,
            retry=lambda attempt: 1.0,
            **options,
        )

    def log_in(self) -> Wire:
        """Connect and log in; the server has nothing new."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        wire.accept()
        self.successResultOf(connecting)
        wire.sent()
        return wire

    def again(self) -> Wire:
        """Return the next connection, which is not logged in yet."""
        self.clock.advance(1.0)
        return self.network.accept()

    def content(self, receiving: Deferred[MessageReceived]) -> bytes:
        """Return the content of the received message."""
        return self.successResultOf(receiving).content


class ConnectTests(ClientTestCase):
    """The first connection of a client."""

    def test_connect(self) -> None:
        """`connect` ends when the login is accepted. Login and sync leave in one write."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        self.assertEqual(
            wire.sent(),
            [
                client.AuthToken(platform=2, token=b"token", device_id=b"gobelieve"),
                client.Sync(sync_key=100),
            ],
        )
        self.assertNoResult(connecting)
        wire.deliver(wire.server.frame(client.AuthStatus(status=0)))
        self.successResultOf(connecting)
        self.successResultOf(start(self.client.connect()))
        self.assertEqual(self.network.attempts, [], "connecting twice is connecting once")

    def test_no_server(self) -> None:
        """Without a server `connect` fails at once, and the client is closed."""
        connecting = start(self.client.connect())
        self.network.refuse()
        self.clock.advance(0)
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.failureResultOf(start(self.client.connect()), ClientClosedError)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])

    def test_a_wrong_token(self) -> None:
        """A refused token is an error. The client does not try again."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        wire.deliver(client.AuthStatus(status=1).frame(1, 0))
        self.clock.advance(0)
        self.assertEqual(self.failureResultOf(connecting, LoginRefusedError).value.status, 1)
        self.assertTrue(wire.gone)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])

    def test_a_server_that_hangs_up(self) -> None:
        """`connect` fails if the server closes the connection before its answer."""
        connecting = start(self.client.connect())
        self.network.accept().end(ConnectionLost())
        self.clock.advance(0)
        self.failureResultOf(connecting, ConnectionLost)

    def test_a_server_that_says_nothing(self) -> None:
        """After ten seconds without an answer `connect` fails."""
        connecting = start(self.client.connect())
        self.network.accept()
        self.clock.pump([1.0] * 12)
        self.failureResultOf(connecting, ConnectionAborted)

    def test_before_connect(self) -> None:
        """Before the connection, a message waits for it. Requests that cannot wait do nothing."""
        self.client.send_rt(2, "r")
        sending = start(self.client.send(2, "hi"))
        start(self.client.connect())
        wire = self.network.accept()
        wire.accept()
        (sent,) = wire.sent()
        self.assertEqual(sent, client.IM(sender=1, receiver=2, msgid=0, content=b"hi"))
        self.assertNoResult(sending)

    def test_a_token_that_is_too_long(self) -> None:
        """A token that fits into no frame is an error in the constructor."""
        with self.assertRaises(BodyError):
            Client(self.clock, "127.0.0.1:23000", 1, "t" * 256)

    def test_as_a_context_manager(self) -> None:
        """As a context manager the client is connected inside, and closed after it."""

        async def main() -> None:
            async with self.client as entered:
                self.assertIs(entered, self.client)
                await entered.receive()

        running = start(main())
        wire = self.network.accept()
        wire.accept()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        self.successResultOf(running)
        self.assertTrue(wire.gone)


class SendTests(ClientTestCase):
    """Messages that the client sends."""

    def test_send_ends_with_the_ack(self) -> None:
        """`send` ends when the server acks the message."""
        wire = self.log_in()
        sending = start(self.client.send(2, '{"text": "hi"}', msgid=5))
        self.assertEqual(
            wire.sent(),
            [client.IM(sender=1, receiver=2, msgid=5, content=b'{"text": "hi"}')],
        )
        self.assertNoResult(sending)
        wire.deliver(wire.server.ack(3))
        self.assertEqual(self.successResultOf(sending), Acked(3, 0))

    def test_one_write_a_turn(self) -> None:
        """All messages of one turn leave in one write, in order."""
        wire = self.log_in()
        sendings = [start(self.client.send(2, str(n))) for n in range(50)]
        self.assertEqual(wire.value(), b"")
        contents = [m.content for m in wire.sent() if isinstance(m, client.IM)]
        self.assertEqual(contents, [b"%d" % n for n in range(50)])
        wire.deliver(b"".join(wire.server.ack(3 + n) for n in range(50)))
        self.assertEqual([self.successResultOf(s).seq for s in sendings], list(range(3, 53)))

    def test_refused(self) -> None:
        """The error of a refused message has the server's reason."""
        wire = self.log_in()
        sending = start(self.client.send_group(9, "hi"))
        wire.deliver(wire.server.ack(3, status=AckStatus.NOT_GROUP_MEMBER))
        refused = self.failureResultOf(sending, MessageRefusedError).value
        self.assertEqual(refused.status, AckStatus.NOT_GROUP_MEMBER)
        self.assertEqual(str(refused), "message refused: NOT_GROUP_MEMBER")
        self.assertEqual((refused.name, refused.not_stored), ("NOT_GROUP_MEMBER", False))
        sending = start(self.client.send(2, "hi"))
        wire.deliver(wire.server.ack(4, status=AckStatus.STORAGE_AWAY))
        self.assertTrue(self.failureResultOf(sending, MessageRefusedError).value.not_stored)

    def test_too_long(self) -> None:
        """A message that is too long is an error at once. The connection stays."""
        self.failureResultOf(start(self.client.send(2, bytes(32767))), BodyError)
        wire = self.log_in()
        self.failureResultOf(start(self.client.send(2, bytes(32767))), BodyError)
        self.assertEqual(wire.sent(), [])

    def test_a_lost_connection(self) -> None:
        """Messages without an ack are sent again in order, before all that were sent later."""
        wire = self.log_in()
        sendings = [start(self.client.send(2, text)) for text in ("a", "b")]
        wire.deliver(wire.server.ack(3))
        self.successResultOf(sendings[0])
        third = start(self.client.send(2, "c"))
        wire.end(ConnectionLost())
        fourth = start(self.client.send(2, "d"))
        wire = self.again()
        wire.accept()
        sent = wire.sent()
        self.assertEqual([m.content for m in sent if isinstance(m, client.IM)], [b"b", b"c", b"d"])
        self.assertNoResult(fourth)
        wire.deliver(wire.server.acks())
        for sending in (sendings[1], third, fourth):
            self.successResultOf(sending)

    def test_no_ack(self) -> None:
        """After five seconds without an ack the client reconnects and sends the message again."""
        wire = self.log_in()
        sending = start(self.client.send(2, "hi"))
        self.clock.pump([1.0] * 6 + [0.0])
        self.assertTrue(wire.gone)
        self.assertEqual(self.events.texts(), ["1 ends its connection: ack is overdue"])
        self.assertEqual(
            self.successResultOf(start(self.client.next_event(Overdue))), Overdue("ack")
        )
        wire = self.again()
        wire.accept()
        (sent,) = wire.sent()
        self.assertIsInstance(sent, client.IM)
        wire.deliver(wire.server.acks())
        self.successResultOf(sending)

    def test_cancelled(self) -> None:
        """A program may cancel `send`. An ack that comes later does no harm."""
        wire = self.log_in()
        sending = start(self.client.send(2, "hi"))
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        wire.deliver(wire.server.ack(3))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_customer_service(self) -> None:
        """Messages of customer service wait for an ack, and name the client's app."""
        self.client = self.make(appid=7)
        wire = self.log_in()
        sendings = [
            start(self.client.send_customer(2, "c")),
            start(self.client.send_support(User(8, 3), "s")),
            start(self.client.send_customer_v2(User(1453, 2), "v")),
        ]
        (customer, support, later) = wire.sent()
        assert isinstance(customer, customers.Customer)
        assert isinstance(support, customers.CustomerSupport)
        assert isinstance(later, customers.CustomerV2)
        self.assertEqual((customer.customer_appid, customer.customer_id), (7, 1))
        self.assertEqual((support.customer_appid, support.seller_id), (8, 1))
        self.assertEqual((later.sender_appid, later.sender), (7, 1))
        wire.deliver(wire.server.acks())
        for sending in sendings:
            self.successResultOf(sending)

    def test_without_an_answer(self) -> None:
        """Requests without an answer are sent at once. They are dropped while there is no
        connection."""
        wire = self.log_in()
        self.client.send_rt(2, "r")
        self.client.send_inputing(2)
        self.client.report_unread(3)
        self.assertEqual(
            wire.sent(),
            [
                client.RT(sender=1, receiver=2, content=b"r"),
                client.Inputing(sender=1, receiver=2),
                client.UnreadCount(count=3),
            ],
        )
        wire.end(ConnectionLost())
        self.client.send_rt(2, "r")
        self.assertNotIn(client.RT(sender=1, receiver=2, content=b"r"), self.again().sent())

    def test_rooms(self) -> None:
        """The client enters its room on every connection, until it leaves the room."""
        wire = self.log_in()
        self.client.enter_room(5)
        start(self.client.send_room(5, "hi"))
        self.assertEqual(
            wire.sent(),
            [client.EnterRoom(room=5), client.RoomIM(sender=1, receiver=5, content=b"hi")],
        )
        wire.end(ConnectionLost())
        wire = self.again()
        self.assertIn(client.EnterRoom(room=5), wire.sent())
        self.client.leave_room()
        self.assertEqual(wire.sent(), [client.LeaveRoom(room=5)])
        wire.end(ConnectionLost())
        self.assertNotIn(client.EnterRoom(room=5), self.again().sent())


class ReceiveTests(ClientTestCase):
    """Messages that the client receives."""

    def test_receive_before_the_message(self) -> None:
        """Calls of `receive` get messages in the order of the calls."""
        wire = self.log_in()
        first, second = start(self.client.receive()), start(self.client.receive())
        wire.deliver(wire.server.push(im("a"), 110, 100) + wire.server.push(im("b"), 120, 110))
        self.assertEqual((self.content(first), self.content(second)), (b"a", b"b"))

    def test_receive_after_the_message(self) -> None:
        """A message is kept until the program asks for it."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        self.assertEqual(self.content(start(self.client.receive())), b"a")

    def test_a_cancelled_receive(self) -> None:
        """A cancelled `receive` takes no message with it."""
        wire = self.log_in()
        start(self.client.receive()).addErrback(lambda _: None).cancel()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        self.assertEqual(self.content(start(self.client.receive())), b"a")

    def test_answering_at_once(self) -> None:
        """A bot may call the client as soon as it has the message."""
        wire = self.log_in()

        async def bot() -> None:
            while True:
                message = await self.client.receive()
                await self.client.send(message.sender, message.content.upper())

        start(bot()).addErrback(lambda _: None)
        self.client.core.hold()
        self.client.core.resume()
        wire.deliver(wire.server.batch(100, [im("a", 2), im("b", 3)], 120))
        sent = [m for m in wire.sent() if isinstance(m, client.IM)]
        self.assertEqual([(m.receiver, m.content) for m in sent], [(2, b"A")])
        wire.deliver(wire.server.acks())
        sent = [m for m in wire.sent() if isinstance(m, client.IM)]
        self.assertEqual([(m.receiver, m.content) for m in sent], [(3, b"B")])

    def test_live_messages(self) -> None:
        """Messages that are not stored come by `receive_live`."""
        wire = self.log_in()
        sent = client.RoomIM(sender=2, receiver=5, content=b"hi")
        waiting = start(self.client.receive_live())
        wire.deliver(wire.server.frame(sent))
        self.assertEqual(self.successResultOf(waiting), sent)

    def test_a_super_group(self) -> None:
        """`follow` fetches a super group now and after every login. Its key is stored."""
        wire = self.log_in()
        self.client.follow(3111)
        self.assertEqual(wire.sent(), [client.SyncGroup(group_id=3111, sync_key=0)])
        wire.end(ConnectionLost())
        wire = self.again()
        self.assertIn(client.SyncGroup(group_id=3111, sync_key=0), wire.sent())
        wire.deliver(wire.server.frame(client.AuthStatus(status=0)))
        wire.deliver(wire.server.batch(0, [group_im("a", 3111)], 500, 3111))
        wire.deliver(wire.server.push(group_im("b", 3111), 510, 500, group_id=3111))
        for content in (b"a", b"b"):
            message = self.successResultOf(start(self.client.receive()))
            self.assertEqual((message.content, message.group_id), (content, 3111))
        self.assertEqual(self.client.group_key(3111), 510)
        closing = start(self.client.close())
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertEqual(self.keys.load(), {0: 100, 3111: 510})

    def test_own_messages(self) -> None:
        """The client's own messages are left out, unless the program asks for them."""
        for own, wanted in [(False, [b"a"]), (True, [b"mine", b"a"])]:
            self.client = self.make(own_messages=own)
            wire = self.log_in()
            start(self.client.sync_to_end())
            wire.sent()
            server = wire.server
            wire.deliver(
                server.frame(client.SyncBegin(sync_key=100))
                + server.frame(im("mine", 1), SELF)
                + server.frame(im("a"))
                + server.frame(client.SyncEnd(sync_key=120))
            )
            received = [self.content(start(self.client.receive())) for _ in wanted]
            self.assertEqual(received, wanted)
            self.keys.save({0: 100})

    def test_keys_are_stored_when_the_program_has_finished(self) -> None:
        """A key is stored and reported only when the program has finished the message."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100) + wire.server.push(im("b"), 120, 110))
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 100})
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 100})
        wire.sent()
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 110})
        self.assertEqual(wire.sent(), [client.SyncKey(sync_key=110)])
        self.assertEqual(self.client.key, 120)

    def test_keys_that_cannot_be_stored(self) -> None:
        """If keys cannot be stored, the client tries again. It reports them only after that."""

        class Full(MemoryKeyStore):
            full = True

            def save(self, keys: Any) -> None:
                if self.full:
                    raise OSError("no space")
                super().save(keys)

        self.keys = store = Full()
        store.keys = {0: 100}
        self.client = self.make()
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(store.keys, {0: 100})
        self.assertNotIn(client.SyncKey(sync_key=110), wire.sent())
        self.assertEqual(self.events.texts(), ["1 cannot store its sync keys"])
        store.full = False
        self.clock.advance(1)
        self.assertEqual(store.keys, {0: 110})
        self.assertIn(client.SyncKey(sync_key=110), wire.sent())

    def test_a_full_inbox(self) -> None:
        """A full inbox leaves messages on the server. The client fetches them when there is
        room."""
        self.client = self.make(inbox_limit=2)
        wire = self.log_in()
        for n in range(4):
            wire.deliver(wire.server.push(im(str(n)), 110 + 10 * n, 100 + 10 * n))
        self.assertNotIn(client.Sync, map(type, wire.sent()))
        self.assertEqual(self.content(start(self.client.receive())), b"0")
        self.assertEqual(wire.sent(), [client.Sync(sync_key=120)])
        wire.deliver(wire.server.batch(120, [im("2"), im("3")], 140))
        received = [self.content(start(self.client.receive())) for _ in range(3)]
        self.assertEqual(received, [b"1", b"2", b"3"])

    def test_sync_to_end(self) -> None:
        """`sync_to_end` fetches until the server has nothing more."""
        wire = self.log_in()
        syncing = start(self.client.sync_to_end())
        self.assertEqual(wire.sent(), [client.Sync(sync_key=100)])
        wire.deliver(wire.server.batch(100, [im("a")], 110))
        self.assertIn(client.Sync(sync_key=110), wire.sent())
        self.assertNoResult(syncing)
        wire.deliver(wire.server.batch(110, [], 110))
        self.assertEqual(self.successResultOf(syncing), 110)

    def test_sync_to_end_over_a_lost_connection(self) -> None:
        """`sync_to_end` continues on the next connection."""
        wire = self.log_in()
        syncing = start(self.client.sync_to_end())
        wire.end(ConnectionLost())
        self.again().accept()
        self.assertEqual(self.successResultOf(syncing), 100)

    def test_kept_events(self) -> None:
        """An event is kept until a call asks for its kind. One call gets it."""
        wire = self.log_in()
        self.assertEqual(
            self.successResultOf(start(self.client.next_event(Synced))), Synced(100, 100)
        )
        ponged, live = start(self.client.next_event(Ponged)), self.client.next_event(LiveReceived)
        self.client.ping()
        self.assertEqual(wire.sent(), [client.Ping()])
        rt = client.RT(sender=2, receiver=1, content=b"r")
        wire.deliver(wire.server.frame(rt) + wire.server.frame(client.Pong()))
        self.successResultOf(ponged)
        self.assertEqual(self.successResultOf(start(live)).message, rt)
        self.assertNoResult(start(self.client.next_event(Ponged)))


class ReconnectTests(ClientTestCase):
    """Connections after the first."""

    def test_after_a_loss(self) -> None:
        """The client syncs with its present key, not with the stored one."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        wire.end(ConnectionLost())
        self.assertEqual(self.network.attempts, [])
        self.assertIn(client.Sync(sync_key=110), self.again().sent())

    def test_while_there_is_no_server(self) -> None:
        """The client tries again and again."""
        self.log_in().end(ConnectionLost())
        for _ in range(5):
            self.clock.advance(1)
            self.network.refuse()
        self.again().accept()
        self.assertEqual(self.events, [])

    def test_malformed_bytes(self) -> None:
        """Malformed bytes end the connection, with one warning. Messages before them count."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100) + encode_frame(28, b"short", 9, 2))
        self.assertTrue(wire.gone)
        self.assertEqual(self.content(start(self.client.receive())), b"a")
        (text,) = self.events.texts()
        self.assertIn("ends its connection", text)
        self.again()

    def test_refused_later(self) -> None:
        """The Go server refuses logins while its Redis is away. So the client tries twice more, and
        then closes."""
        wire = self.log_in()
        sending, receiving = start(self.client.send(2, "hi")), start(self.client.receive())
        wire.end(ConnectionLost())
        for _ in range(2):
            wire = self.again()
            wire.deliver(client.AuthStatus(status=1).frame(1, 0))
            self.assertTrue(wire.gone)
            self.assertNoResult(sending)
        self.assertEqual(
            self.successResultOf(start(self.client.next_event(LoginRefused))), LoginRefused(1)
        )
        wire = self.again()
        wire.deliver(client.AuthStatus(status=1).frame(1, 0))
        self.failureResultOf(sending, LoginRefusedError)
        self.failureResultOf(receiving, LoginRefusedError)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])


class CloseTests(ClientTestCase):
    """The end of a client."""

    def test_close_waits_for_the_end(self) -> None:
        """At `close` all frames leave, the key is stored and reported, and nothing reconnects."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        self.client.send_rt(2, "bye")
        wire.sent()
        self.client.send_rt(2, "bye")
        closing = start(self.client.close())
        self.assertNoResult(closing)
        self.assertEqual(
            wire.sent(),
            [client.RT(sender=1, receiver=2, content=b"bye"), client.SyncKey(sync_key=110)],
        )
        self.successResultOf(closing)
        self.assertEqual(self.keys.keys, {0: 110})
        self.clock.advance(60)
        self.assertEqual((self.network.attempts, self.clock.getDelayedCalls()), ([], []))

    def test_a_connection_that_does_not_end(self) -> None:
        """A connection that does not close is aborted after five seconds."""
        wire = self.log_in()
        wire.stuck = True
        closing = start(self.client.close())
        self.clock.advance(4.9)
        self.assertNoResult(closing)
        self.clock.pump([0.2, 0])
        self.successResultOf(closing)

    def test_waiting_calls_fail(self) -> None:
        """All calls that wait fail when the client is closed."""
        self.log_in()
        waiting: list[Deferred[Any]] = [
            start(self.client.send(2, "hi")),
            start(self.client.receive()),
            start(self.client.next_event(Ponged)),
            start(self.client.sync_to_end()),
        ]
        start(self.client.close())
        for one in waiting:
            self.failureResultOf(one, ClientClosedError)
        for late in (self.client.send(2, "hi"), self.client.receive(), self.client.connect()):
            self.failureResultOf(start(late), ClientClosedError)

    def test_twice_and_never_connected(self) -> None:
        """Closing twice, or without a connection, does no harm."""
        self.successResultOf(start(self.client.close()))
        self.successResultOf(start(self.client.close()))

    def test_an_error_over_a_message(self) -> None:
        """After an error in ``async with`` the last message is not finished, and comes again."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        wire.deliver(wire.server.push(im("b"), 120, 110))

        async def work() -> None:
            try:
                await self.client.receive()
                await self.client.receive()
                raise ValueError("over b")
            except ValueError as why:
                await self.client.__aexit__(type(why), why, None)

        working = start(work())
        wire.sent()
        self.successResultOf(working)
        self.assertEqual(self.keys.keys, {0: 110})

    def test_close_after_the_client_gave_up(self) -> None:
        """Keys of messages taken after the client gave up are stored at `close`."""
        wire = self.log_in()
        wire.deliver(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        self.client.closed(LoginRefusedError(1))
        closing = start(self.client.close())
        wire.sent()
        self.successResultOf(closing)
        self.assertEqual(self.keys.keys, {0: 110})

    def test_close_while_there_is_no_server(self) -> None:
        """`close` ends the attempts to reconnect."""
        self.log_in().end(ConnectionLost())
        self.successResultOf(start(self.client.close()))
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])
