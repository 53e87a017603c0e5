"""The client on a network: connecting, waiting, and what survives a lost connection."""

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
    """Begin."""
    return Deferred.fromCoroutine(work)


class ClientTestCase(SynchronousTestCase):
    """A client that has everything up to 100."""

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
        """A client with these options; it tries again after a second."""
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
        """Connected, logged in, nothing new."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        wire.accept()
        self.successResultOf(connecting)
        wire.hear()
        return wire

    def again(self) -> Wire:
        """The next connection, not logged in yet."""
        self.clock.advance(1.0)
        return self.network.accept()

    def content(self, receiving: Deferred[MessageReceived]) -> bytes:
        """Of the message that was received."""
        return self.successResultOf(receiving).content


class ConnectTests(ClientTestCase):
    """The first connection."""

    def test_connect(self) -> None:
        """Is done when the login is accepted; login and sync leave in one write."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        self.assertEqual(
            wire.hear(),
            [
                client.AuthToken(platform=2, token=b"token", device_id=b"gobelieve"),
                client.Sync(sync_key=100),
            ],
        )
        self.assertNoResult(connecting)
        wire.say(wire.server.frame(client.AuthStatus(status=0)))
        self.successResultOf(connecting)
        self.successResultOf(start(self.client.connect()))
        self.assertEqual(self.network.attempts, [], "connecting twice is connecting once")

    def test_no_server(self) -> None:
        """Is an error at once, and the client is closed."""
        connecting = start(self.client.connect())
        self.network.refuse()
        self.clock.advance(0)
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.failureResultOf(start(self.client.connect()), ClientClosedError)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])

    def test_a_wrong_token(self) -> None:
        """Is an error, and not tried again."""
        connecting = start(self.client.connect())
        wire = self.network.accept()
        wire.say(client.AuthStatus(status=1).frame(1, 0))
        self.clock.advance(0)
        self.assertEqual(self.failureResultOf(connecting, LoginRefusedError).value.status, 1)
        self.assertTrue(wire.gone)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])

    def test_a_server_that_hangs_up(self) -> None:
        """Before it answered."""
        connecting = start(self.client.connect())
        self.network.accept().end(ConnectionLost())
        self.clock.advance(0)
        self.failureResultOf(connecting, ConnectionLost)

    def test_a_server_that_says_nothing(self) -> None:
        """Is given up after ten seconds."""
        connecting = start(self.client.connect())
        self.network.accept()
        self.clock.pump([1.0] * 12)
        self.failureResultOf(connecting, ConnectionAborted)

    def test_before_connect(self) -> None:
        """A message waits for the connection, and requests that cannot wait do nothing."""
        self.client.send_rt(2, "r")
        sending = start(self.client.send(2, "hi"))
        start(self.client.connect())
        wire = self.network.accept()
        wire.accept()
        (said,) = wire.hear()
        self.assertEqual(said, client.IM(sender=1, receiver=2, msgid=0, content=b"hi"))
        self.assertNoResult(sending)

    def test_a_token_that_is_too_long(self) -> None:
        """Is an error when the client is made."""
        with self.assertRaises(BodyError):
            Client(self.clock, "127.0.0.1:23000", 1, "t" * 256)

    def test_with(self) -> None:
        """The client as a context: connected inside, closed after it."""

        async def main() -> None:
            async with self.client as entered:
                self.assertIs(entered, self.client)
                await entered.receive()

        running = start(main())
        wire = self.network.accept()
        wire.accept()
        wire.say(wire.server.push(im("a"), 110, 100))
        self.successResultOf(running)
        self.assertTrue(wire.gone)


