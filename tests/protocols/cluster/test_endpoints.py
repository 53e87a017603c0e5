"""Ports and connections of our own daemons, with and without a greeting."""

import itertools
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.protocols.cluster import endpoints
from gobelieve.protocols.cluster.endpoints import (
    AuthenticatedEndpoint,
    AuthenticatedFactory,
    LinkSecurity,
    PlainEndpoint,
    PlainFactory,
)
from gobelieve.protocols.cluster.handshake import ConnectorGreeting, GreetingError
from gobelieve.protocols.cluster.handshake_protocol import (
    GREETING_TIMEOUT,
    REFUSAL_TIMEOUT,
    HandshakeProtocol,
)
from gobelieve.wire.cluster import LinkChallenge, LinkHello, LinkRefused, Port
from gobelieve.wire.frames import FrameReader, encode_frame
from tests.protocols.logs import Events

SECRET = b"a secret of many bytes"


class Real(Protocol):
    """The protocol behind the greeting: notes what it is told."""

    def __init__(self, greets: bytes = b"") -> None:
        self.came: list[bytes] = []
        self.lost: Failure | None = None
        self._greets = greets

    def connectionMade(self) -> None:
        assert self.transport is not None
        if self._greets:
            self.transport.write(self._greets)

    def dataReceived(self, data: bytes) -> None:
        self.came.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class RealFactory(Factory):
    """Keeps what it built."""

    noisy = False

    def __init__(self, greets: bytes = b"") -> None:
        self.built: list[Real] = []
        self.started = 0
        self._greets = greets

    def buildProtocol(self, addr: Any) -> Real:
        self.built.append(Real(self._greets))
        return self.built[-1]

    def startFactory(self) -> None:
        self.started += 1

    def stopFactory(self) -> None:
        self.started -= 1


class Case(SynchronousTestCase):
    """A listener and an endpoint on one pretended reactor."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.events = Events()
        self.counters = Counters()
        self.nonces = itertools.count(1)
        self.server, self.client = RealFactory(), RealFactory()

    def security(self, secret: bytes) -> LinkSecurity:
        """Those of a daemon with this secret."""
        return LinkSecurity(
            secret=lambda: secret,
            nonce=lambda: next(self.nonces).to_bytes(32, "big"),
            time=self.reactor,
            counters=self.counters,
            log=self.events.log(),
            greets=bool(secret),
            tls=False,
        )

    def factory(self, secret: bytes, port: Port = Port.ROUTE) -> Any:
        """The listener's."""
        return (AuthenticatedFactory if secret else PlainFactory)(
            self.server, port, self.security(secret)
        )

    def connect(
        self, listener: bytes, connector: bytes, port: Port = Port.ROUTE
    ) -> tuple[Deferred[IProtocol], IOPump]:
        """One attempt, as far as it goes without any time passing."""
        self.reactor.listenTCP(4444, self.factory(listener, port))
        bare = TCP4ClientEndpoint(self.reactor, "0.0.0.0", 4444)
        make = AuthenticatedEndpoint if connector else PlainEndpoint
        attempt = make(bare, Port.ROUTE, self.security(connector)).connect(self.client)
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        pump.flush()
        return attempt, pump

    def stranger(self, secret: bytes = SECRET) -> tuple[HandshakeProtocol, StringTransport]:
        """A connection that somebody made to the listener by hand."""
        return self.strangers(self.factory(secret), 1)[0]

    def strangers(self, factory: Any, count: int) -> list[tuple[Any, StringTransport]]:
        """Several of them, each from a port of its own."""
        made = []
        for number in range(count):
            peer = IPv4Address("TCP", "10.0.0.9", 1000 + number)
            protocol = factory.buildProtocol(peer)
            transport = StringTransport(peerAddress=peer)
            protocol.makeConnection(transport)
            made.append((protocol, transport))
        return made


def refusals(data: bytes) -> list[int]:
    """The reasons of the REFUSED in these bytes."""
    frames = FrameReader(100).feed(data)
    return [frame.body[0] for frame in frames if frame.cmd == LinkRefused.number]


