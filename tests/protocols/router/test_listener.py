"""The router's port for gateways."""

import socket
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.protocols.router.connection import RouteConnection
from gobelieve.protocols.router.link import RouteLink
from gobelieve.protocols.router.listener import (
    DRAIN_TIMEOUT,
    LAST_SEQ,
    GatewayConnection,
    RouteFactory,
)
from gobelieve.protocols.router.pending_subscriptions import PendingSubscriptions, owns_all
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.build import build_router
from gobelieve.wire import FrameReader, encode_frame, route
from gobelieve.wire.client import IM, RT, SyncNotify
from gobelieve.wire.frames import LINK_BODY_LIMIT, Frame
from gobelieve.wire.frames import PUSH as PUSHED
from gobelieve.wire.publication import Publication
from tests.fakes.subscribers import FakeHeld, FakeRooms, FakeSubscriber
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.protocols.test_keepalive import OnSocket
from tests.routing.support import FakePushes

BOB = User(7, 2)
SUBSCRIBE = encode_frame(route.SUBSCRIBE, pack(">qqb", *BOB, 1), 1, 1)
LIVE = RT(sender=1, receiver=2, content=b"x").frame(version=1)
BODY = Publication(7, 2, 0, 0, 1, LIVE).body(1)
PUBLISH = encode_frame(route.PUBLISH, BODY, 1, 1)


class ListenerCase(SynchronousTestCase):
    """A router, and gateways that are connected to it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = Events()
        self.patch(GatewayConnection, "log", self.events.log())
        self.turn = ReactorTurn(self.clock)
        self.counters = Counters()
        self.pushes = FakePushes()
        self.router = build_router(
            self.pushes, world=world(counters=self.counters, log=self.events.log()), limit=1000
        )
        self.factory = RouteFactory(
            self.router, turn=self.turn, counters=self.counters, unread_limit=1000
        )

    def connect(self) -> tuple[GatewayConnection, StringTransport]:
        """Connect a gateway."""
        link = self.factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        return link, transport

    def frames(self, transport: StringTransport) -> list[Frame]:
        """Return the frames that were sent to a gateway by the end of this turn."""
        self.clock.advance(0)
        frames = FrameReader(LINK_BODY_LIMIT).feed(transport.value())
        transport.clear()
        return frames


class LinkTests(ListenerCase):
    """Two gateways exchange frames through the router."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.alice_transport = self.connect()
        self.bob, self.bob_transport = self.connect()
        self.bob.dataReceived(SUBSCRIBE)

    def test_forward(self) -> None:
        """A publication arrives at the other gateway, and not at its source."""
        self.alice.dataReceived(PUBLISH)
        self.assertEqual(self.frames(self.bob_transport), [Frame(route.PUBLISH, 1, 0, 1, BODY)])
        self.assertEqual(self.frames(self.alice_transport), [])

    def test_one_write(self) -> None:
        """All frames of a turn leave in one write at its end."""
        writes: list[bytes] = []
        self.bob_transport.write = writes.append  # type: ignore[method-assign]
        for _ in range(3):
            self.alice.dataReceived(PUBLISH * 2)
        self.assertEqual(writes, [])
        self.clock.advance(0)
        self.assertEqual(len(writes), 1)
        self.assertEqual(len(FrameReader(LINK_BODY_LIMIT).feed(writes[0])), 6)

    def test_seq(self) -> None:
        """Frames are counted from 1 on each connection. After the highest number comes 1 again."""
        carol, carol_transport = self.connect()
        self.alice.dataReceived(PUBLISH * 2)
        carol.dataReceived(SUBSCRIBE)
        self.alice.dataReceived(PUBLISH)
        self.assertEqual([frame.seq for frame in self.frames(self.bob_transport)], [1, 2, 3])
        self.assertEqual([frame.seq for frame in self.frames(carol_transport)], [1])
        self.bob._seq = LAST_SEQ - 1
        self.alice.dataReceived(PUBLISH * 2)
        self.assertEqual([frame.seq for frame in self.frames(self.bob_transport)], [LAST_SEQ, 1])

    @settings(max_examples=50)
    @given(st.lists(st.integers(1, 60), min_size=1))
    def test_half_frames(self, sizes: list[int]) -> None:
        """The frames are the same however the network splits the bytes."""
        data = (SUBSCRIBE + PUBLISH) * 3
        at = 0
        while at < len(data):
            for size in sizes:
                self.alice.dataReceived(data[at : at + size])
                at += size
        bodies = [frame.body for frame in self.frames(self.bob_transport)]
        self.assertEqual(bodies, [BODY] * 3)

    def test_a_gateway_disconnects(self) -> None:
        """Its users are removed from the table."""
        self.bob.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.router.table.is_online(BOB))
        self.assertEqual(self.factory.connections, {self.alice})
        self.alice.dataReceived(PUBLISH)
        self.assertEqual(self.frames(self.bob_transport), [])

    def test_empty_unknown_commands(self) -> None:
        """They are ignored, and the connection goes on."""
        self.alice.dataReceived(encode_frame(13, b"") + encode_frame(200, b"") + PUBLISH)
        self.assertEqual(len(self.frames(self.bob_transport)), 1)
        self.assertEqual(self.frames(self.alice_transport), [])
        self.assertFalse(self.alice_transport.disconnecting)

    def test_keepalive(self) -> None:
        """The kernel probes the connection of a gateway soon."""
        with socket.socket() as handle:
            transport = OnSocket(handle)
            self.factory.buildProtocol(None).makeConnection(transport)
            self.assertEqual(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)

    def test_frames_are_counted(self) -> None:
        """The counter `frames` has the number of received frames."""
        self.alice.dataReceived(PUBLISH * 3)
        self.assertEqual(self.counters["frames"], 4)