class SendTests(ClientTestCase):
    """Messages to others."""

    def test_acked(self) -> None:
        """Done when the server says so."""
        wire = self.log_in()
        sending = start(self.client.send(2, '{"text": "hi"}', msgid=5))
        self.assertEqual(
            wire.hear(),
            [client.IM(sender=1, receiver=2, msgid=5, content=b'{"text": "hi"}')],
        )
        self.assertNoResult(sending)
        wire.say(wire.server.ack(3))
        self.assertEqual(self.successResultOf(sending), Acked(3, 0))

    def test_one_write_a_turn(self) -> None:
        """However many are sent, in order."""
        wire = self.log_in()
        sendings = [start(self.client.send(2, str(n))) for n in range(50)]
        self.assertEqual(wire.value(), b"")
        contents = [m.content for m in wire.hear() if isinstance(m, client.IM)]
        self.assertEqual(contents, [b"%d" % n for n in range(50)])
        wire.say(b"".join(wire.server.ack(3 + n) for n in range(50)))
        self.assertEqual([self.successResultOf(s).seq for s in sendings], list(range(3, 53)))

    def test_refused(self) -> None:
        """The reason is in the error."""
        wire = self.log_in()
        sending = start(self.client.send_group(9, "hi"))
        wire.say(wire.server.ack(3, status=AckStatus.NOT_GROUP_MEMBER))
        refused = self.failureResultOf(sending, MessageRefusedError).value
        self.assertEqual(refused.status, AckStatus.NOT_GROUP_MEMBER)
        self.assertEqual(str(refused), "message refused: NOT_GROUP_MEMBER")
        self.assertEqual((refused.name, refused.not_stored), ("NOT_GROUP_MEMBER", False))
        sending = start(self.client.send(2, "hi"))
        wire.say(wire.server.ack(4, status=AckStatus.STORAGE_AWAY))
        self.assertTrue(self.failureResultOf(sending, MessageRefusedError).value.not_stored)

    def test_too_long(self) -> None:
        """Is an error at once, connected or not, and the connection stays."""
        self.failureResultOf(start(self.client.send(2, bytes(32767))), BodyError)
        wire = self.log_in()
        self.failureResultOf(start(self.client.send(2, bytes(32767))), BodyError)
        self.assertEqual(wire.hear(), [])

    def test_a_lost_connection(self) -> None:
        """What has no ack is sent again, in order, before what was said meanwhile."""
        wire = self.log_in()
        sendings = [start(self.client.send(2, text)) for text in ("a", "b")]
        wire.say(wire.server.ack(3))
        self.successResultOf(sendings[0])
        third = start(self.client.send(2, "c"))
        wire.end(ConnectionLost())
        fourth = start(self.client.send(2, "d"))
        wire = self.again()
        wire.accept()
        said = wire.hear()
        self.assertEqual([m.content for m in said if isinstance(m, client.IM)], [b"b", b"c", b"d"])
        self.assertNoResult(fourth)
        wire.say(wire.server.acks())
        for sending in (sendings[1], third, fourth):
            self.successResultOf(sending)

    def test_no_ack(self) -> None:
        """After five seconds the connection is given up, and the message sent on the next."""
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
        (said,) = wire.hear()
        self.assertIsInstance(said, client.IM)
        wire.say(wire.server.acks())
        self.successResultOf(sending)

    def test_cancelled(self) -> None:
        """Whoever waits may stop waiting; an ack that comes later does no harm."""
        wire = self.log_in()
        sending = start(self.client.send(2, "hi"))
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        wire.say(wire.server.ack(3))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_customer_service(self) -> None:
        """Waits for its ack as any message; our application is named in it."""
        self.client = self.make(appid=7)
        wire = self.log_in()
        sendings = [
            start(self.client.send_customer(2, "c")),
            start(self.client.send_support(User(8, 3), "s")),
            start(self.client.send_customer_v2(User(1453, 2), "v")),
        ]
        (customer, support, later) = wire.hear()
        assert isinstance(customer, customers.Customer)
        assert isinstance(support, customers.CustomerSupport)
        assert isinstance(later, customers.CustomerV2)
        self.assertEqual((customer.customer_appid, customer.customer_id), (7, 1))
        self.assertEqual((support.customer_appid, support.seller_id), (8, 1))
        self.assertEqual((later.sender_appid, later.sender), (7, 1))
        wire.say(wire.server.acks())
        for sending in sendings:
            self.successResultOf(sending)

    def test_without_an_answer(self) -> None:
        """Sent at once; forgotten while there is no connection."""
        wire = self.log_in()
        self.client.send_rt(2, "r")
        self.client.send_inputing(2)
        self.client.report_unread(3)
        self.assertEqual(
            wire.hear(),
            [
                client.RT(sender=1, receiver=2, content=b"r"),
                client.Inputing(sender=1, receiver=2),
                client.UnreadCount(count=3),
            ],
        )
        wire.end(ConnectionLost())
        self.client.send_rt(2, "r")
        self.assertNotIn(client.RT(sender=1, receiver=2, content=b"r"), self.again().hear())

    def test_rooms(self) -> None:
        """A room is entered again on every connection, until it is left."""
        wire = self.log_in()
        self.client.enter_room(5)
        start(self.client.send_room(5, "hi"))
        self.assertEqual(
            wire.hear(),
            [client.EnterRoom(room=5), client.RoomIM(sender=1, receiver=5, content=b"hi")],
        )
        wire.end(ConnectionLost())
        wire = self.again()
        self.assertIn(client.EnterRoom(room=5), wire.hear())
        self.client.leave_room()
        self.assertEqual(wire.hear(), [client.LeaveRoom(room=5)])
        wire.end(ConnectionLost())
        self.assertNotIn(client.EnterRoom(room=5), self.again().hear())


