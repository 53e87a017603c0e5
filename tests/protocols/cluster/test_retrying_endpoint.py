"""Attempts to connect."""

from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gobelieve.protocols.cluster.retrying_endpoint import RetryingEndpoint
from tests.protocols.logs import Events


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Connects, or does not."""

    refuses: Exception | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return fail(self.refuses) if self.refuses else succeed(Protocol())


class AttemptsTests(SynchronousTestCase):
    """How often, and what is said."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.attempts = RetryingEndpoint(self.endpoint, "storage here", self.clock, lambda: 1.0)

    def connect(self) -> Deferred[IProtocol]:
        """One attempt."""
        return self.attempts.connect(Factory())

    def test_delays_grow_up_to_a_second_and_a_half(self) -> None:
        """From a tenth of a second on; up to half of each is chance."""
        delays = [round(self.attempts.delay(n), 3) for n in range(12)]
        self.assertEqual(delays[:4], [0.1, 0.15, 0.225, 0.338])
        self.assertEqual(delays[-1], 1.5)
        early = RetryingEndpoint(self.endpoint, "storage here", self.clock, lambda: 0.0)
        self.assertEqual(early.delay(0), 0.05)

    def test_a_peer_that_hangs_up_at_once_is_called_on_less_and_less(self) -> None:
        """Only a connection that lasted starts the delays anew."""
        for _ in range(20):
            self.successResultOf(self.connect())
            self.clock.advance(1)
            last = self.attempts.delay(0)
        self.assertEqual(last, 1.5)
        self.successResultOf(self.connect())
        self.clock.advance(5)
        self.assertEqual(self.attempts.delay(0), 0.1)

    def test_a_daemon_that_comes_back_is_not_stormed(self) -> None:
        """A hundred gateways that lost it together come one after another."""
        rng = Random(7)
        arrivals = []
        for _ in range(100):
            attempts = RetryingEndpoint(self.endpoint, "router", self.clock, rng.random)
            now = 0.0
            while now < 10:
                now += attempts.delay(0)
            arrivals.append(now)
        self.assertLess(max(arrivals), 11.5, "all are there soon")
        for start in arrivals:
            at_once = sum(start <= arrival < start + 0.1 for arrival in arrivals)
            self.assertLess(at_once, 25)

    def test_a_reason_is_told_once(self) -> None:
        """Until it changes, or a connection was made in between."""
        events = Events()
        self.patch(RetryingEndpoint, "log", events.log())
        self.setUp()
        for refuses in (
            ConnectionRefusedError("no"),
            ConnectionRefusedError("no"),
            ConnectionRefusedError("still no"),
            None,
            ConnectionRefusedError("still no"),
        ):
            self.endpoint.refuses = refuses
            if refuses is None:
                self.successResultOf(self.connect())
            else:
                self.failureResultOf(self.connect(), ConnectionRefusedError)
        said = [text.rpartition(": ")[2] for text in events.texts()]
        self.assertEqual(len(said), 3)
        self.assertTrue(all(text.startswith("storage here cannot be") for text in events.texts()))
