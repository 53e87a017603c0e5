"""A connection of frames."""

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import encode_frame
from gobelieve.wire.frames import Frame
from tests.protocols.logs import Events


class Sample(FramedProtocol):
    """Notes what happens to it; command 66 is a message that makes no sense."""

    limit = 100
    allowed = frozenset({4, 13, 66})

    def __init__(self, turn: ReactorTurn) -> None:
        super().__init__(turn)
        self.seen: list[object] = []

    def opened(self) -> None:
        self.seen.append("opened")

    def stalled(self) -> None:
        self.seen.append("stalled")

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.cmd == 66:
                raise BodyError("no sense at all")
            self.seen.append(frame.body)

    def drained(self) -> None:
        self.seen.append("drained")

    def closed(self, reason: Failure) -> None:
        self.seen.append("closed")


class FramedProtocolTests(SynchronousTestCase):
    """The common part of every link."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = Events()
        self.patch(Sample, "log", self.events.log())
        self.link = Sample(ReactorTurn(self.clock))
        self.transport = StringTransport()
        self.link.makeConnection(self.transport)

    def test_frames(self) -> None:
        """Arrive whole, a batch a read."""
        data = encode_frame(4, b"a") + encode_frame(4, b"b") + encode_frame(4, b"c")
        self.link.dataReceived(data[:20])
        self.link.dataReceived(data[20:])
        self.assertEqual(self.link.seen, ["opened", b"a", b"b", b"c"])

    def test_sending(self) -> None:
        """Leaves at the end of the turn."""
        self.link.send(b"a")
        self.link.send(b"b")
        self.assertEqual(self.transport.value(), b"")
        self.clock.advance(0)
        self.assertEqual(self.transport.value(), b"ab")

    def test_close(self) -> None:
        """What waits is sent first, and no producer keeps the transport from going."""
        self.link.send(b"bye")
        self.link.close()
        self.assertEqual(self.transport.value(), b"bye")
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)

    def test_abort(self) -> None:
        """Loses what waits."""
        self.link.send(b"bye")
        self.link.abort()
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.transport.value(), b"")

    def test_before_and_after_the_connection(self) -> None:
        """Requests have no effect, and none raises."""
        link = Sample(ReactorTurn(self.clock))
        for _ in range(2):
            link.send(b"a")
            link.close()
            link.abort()
            transport = StringTransport()
            link.makeConnection(transport)
            link.connectionLost(Failure(ConnectionDone()))
            self.clock.advance(0)
            self.assertEqual(transport.value(), b"")
        self.assertEqual(link.seen, ["opened", "closed"] * 2)

    def test_a_bad_frame(self) -> None:
        """The frames before it count; one warning that names the peer, no failure; the end."""
        self.link.dataReceived(encode_frame(4, b"good") + encode_frame(99, b""))
        self.assertEqual(self.link.seen, ["opened", b"good"])
        self.assertTrue(self.transport.disconnecting)
        (event,) = self.events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(
            self.events.texts(),
            ["Sample 192.168.1.1:54321 is cut off: command 99 is not allowed here"],
        )

    def test_a_body_without_sense(self) -> None:
        """The same."""
        self.link.dataReceived(encode_frame(66, b"") + encode_frame(4, b"after"))
        self.assertEqual(self.link.seen, ["opened"])
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.events), 1)

    def test_more_from_a_peer_that_was_cut_off(self) -> None:
        """Is neither read nor warned of again; TLS may still have some to give."""
        for bad in (encode_frame(66, b""), encode_frame(99, b"")):
            link = Sample(ReactorTurn(self.clock))
            link.makeConnection(StringTransport())
            del self.events[:]
            link.dataReceived(bad)
            link.dataReceived(encode_frame(4, b"more") + bad)
            self.assertEqual(link.seen, ["opened"])
            self.assertEqual(len(self.events), 1)

    def test_a_slow_peer(self) -> None:
        """Congested while it does not read; told when it does."""
        self.assertIs(self.transport.producer, self.link)
        self.assertTrue(self.transport.streaming)
        self.assertFalse(self.link.congested)
        self.link.pauseProducing()
        self.link.pauseProducing()  # transports say so with every write beyond their bound
        self.assertTrue(self.link.congested)
        self.link.resumeProducing()
        self.assertFalse(self.link.congested)
        self.assertEqual(self.link.seen, ["opened", "stalled", "drained"])

    def test_the_end(self) -> None:
        """Is told, with its reason, and nothing is written to what is gone."""
        self.link.send(b"late")
        self.link.connectionLost(Failure(ConnectionDone()))
        self.link.stopProducing()
        self.link.send(b"later")
        self.clock.advance(0)
        self.assertEqual(self.link.seen, ["opened", "closed"])