class ReceiveTests(ClientTestCase):
    """Messages from others."""

    def test_waiting(self) -> None:
        """Whoever waits gets it, in the order of waiting."""
        wire = self.log_in()
        first, second = start(self.client.receive()), start(self.client.receive())
        wire.say(wire.server.push(im("a"), 110, 100) + wire.server.push(im("b"), 120, 110))
        self.assertEqual((self.content(first), self.content(second)), (b"a", b"b"))

    def test_not_waiting(self) -> None:
        """Kept until somebody asks."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100))
        self.assertEqual(self.content(start(self.client.receive())), b"a")

    def test_not_waiting_any_more(self) -> None:
        """A receive that was cancelled takes nothing with it."""
        wire = self.log_in()
        start(self.client.receive()).addErrback(lambda _: None).cancel()
        wire.say(wire.server.push(im("a"), 110, 100))
        self.assertEqual(self.content(start(self.client.receive())), b"a")

    def test_answering_at_once(self) -> None:
        """A bot may call the client while it is told."""
        wire = self.log_in()

        async def bot() -> None:
            while True:
                message = await self.client.receive()
                await self.client.send(message.sender, message.content.upper())

        start(bot()).addErrback(lambda _: None)
        self.client.core.hold()
        self.client.core.resume()
        wire.say(wire.server.batch(100, [im("a", 2), im("b", 3)], 120))
        said = [m for m in wire.hear() if isinstance(m, client.IM)]
        self.assertEqual([(m.receiver, m.content) for m in said], [(2, b"A")])
        wire.say(wire.server.acks())
        said = [m for m in wire.hear() if isinstance(m, client.IM)]
        self.assertEqual([(m.receiver, m.content) for m in said], [(3, b"B")])

    def test_live(self) -> None:
        """What is stored nowhere has a way of its own."""
        wire = self.log_in()
        said = client.RoomIM(sender=2, receiver=5, content=b"hi")
        waiting = start(self.client.receive_live())
        wire.say(wire.server.frame(said))
        self.assertEqual(self.successResultOf(waiting), said)

    def test_a_super_group(self) -> None:
        """Is followed from the moment it is asked for, over connections; its key is kept."""
        wire = self.log_in()
        self.client.follow(3111)
        self.assertEqual(wire.hear(), [client.SyncGroup(group_id=3111, sync_key=0)])
        wire.end(ConnectionLost())
        wire = self.again()
        self.assertIn(client.SyncGroup(group_id=3111, sync_key=0), wire.hear())
        wire.say(wire.server.frame(client.AuthStatus(status=0)))
        wire.say(wire.server.batch(0, [group_im("a", 3111)], 500, 3111))
        wire.say(wire.server.push(group_im("b", 3111), 510, 500, group_id=3111))
        for content in (b"a", b"b"):
            message = self.successResultOf(start(self.client.receive()))
            self.assertEqual((message.content, message.group_id), (content, 3111))
        self.assertEqual(self.client.group_key(3111), 510)
        closing = start(self.client.close())
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertEqual(self.keys.load(), {0: 100, 3111: 510})

    def test_own_messages(self) -> None:
        """Left out, unless asked for."""
        for own, wanted in [(False, [b"a"]), (True, [b"mine", b"a"])]:
            self.client = self.make(own_messages=own)
            wire = self.log_in()
            start(self.client.sync_to_end())
            wire.hear()
            server = wire.server
            wire.say(
                server.frame(client.SyncBegin(sync_key=100))
                + server.frame(im("mine", 1), SELF)
                + server.frame(im("a"))
                + server.frame(client.SyncEnd(sync_key=120))
            )
            told = [self.content(start(self.client.receive())) for _ in wanted]
            self.assertEqual(told, wanted)
            self.keys.save({0: 100})

    def test_keys_are_kept_when_the_user_is_done(self) -> None:
        """Not when a message came, nor when it was handed over; the server is told then, too."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100) + wire.server.push(im("b"), 120, 110))
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 100})
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 100})
        wire.hear()
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(self.keys.keys, {0: 110})
        self.assertEqual(wire.hear(), [client.SyncKey(sync_key=110)])
        self.assertEqual(self.client.key, 120)

    def test_keys_that_cannot_be_kept(self) -> None:
        """Are tried again; nothing is reported to the server before."""

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
        wire.say(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        start(self.client.receive())
        self.clock.advance(1)
        self.assertEqual(store.keys, {0: 100})
        self.assertNotIn(client.SyncKey(sync_key=110), wire.hear())
        self.assertEqual(self.events.texts(), ["1 cannot store its sync keys"])
        store.full = False
        self.clock.advance(1)
        self.assertEqual(store.keys, {0: 110})
        self.assertIn(client.SyncKey(sync_key=110), wire.hear())

    def test_a_full_inbox(self) -> None:
        """Leaves messages with the server, and fetches them when there is room."""
        self.client = self.make(inbox_limit=2)
        wire = self.log_in()
        for n in range(4):
            wire.say(wire.server.push(im(str(n)), 110 + 10 * n, 100 + 10 * n))
        self.assertNotIn(client.Sync, map(type, wire.hear()))
        self.assertEqual(self.content(start(self.client.receive())), b"0")
        self.assertEqual(wire.hear(), [client.Sync(sync_key=120)])
        wire.say(wire.server.batch(120, [im("2"), im("3")], 140))
        told = [self.content(start(self.client.receive())) for _ in range(3)]
        self.assertEqual(told, [b"1", b"2", b"3"])

    def test_sync_to_end(self) -> None:
        """Goes on until the server has nothing more."""
        wire = self.log_in()
        syncing = start(self.client.sync_to_end())
        self.assertEqual(wire.hear(), [client.Sync(sync_key=100)])
        wire.say(wire.server.batch(100, [im("a")], 110))
        self.assertIn(client.Sync(sync_key=110), wire.hear())
        self.assertNoResult(syncing)
        wire.say(wire.server.batch(110, [], 110))
        self.assertEqual(self.successResultOf(syncing), 110)

    def test_sync_to_end_over_a_lost_connection(self) -> None:
        """Goes on with the next one."""
        wire = self.log_in()
        syncing = start(self.client.sync_to_end())
        wire.end(ConnectionLost())
        self.again().accept()
        self.assertEqual(self.successResultOf(syncing), 100)

    def test_events(self) -> None:
        """Kept for who asks for their kind; each for one asker."""
        wire = self.log_in()
        self.assertEqual(
            self.successResultOf(start(self.client.next_event(Synced))), Synced(100, 100)
        )
        ponged, live = start(self.client.next_event(Ponged)), self.client.next_event(LiveReceived)
        self.client.ping()
        self.assertEqual(wire.hear(), [client.Ping()])
        rt = client.RT(sender=2, receiver=1, content=b"r")
        wire.say(wire.server.frame(rt) + wire.server.frame(client.Pong()))
        self.successResultOf(ponged)
        self.assertEqual(self.successResultOf(start(live)).message, rt)
        self.assertNoResult(start(self.client.next_event(Ponged)))


class ReconnectTests(ClientTestCase):
    """Later connections."""

    def test_after_a_loss(self) -> None:
        """With the key of now, not the one that was kept."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100))
        wire.end(ConnectionLost())
        self.assertEqual(self.network.attempts, [])
        self.assertIn(client.Sync(sync_key=110), self.again().hear())

    def test_while_there_is_no_server(self) -> None:
        """Again and again."""
        self.log_in().end(ConnectionLost())
        for _ in range(5):
            self.clock.advance(1)
            self.network.refuse()
        self.again().accept()
        self.assertEqual(self.events, [])

    def test_a_server_that_makes_no_sense(self) -> None:
        """Is given up with one warning; what came before counts."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100) + encode_frame(28, b"short", 9, 2))
        self.assertTrue(wire.gone)
        self.assertEqual(self.content(start(self.client.receive())), b"a")
        (text,) = self.events.texts()
        self.assertIn("ends its connection", text)
        self.again()

    def test_refused_later(self) -> None:
        """Upstream says so of a Redis that is away: tried twice more, then everybody is told."""
        wire = self.log_in()
        sending, receiving = start(self.client.send(2, "hi")), start(self.client.receive())
        wire.end(ConnectionLost())
        for _ in range(2):
            wire = self.again()
            wire.say(client.AuthStatus(status=1).frame(1, 0))
            self.assertTrue(wire.gone)
            self.assertNoResult(sending)
        self.assertEqual(
            self.successResultOf(start(self.client.next_event(LoginRefused))), LoginRefused(1)
        )
        wire = self.again()
        wire.say(client.AuthStatus(status=1).frame(1, 0))
        self.failureResultOf(sending, LoginRefusedError)
        self.failureResultOf(receiving, LoginRefusedError)
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])


