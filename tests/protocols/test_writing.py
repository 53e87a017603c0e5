"""Writing to sockets and to transports that are none."""

import socket
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gobelieve.protocols.turn import ReactorTurn
from gobelieve.protocols.writing import TurnWriter, unsent, write_now


class QuietReactor:
    """As much of a reactor as a `Connection` asks of one while nothing turns."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """Nothing is read here."""

    def removeReader(self, reader: Any) -> None:
        """Nothing is read here."""

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)


@implementer(IPushProducer)
class Producer:
    """Notes whether it is paused."""

    paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        """Nothing to stop."""


class WriteNowTests(SynchronousTestCase):
    """A real `Connection` over a pair of sockets; the kernel is the only other party."""

    def setUp(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.reactor = QuietReactor()
        self.connection = Connection(ours, None, self.reactor)  # type: ignore[arg-type]
        self.connection.connected = True
        self.addCleanup(self.theirs.close)
        self.addCleanup(ours.close)

    def read_all(self) -> bytes:
        """What the other end has."""
        got = b""
        while True:
            try:
                piece = self.theirs.recv(1 << 20)
            except BlockingIOError:
                return got
            if not piece:
                return got
            got += piece

    def write(self, data: bytes) -> None:
        """The function under test."""
        write_now(self.connection, data)

    def test_what_the_other_end_has_not_taken_is_counted(self) -> None:
        """With the kernel or still with the transport; and nothing of what is no socket."""
        self.assertEqual(unsent(self.connection), 0)
        self.write(bytes(1000))
        self.assertGreaterEqual(unsent(self.connection), 1000)
        self.write(bytes(4 << 20))
        before = unsent(self.connection)
        self.assertGreaterEqual(before, 4 << 20)
        self.read_all()
        self.assertLess(unsent(self.connection), before - 1000)
        self.assertEqual(unsent(StringTransport()), 0)

    def test_at_once(self) -> None:
        """The bytes are with the kernel when it returns, and no writer is registered."""
        self.write(b"hello")
        self.assertEqual(self.read_all(), b"hello")
        self.assertEqual(self.reactor.writers, set())

    def test_what_the_kernel_does_not_take(self) -> None:
        """Goes the ordinary way, in order, with nothing lost or doubled."""
        data = bytes(range(256)) * (1 << 14)
        self.write(data)
        self.assertEqual(self.reactor.writers, {self.connection})
        self.write(b"the end")
        got = self.read_all()
        self.assertLess(len(got), len(data))
        while self.reactor.writers:
            self.connection.doWrite()
            got += self.read_all()
        self.assertEqual(len(got), len(data) + 7)
        self.assertEqual(got, data + b"the end")

    def test_after_what_waits(self) -> None:
        """Bytes that were written before are not overtaken."""
        self.connection.write(b"first ")
        self.write(b"second")
        self.assertEqual(self.read_all(), b"")
        self.connection.doWrite()
        self.assertEqual(self.read_all(), b"first second")

    def test_a_producer_is_paused(self) -> None:
        """When the peer does not read and the buffer is over its size."""
        producer = Producer()
        self.connection.registerProducer(producer, True)
        self.write(b"small")
        self.assertFalse(producer.paused)
        self.write(bytes(4 << 20))
        self.assertTrue(producer.paused)

    def test_the_peer_is_gone(self) -> None:
        """The transport meets the error where it expects it: nothing is raised here."""
        self.theirs.close()
        self.write(b"hello")
        self.assertEqual(self.reactor.writers, {self.connection})
        self.assertIsInstance(self.connection.doWrite(), Exception)

    def test_after_the_connection(self) -> None:
        """Nothing is written."""
        self.connection.connected = False
        self.write(b"hello")
        self.assertEqual(self.read_all(), b"")
        self.assertEqual(self.reactor.writers, set())

    def test_other_transports(self) -> None:
        """Have their own write."""
        transport = StringTransport()
        write_now(transport, b"hello")
        self.assertEqual(transport.value(), b"hello")


class CountingTransport(StringTransport):
    """Counts the writes."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class TurnWriterTests(SynchronousTestCase):
    """One write a turn."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = CountingTransport()
        self.writer = TurnWriter(self.transport, ReactorTurn(self.clock))

    def test_one_write_a_turn(self) -> None:
        """In order, at its end."""
        for part in (b"a", b"b", b"c"):
            self.writer.write(part)
        self.assertEqual(self.transport.writes, 0)
        self.clock.advance(0)
        self.assertEqual((self.transport.value(), self.transport.writes), (b"abc", 1))
        self.writer.write(b"d")
        self.clock.advance(0)
        self.assertEqual((self.transport.value(), self.transport.writes), (b"abcd", 2))

    def test_flush(self) -> None:
        """Writes now; the end of the turn then has nothing left."""
        self.writer.write(b"a")
        self.writer.flush()
        self.assertEqual(self.transport.value(), b"a")
        self.clock.advance(0)
        self.writer.flush()
        self.assertEqual((self.transport.value(), self.transport.writes), (b"a", 1))