class MalformedTests(ListenerCase):
    """A malformed frame disconnects its gateway, and no other."""

    def check_cut(self, data: bytes, why: str) -> None:
        """Check that these bytes end the connection, with one line in the log."""
        link, transport = self.connect()
        other, other_transport = self.connect()
        other.dataReceived(SUBSCRIBE)
        del self.events[:]
        link.dataReceived(PUBLISH + data + PUBLISH)
        link.dataReceived(PUBLISH)
        self.assertTrue(transport.disconnecting)
        (line,) = self.events.texts()
        self.assertIn("GatewayConnection 192.168.1.1:54321 is cut off: ", line)
        self.assertIn(why, line)
        # The frame before it still counts; those behind it do not.
        self.assertEqual(len(self.frames(other_transport)), 1)
        self.assertFalse(other_transport.disconnecting)
        for gone in (link, other):
            gone.connectionLost(Failure(ConnectionDone()))

    def test_negative_length(self) -> None:
        """The length in the header is negative."""
        self.check_cut(pack(">iiBBBB", -1, 1, 132, 0, 0, 0), "-1 bytes")

    def test_oversize(self) -> None:
        """The body is longer than the limit of the link."""
        header = pack(">iiBBBB", LINK_BODY_LIMIT + 1, 1, 132, 0, 0, 0)
        self.check_cut(header, "the limit is 1048576")

    def test_unknown_command(self) -> None:
        """An unknown command has a body."""
        self.check_cut(encode_frame(4, b"x"), "command 4 is not allowed here")

    def test_short_body(self) -> None:
        """A resubscription of the seed is a byte too short."""
        self.check_cut(encode_frame(130, pack(">qq", 7, 2)), "16 bytes, at least 17 are needed")

    def test_negative_inner_length(self) -> None:
        """This ended the router of the seed."""
        self.check_cut(
            encode_frame(132, pack(">qqqqh", 7, 1, 0, 0, -1)), "does not hold one whole frame"
        )

    def test_push_of_nothing(self) -> None:
        """A PUSH names more receivers than it has bytes for."""
        self.check_cut(encode_frame(134, pack(">qHq", 7, 65535, 2)), "does not hold a frame")

    @settings(max_examples=200)
    @given(st.sampled_from([130, 131, 132, 134, 135, 136, 137, 138]), st.binary(), st.booleans())
    def test_anything(self, cmd: int, body: bytes, newer: bool) -> None:
        """No body of any command causes more than one line in the log."""
        link, _ = self.connect()
        del self.events[:]
        link.dataReceived(encode_frame(cmd, body, 1, int(newer)))
        self.assertLessEqual(len(self.events), 1)
        link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_longest(self) -> None:
        """A body of exactly the limit is accepted."""
        other, other_transport = self.connect()
        other.dataReceived(SUBSCRIBE)
        inner = encode_frame(17, bytes(LINK_BODY_LIMIT - 44 - 12))
        body = Publication(7, 2, 0, 0, 1, inner).body(1)
        self.assertEqual(len(body), LINK_BODY_LIMIT)
        link, transport = self.connect()
        link.dataReceived(encode_frame(route.PUBLISH, body, 1, 1))
        self.assertFalse(transport.disconnecting)
        self.assertEqual(len(self.frames(other_transport)), 1)