class CloseTests(ClientTestCase):
    """The end."""

    def test_waits_for_the_end(self) -> None:
        """What was sent leaves, the key is kept and reported, nothing reconnects."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        self.client.send_rt(2, "bye")
        wire.hear()
        self.client.send_rt(2, "bye")
        closing = start(self.client.close())
        self.assertNoResult(closing)
        self.assertEqual(
            wire.hear(),
            [client.RT(sender=1, receiver=2, content=b"bye"), client.SyncKey(sync_key=110)],
        )
        self.successResultOf(closing)
        self.assertEqual(self.keys.keys, {0: 110})
        self.clock.advance(60)
        self.assertEqual((self.network.attempts, self.clock.getDelayedCalls()), ([], []))

    def test_a_connection_that_does_not_end(self) -> None:
        """Is cut after five seconds."""
        wire = self.log_in()
        wire.stuck = True
        closing = start(self.client.close())
        self.clock.advance(4.9)
        self.assertNoResult(closing)
        self.clock.pump([0.2, 0])
        self.successResultOf(closing)

    def test_those_who_wait(self) -> None:
        """Are told."""
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
        """Does no harm."""
        self.successResultOf(start(self.client.close()))
        self.successResultOf(start(self.client.close()))

    def test_an_error_over_a_message(self) -> None:
        """Within ``async with``: the message is not done with, and comes again."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100))
        wire.say(wire.server.push(im("b"), 120, 110))

        async def work() -> None:
            try:
                await self.client.receive()
                await self.client.receive()
                raise ValueError("over b")
            except ValueError as why:
                await self.client.__aexit__(type(why), why, None)

        working = start(work())
        wire.hear()
        self.successResultOf(working)
        self.assertEqual(self.keys.keys, {0: 110})

    def test_after_it_has_ended_by_itself(self) -> None:
        """What was taken since is kept all the same."""
        wire = self.log_in()
        wire.say(wire.server.push(im("a"), 110, 100))
        start(self.client.receive())
        self.client.closed(LoginRefusedError(1))
        closing = start(self.client.close())
        wire.hear()
        self.successResultOf(closing)
        self.assertEqual(self.keys.keys, {0: 110})

    def test_while_it_is_away(self) -> None:
        """Ends the trying."""
        self.log_in().end(ConnectionLost())
        self.successResultOf(start(self.client.close()))
        self.clock.advance(60)
        self.assertEqual(self.network.attempts, [])