class BothGreetTests(Case):
    """Both ends have a secret."""

    def test_the_right_secret(self) -> None:
        """Connects, and what the two protocols say passes."""
        self.server = RealFactory(b"first of the listener")
        attempt, pump = self.connect(SECRET, SECRET)
        client = self.successResultOf(attempt)
        self.assertIs(client, self.client.built[0])
        self.assertEqual(self.client.built[0].came, [b"first of the listener"])
        assert self.client.built[0].transport is not None
        self.client.built[0].transport.write(b"back")
        pump.flush()
        self.assertEqual(self.server.built[0].came, [b"back"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        pump.clientIO.loseConnection()
        pump.flush()
        self.assertIsNotNone(self.client.built[0].lost)
        self.assertIsNotNone(self.server.built[0].lost)
        self.assertEqual(self.events.texts(), [])

    def test_the_guard_is_out_of_the_way(self) -> None:
        """What comes goes to the protocol without a call in between."""
        _, pump = self.connect(SECRET, SECRET)
        self.assertEqual(pump.server.dataReceived, self.server.built[0].dataReceived)

    def test_the_wrong_secret(self) -> None:
        """Neither end builds its protocol, both say why."""
        attempt, pump = self.connect(SECRET, b"another secret of many")
        why = self.failureResultOf(attempt, GreetingError)
        self.assertIn("it refuses us: it has another cluster secret", why.getErrorMessage())
        self.assertEqual((self.server.built, self.client.built), ([], []))
        (text,) = self.events.texts()
        self.assertIn("port ROUTE refuses", text)
        self.assertIn("it does not know our cluster secret", text)
        self.assertNotIn("secret of many", text)
        self.assertEqual(self.counters["links_refused"], 1)
        self.assertEqual(self.counters["links_not_made"], 1)
        self.assertTrue(pump.clientIO.disconnected or pump.clientIO.disconnecting)

    def test_the_wrong_port(self) -> None:
        """Two addresses of the configuration were mixed up: the log says so."""
        attempt, _ = self.connect(SECRET, SECRET, Port.STORAGE_RPC)
        why = self.failureResultOf(attempt, GreetingError)
        self.assertIn("to it this is a port of kind STORAGE_RPC", why.getErrorMessage())
        self.assertEqual(self.server.built, [])

    def test_an_attempt_that_is_cancelled(self) -> None:
        """Its connection ends, and nothing more is said."""
        self.reactor.listenTCP(4444, Factory.forProtocol(Protocol))
        bare = TCP4ClientEndpoint(self.reactor, "0.0.0.0", 4444)
        attempt = AuthenticatedEndpoint(bare, Port.ROUTE, self.security(SECRET)).connect(
            self.client
        )
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        attempt.cancel()
        self.failureResultOf(attempt, CancelledError)
        pump.flush()
        self.assertTrue(pump.clientIO.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_listener_that_says_nothing(self) -> None:
        """Is given up after 5 s."""
        self.reactor.listenTCP(4444, Factory.forProtocol(Protocol))
        bare = TCP4ClientEndpoint(self.reactor, "0.0.0.0", 4444)
        attempt = AuthenticatedEndpoint(bare, Port.ROUTE, self.security(SECRET)).connect(
            self.client
        )
        ConnectionCompleter(self.reactor).succeedOnce()
        self.reactor.advance(GREETING_TIMEOUT - 0.1)
        self.assertNoResult(attempt)
        self.reactor.advance(0.2)
        why = self.failureResultOf(attempt, GreetingError)
        self.assertIn("no greeting came in 5 s", why.getErrorMessage())


class StrangerTests(Case):
    """What comes to a port with a secret, and is none of ours."""

    def test_bytes_behind_the_proof(self) -> None:
        """A proof and the first frame of the port's dialogue in one read: both count."""
        handshake, transport = self.stranger()
        one = ConnectorGreeting(Port.ROUTE, SECRET, bytes(32))
        hello = one.begin()
        handshake.dataReceived(hello + one.feed(transport.value()) + b"subscribe")
        self.assertEqual(self.server.built[0].came, [b"subscribe"])

    def test_halves(self) -> None:
        """A greeting in single bytes is as good."""
        handshake, transport = self.stranger()
        one = ConnectorGreeting(Port.ROUTE, SECRET, bytes(32))
        for byte in one.begin() + one.feed(transport.value()) + b"!":
            handshake.dataReceived(bytes([byte]))
        self.assertEqual(self.server.built[0].came, [b"!"])

    def test_frames_of_the_port(self) -> None:
        """Without a proof they reach nobody; who sent them is told why, and hung up on."""
        handshake, transport = self.stranger()
        handshake.dataReceived(encode_frame(130, bytes(17)) * 100)
        handshake.dataReceived(encode_frame(130, bytes(17)))
        self.assertEqual(self.server.built, [])
        self.assertEqual(refusals(transport.value()), [1])
        self.assertTrue(transport.disconnecting)

    def test_a_slow_greeting(self) -> None:
        """Ends after 5 s, however many bytes trickle in; a second later for good."""
        handshake, transport = self.stranger()
        hello = LinkHello(port=1, nonce=bytes(32)).frame(version=0)
        for byte in hello[:40]:
            handshake.dataReceived(bytes([byte]))
            self.reactor.advance(GREETING_TIMEOUT / 40)
        self.assertEqual(refusals(transport.value()), [4])
        self.assertFalse(transport.disconnected)
        self.reactor.advance(REFUSAL_TIMEOUT)
        self.assertTrue(transport.disconnected)

    def test_the_oldest_makes_room(self) -> None:
        """Many that say nothing do not keep out one of ours."""
        self.patch(endpoints, "MAX_PENDING_HANDSHAKES", 3)
        factory = self.factory(SECRET)
        made = self.strangers(factory, 5)
        told = [refusals(transport.value()) for _, transport in made]
        self.assertEqual(told, [[6], [6], [], [], []])
        self.assertEqual(len(factory.strangers), 3)

    def test_a_scan_does_not_fill_the_log(self) -> None:
        """Of one host at most a line a minute, and a number for the others."""
        factory = self.factory(SECRET)
        for handshake, _ in self.strangers(factory, 50):
            handshake.connectionLost(Failure(ConnectionLost()))
        self.reactor.advance(61)
        for handshake, _ in self.strangers(factory, 1):
            handshake.connectionLost(Failure(ConnectionLost()))
        first, second = self.events.texts()
        self.assertIn("port ROUTE refuses 10.0.0.9:1000: it hung up", first)
        self.assertIn("(49 were refused since the last such line)", second)
        self.assertEqual(self.counters["links_refused"], 51)

    def test_many_hosts(self) -> None:
        """Are not remembered without limit."""
        self.patch(endpoints, "MAX_HOSTS", 2)
        factory = self.factory(SECRET)
        for number in range(5):
            handshake = factory.buildProtocol(IPv4Address("TCP", f"10.0.0.{number}", 1))
            handshake.makeConnection(StringTransport())
            handshake.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.events), 2)

    def test_the_daemon_stops(self) -> None:
        """Who is in the greeting then is let in no more."""
        factory = self.factory(SECRET)
        factory.doStart()
        self.assertEqual(self.server.started, 1)
        ((handshake, transport),) = self.strangers(factory, 1)
        one = ConnectorGreeting(Port.ROUTE, SECRET, bytes(32))
        factory.doStop()
        self.assertTrue(transport.disconnected)
        handshake.dataReceived(one.begin() + one.feed(transport.value()))
        self.assertEqual((self.server.started, self.server.built), (0, []))

    def test_nobody_behind_the_port(self) -> None:
        """A factory that builds nothing ends the connection."""
        self.patch(self.server, "buildProtocol", lambda addr: None)
        handshake, transport = self.stranger()
        one = ConnectorGreeting(Port.ROUTE, SECRET, bytes(32))
        handshake.dataReceived(one.begin() + one.feed(transport.value()))
        self.assertTrue(transport.disconnected)


class NeitherGreetsTests(Case):
    """No secret on one side, or on both."""

    def test_neither(self) -> None:
        """Nothing but the two protocols' bytes is on the wire."""
        self.client = RealFactory(b"subscribe")
        attempt, pump = self.connect(b"", b"")
        self.assertIs(self.successResultOf(attempt), self.client.built[0])
        self.assertEqual(self.server.built[0].came, [b"subscribe"])
        assert self.server.built[0].transport is not None
        self.server.built[0].transport.write(b"published")
        pump.flush()
        self.assertEqual(self.client.built[0].came, [b"published"])
        pump.clientIO.loseConnection()
        pump.flush()
        self.assertIsNotNone(self.client.built[0].lost)
        self.assertIsNotNone(self.server.built[0].lost)

    def test_the_lookout_is_out_of_the_way(self) -> None:
        """From the second read on, and whatever is in the first."""
        protocol, _ = self.strangers(self.factory(b""), 1)[0]
        whole = encode_frame(130, bytes(17)) * 2
        for byte in whole:
            protocol.dataReceived(bytes([byte]))
        self.assertEqual(b"".join(self.server.built[0].came), whole)
        self.assertEqual(protocol.dataReceived, self.server.built[0].dataReceived)

    def test_only_the_listener(self) -> None:
        """The connecting side says what is missing here; nothing of it reached the port."""
        self.client = RealFactory(encode_frame(130, bytes(17)))
        attempt, _ = self.connect(SECRET, b"")
        self.successResultOf(attempt)
        self.assertEqual(self.server.built, [])
        self.assertEqual(self.client.built[0].came, [])
        self.assertIsNotNone(self.client.built[0].lost)
        said = "\n".join(self.events.texts())
        self.assertIn("no link to port ROUTE of ", said)
        self.assertIn("it wants to be greeted, and no cluster secret is configured here", said)
        self.assertEqual(self.counters["links_refused"], 1)
        self.assertEqual(self.counters["links_not_made"], 1)
        self.assertIn("it sends something else than our greeting", said)

    def test_only_the_connecting_side(self) -> None:
        """It is told that there is no secret; the listener's log says who wanted one."""
        attempt, _ = self.connect(b"", SECRET)
        why = self.failureResultOf(attempt, GreetingError)
        self.assertIn("it refuses us: it has no cluster secret", why.getErrorMessage())
        self.assertEqual(self.client.built, [])
        self.assertEqual(self.server.built[0].came, [])
        self.assertIn("wants to be greeted", self.events.texts()[0])

    def test_tls_comes_to_a_plain_port(self) -> None:
        """Is called by its name, and not passed on."""
        ((protocol, transport),) = self.strangers(self.factory(b""), 1)
        protocol.dataReceived(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
        protocol.dataReceived(b"more")
        self.assertEqual(self.server.built[0].came, [])
        self.assertTrue(transport.disconnecting)
        self.assertIn("it speaks TLS", self.events.texts()[0])

    def test_a_challenge_is_none_to_a_listener(self) -> None:
        """Only what the other end would say is looked for."""
        challenge = LinkChallenge(port=1, nonce=bytes(32)).frame(version=0)
        ((protocol, _),) = self.strangers(self.factory(b""), 1)
        protocol.dataReceived(challenge)
        self.assertEqual(self.server.built[0].came, [challenge])
