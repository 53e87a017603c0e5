"""The limit on memory."""

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.protocols.clients.load_shedder import LoadShedder
from gobelieve.services.process.memory import CHECK_SECONDS, MemoryWatch, resident

HERE = IPv4Address("TCP", "127.0.0.1", 5)


class MemoryTests(SynchronousTestCase):
    """A process that is said to hold so much."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.held = 50
        self.watch = MemoryWatch(100, self.clock, self.counters, lambda: self.held)
        self.watch.startService()
        self.addCleanup(self.watch.stopService)
        self.shedder = LoadShedder(Factory.forProtocol(Protocol), self.watch.is_low)

    def hold(self, much: int) -> None:
        """So much, for a while."""
        self.held = much
        self.clock.advance(CHECK_SECONDS)

    def lets_in(self) -> bool:
        """Whether a connection is taken."""
        return self.shedder.buildProtocol(HERE) is not None

    def test_nobody_comes_in_above_the_limit(self) -> None:
        """Until there is clearly less again."""
        self.assertTrue(self.lets_in())
        self.hold(101)
        self.assertFalse(self.lets_in())
        self.hold(99)
        self.assertFalse(self.lets_in())
        self.hold(90)
        self.assertTrue(self.lets_in())
        self.assertEqual(self.counters["refused_for_memory"], 2)

    def test_the_process_knows_what_it_holds(self) -> None:
        """Of all that Linux counts."""
        self.assertGreater(resident(), 10 << 20)


class GateTests(SynchronousTestCase):
    """A port's factory hears of the port."""

    def test_start_and_stop(self) -> None:
        """They are passed on."""
        inner = Factory.forProtocol(Protocol)
        inner.noisy = False
        shedder = LoadShedder(inner, lambda: False)
        shedder.doStart()
        self.assertEqual(inner.numPorts, 1)
        shedder.doStop()
        self.assertEqual(inner.numPorts, 0)
