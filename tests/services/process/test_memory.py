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
    """A process whose memory the test sets."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.held = 50
        self.watch = MemoryWatch(100, self.clock, self.counters, lambda: self.held)
        self.watch.startService()
        self.addCleanup(self.watch.stopService)
        self.shedder = LoadShedder(Factory.forProtocol(Protocol), self.watch.is_low)

    def hold(self, much: int) -> None:
        """Set the used memory, and let some checks pass."""
        self.held = much
        self.clock.advance(CHECK_SECONDS)

    def lets_in(self) -> bool:
        """Return True if a connection is accepted."""
        return self.shedder.buildProtocol(HERE) is not None

    def test_no_connection_is_accepted_above_the_limit(self) -> None:
        """Connections are accepted again only when clearly less memory is used."""
        self.assertTrue(self.lets_in())
        self.hold(101)
        self.assertFalse(self.lets_in())
        self.hold(99)
        self.assertFalse(self.lets_in())
        self.hold(90)
        self.assertTrue(self.lets_in())
        self.assertEqual(self.counters["refused_for_memory"], 2)

    def test_the_process_knows_its_memory(self) -> None:
        """The measured memory is a plausible number of bytes."""
        self.assertGreater(resident(), 10 << 20)


class GateTests(SynchronousTestCase):
    """The factory that refuses connections below the limit."""

    def test_start_and_stop(self) -> None:
        """The factory below gets the start and the stop of the port."""
        inner = Factory.forProtocol(Protocol)
        inner.noisy = False
        shedder = LoadShedder(inner, lambda: False)
        shedder.doStart()
        self.assertEqual(inner.numPorts, 1)
        shedder.doStop()
        self.assertEqual(inner.numPorts, 0)
