"""Staying connected to a peer."""

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gobelieve.event_loop.connecting import QuietClientService, ReportingEndpoint
from tests.protocols.logs import Events


@implementer(IStreamClientEndpoint)
class Endpoint:
    """An endpoint that connects, or fails as it is told."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if self.failure is not None:
            return fail(self.failure)
        protocol = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        protocol.makeConnection(StringTransport())
        return succeed(protocol)


class ReportingEndpointTests(SynchronousTestCase):
    """The operator reads why there is no connection."""

    def setUp(self) -> None:
        self.events = Events()
        self.real = Endpoint()
        self.endpoint = ReportingEndpoint(self.real, "the peer", self.events.log())

    def fails(self, why: Exception) -> None:
        """Make an attempt that fails."""
        self.real.failure = why
        self.failureResultOf(self.endpoint.connect(Factory()), type(why))

    def test_a_reason_is_logged_once(self) -> None:
        """Another reason is logged at once."""
        self.assertEqual(self.endpoint.why, "not connected yet")
        for why in ("a", "a", "b"):
            self.fails(ValueError(why))
        self.endpoint.failed("b")
        self.assertEqual(self.events.texts(), ["the peer: a", "the peer: b"])
        self.assertEqual(self.endpoint.why, "b")

    def test_after_it_worked(self) -> None:
        """An old reason is logged again."""
        self.fails(ValueError("a"))
        self.real.failure = None
        self.successResultOf(self.endpoint.connect(Factory.forProtocol(Protocol)))
        self.fails(ValueError("a"))
        self.assertEqual(len(self.events), 1, "connected is not yet good")
        self.endpoint.works()
        self.fails(ValueError("a"))
        self.assertEqual(len(self.events), 2)

    def test_a_cancelled_attempt(self) -> None:
        """Our own stop is no failure of the peer."""
        for why in (CancelledError(), ConnectingCancelledError(None)):
            self.fails(why)
        self.assertEqual(self.events.texts(), [])


class QuietClientServiceTests(SynchronousTestCase):
    """Attempts are made, and not logged."""

    def test_attempts(self) -> None:
        """Two failures, a connection, and its end leave no line."""
        events = Events()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        clock, endpoint = Clock(), Endpoint()
        endpoint.failure = ConnectionRefusedError()
        built: list[IProtocol] = []
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        service = QuietClientService(endpoint, factory, lambda attempt: 1.0, clock)
        service.whenConnected().addCallback(built.append)
        service.startService()
        clock.advance(1)
        endpoint.failure = None
        clock.advance(1)
        self.assertEqual(len(built), 1)
        service.stopService()
        self.assertEqual(events.texts(), [])