class SlowGatewayTests(ListenerCase):
    """A gateway does not read what the router sends."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, _ = self.connect()
        self.slow, self.slow_transport = self.connect()
        self.quick, self.quick_transport = self.connect()
        for link in (self.slow, self.quick):
            link.dataReceived(SUBSCRIBE)
        del self.events[:]

    def test_given_up(self) -> None:
        """Above the limit it is disconnected with a warning. Others get everything."""
        self.slow.pauseProducing()
        count = 1000 // len(BODY)
        self.alice.dataReceived(PUBLISH * count)
        self.assertFalse(self.slow_transport.disconnecting)
        self.alice.dataReceived(PUBLISH * 50)
        self.assertTrue(self.slow_transport.disconnecting)
        self.assertEqual(len(self.frames(self.quick_transport)), count + 50)
        self.assertEqual(
            self.events.texts(), ["gateway 192.168.1.1:54321 does not read, and is given up"]
        )
        self.assertEqual(self.counters["gateways_given_up"], 1)

    def test_reads_again(self) -> None:
        """Below the limit nothing is lost, and the whole limit is free again."""
        for _ in range(3):
            self.slow.pauseProducing()
            self.alice.dataReceived(PUBLISH * 10)
            self.slow.resumeProducing()
        self.assertFalse(self.slow_transport.disconnecting)
        self.assertEqual(len(self.frames(self.slow_transport)), 30)
        self.assertEqual(self.events.texts(), [])


class ClosingTests(ListenerCase):
    """The router stops, and ends its connections."""

    def test_no_gateway(self) -> None:
        """Without gateways the router stops at once."""
        self.successResultOf(self.closing())

    def closing(self) -> Deferred[None]:
        """Start to close the factory."""
        return Deferred.fromCoroutine(self.factory.close(self.clock))

    def test_what_waits_is_sent(self) -> None:
        """The router stops when the last gateway has disconnected."""
        links = [self.connect() for _ in range(2)]
        links[0][0].dataReceived(SUBSCRIBE)
        links[1][0].dataReceived(PUBLISH)
        closed = self.closing()
        self.assertEqual(len(self.frames(links[0][1])), 1)
        for link, transport in links:
            self.assertNoResult(closed)
            self.assertTrue(transport.disconnecting)
            link.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_gateway_that_does_not_read_the_rest(self) -> None:
        """It is disconnected after a while."""
        link, _ = self.connect()
        aborted: list[str] = []
        self.patch(link, "abort", lambda: aborted.append("aborted"))
        self.closing()
        self.clock.advance(DRAIN_TIMEOUT - 0.1)
        self.assertEqual(aborted, [])
        self.clock.advance(0.2)
        self.assertEqual(aborted, ["aborted"])


class WholeLinkTests(ListenerCase):
    """The gateway side of the link is connected to the router side."""

    def gateway(self) -> tuple[RouteLink, list[tuple[User, bytes, int, int]], IOPump]:
        """A gateway that holds nobody yet, what it is told, and its wire."""
        subscriber = FakeSubscriber()
        link = RouteLink("router", world(turn=self.turn, time=self.clock))
        pending = PendingSubscriptions(
            FakeHeld(), FakeRooms(), owns_user=owns_all, owns_room=owns_all
        )
        link.attach(pending, subscriber, lambda users: None)
        self.patch(link, "log", self.events.log())

        def client() -> RouteConnection:
            return link.buildProtocol(None)

        def server() -> GatewayConnection:
            return self.factory.buildProtocol(None)

        _, _, pump = connectedServerAndClient(server, client, clock=self.clock)
        return link, subscriber.users, pump

    def test_there_and_back(self) -> None:
        """A delivery, a notify and a push of one gateway have their effect at the other."""
        alice, alice_told, alice_pump = self.gateway()
        bob, bob_told, bob_pump = self.gateway()

        def settle() -> None:
            for _ in range(3):
                for pump in (alice_pump, bob_pump):
                    self.clock.advance(0)
                    pump.flush()

        bob.subscriptions.subscribe(BOB, True)
        settle()
        body = IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi").encode()
        notify = SyncNotify(sync_key=99).encode()
        alice.publish(BOB, 4, body, PUSHED, 99, 90)
        alice.publish(BOB, SyncNotify.number, notify)
        alice.push(7, [2, 3], 4, body)
        settle()
        self.assertEqual(
            bob_told,
            [
                (BOB, encode_frame(4, body, 0, 1, PUSHED), 99, 90),
                (BOB, encode_frame(SyncNotify.number, notify, 0, 1), 0, 0),
            ],
        )
        self.assertEqual(alice_told, [])
        self.assertEqual([name for name, _ in self.pushes], ["push_queue"])
        self.assertIn(b'"receiver":3', self.pushes[0][1])
        bob.subscriptions.unsubscribe(BOB)
        settle()
        self.assertEqual(self.router.table.holders(BOB), ())
