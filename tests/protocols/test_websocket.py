"""A browser's connection, from the bytes of the handshake on."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.session import Session
from gobelieve.interfaces import Connection
from gobelieve.protocols.client_listener import Reception
from gobelieve.protocols.websocket import WebSocketConnection, WebSocketFactory
from gobelieve.wire import FrameReader, Message, client, decode
from tests.gateway.support import TestGateway

MASK = b"\x01\x02\x03\x04"
TEXT, BINARY, CLOSE = 1, 2, 8


def handshake(path: str) -> bytes:
    """What a browser sends first."""
    key = b64encode(bytes(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1:13891",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def masked(payload: bytes, opcode: int = BINARY) -> bytes:
    """A message as browsers send it."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + MASK + bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))


class Timer:
    """In the place of autobahn's own, which sets its timers on the reactor of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def call_later(self, delay: float, call: Callable[..., None], *arguments: object) -> Any:
        """Call later, on the clock of the test."""
        return self._clock.callLater(delay, call, *arguments)


class Transport(StringTransport):
    """As forgiving as a socket's: autobahn takes a producer back that was never there."""

    def unregisterProducer(self) -> None:
        self.producer = None


class WebSocketTests(SynchronousTestCase):
    """Frames in binary messages."""

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()

        def new_session(connection: Connection, tick: int) -> Session:
            return Session(connection, gateway.tables.before_login, gateway.tally, tick)

        reception = Reception(new_session, gateway.sessions.remove, gateway.watch)
        factory = WebSocketFactory(reception, gateway.clock)
        factory._batched_timer = Timer(gateway.clock)
        protocol: object = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5))
        assert isinstance(protocol, WebSocketConnection)
        self.protocol = protocol
        self.transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """Bytes from the browser."""
        self.protocol.dataReceived(data)

    def open(self) -> None:
        """Do the handshake."""
        self.say(handshake("/ws"))
        self.assertIn(b" 101 ", self.transport.value().split(b"\r\n")[0])
        self.transport.clear()

    def told(self) -> list[tuple[int, bytes]]:
        """The messages to the browser: opcode and payload."""
        data, found = self.transport.value(), []
        self.transport.clear()
        while data:
            opcode, size, start = data[0] & 15, data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            found.append((opcode, data[start : start + size]))
            data = data[start + size :]
        return found

    def messages(self) -> list[Message]:
        """The frames to the browser, each of which was one binary message."""
        found = []
        for opcode, payload in self.told():
            self.assertEqual(opcode, BINARY)
            (frame,) = FrameReader(40000).feed(payload)
            found.append(decode(frame))
        return found

    def closed_with(self) -> int:
        """The code with which the connection was closed."""
        opcode, payload = self.told()[-1]
        self.assertEqual(opcode, CLOSE)
        self.assertEqual(self.flushLoggedErrors(), [])
        return int.from_bytes(payload[:2], "big")

    def test_the_same_session_as_on_tcp(self) -> None:
        """Login, ping, a delivery: each frame a message of its own."""
        self.open()
        token = self.gateway.grant(1).encode()
        self.say(masked(client.AuthToken(platform=3, token=token, device_id=b"x").frame(1, 1)))
        self.say(masked(client.Ping().frame(2, 1)))
        (session,) = self.gateway.sessions.all()
        body = client.IM(sender=2, receiver=1, timestamp=5, msgid=0, content=b"hi").encode()
        session.deliver(4, body, 0, 500, 400)
        self.assertEqual(
            [m.label for m in self.messages()],
            ["AUTH_STATUS", "PONG", "METADATA", "IM", "SYNC_NOTIFY"],
        )

    def test_other_paths_are_not_found(self) -> None:
        """Only /ws is there."""
        self.say(handshake("/elsewhere"))
        self.assertIn(b" 404 ", self.transport.value().split(b"\r\n")[0])
        self.assertEqual(len(self.gateway.watch), 0)

    def test_text_messages_end_the_connection(self) -> None:
        """Code 4003: not acceptable."""
        self.open()
        self.say(masked(b"hello", TEXT))
        self.assertEqual(self.closed_with(), 4003)

    def test_a_message_must_be_exactly_one_frame(self) -> None:
        """Half a frame, two frames, a frame and a byte, an unknown command."""
        ping = client.Ping().frame(1, 1)
        for payload in (ping[:5], ping + ping, ping + b"x", b"", ping[:8] + b"\x63" + ping[9:]):
            self.setUp()
            self.open()
            self.say(masked(payload))
            self.assertEqual(self.closed_with(), 4007)

    def test_what_comes_behind_the_close_is_not_looked_at(self) -> None:
        """Neither in the same read nor later: it would be stored and never acked."""
        self.open()
        token = self.gateway.grant(1).encode()
        im = client.IM(sender=1, receiver=2, msgid=0, content=b"x").frame(2, 1)
        auth = client.AuthToken(platform=3, token=token, device_id=b"x").frame(1, 1)
        self.say(masked(auth) + masked(b"text", TEXT) + masked(im))
        self.say(masked(im))
        self.assertEqual(self.gateway.storage.saves, [])

    def test_a_message_longer_than_any_frame_ends_the_connection(self) -> None:
        """Code 1009: too big; nothing of it is kept."""
        self.open()
        self.say(masked(bytes(40000)))
        self.assertEqual(self.closed_with(), 1009)

    def test_an_unmasked_message_ends_the_connection(self) -> None:
        """Browsers mask; code 1002."""
        self.open()
        self.say(b"\x82\x0c" + client.Ping().frame(1, 1))
        self.assertEqual(self.closed_with(), 1002)

    def test_the_end_of_the_connection_ends_the_session(self) -> None:
        """Once, however it ends."""
        self.open()
        token = self.gateway.grant(1).encode()
        self.say(masked(client.AuthToken(platform=3, token=token, device_id=b"x").frame(1, 1)))
        self.assertEqual(len(self.gateway.sessions), 1)
        (session,) = self.gateway.sessions.all()
        self.protocol.connectionLost()
        session.ack(1)
        self.assertEqual((len(self.gateway.sessions), len(self.gateway.watch)), (0, 0))

    def test_a_browser_that_does_not_read_is_treated_like_any_client(self) -> None:
        """Nothing is read from it, and of its notifies the newest is kept."""
        self.open()
        token = self.gateway.grant(1).encode()
        self.say(masked(client.AuthToken(platform=3, token=token, device_id=b"x").frame(1, 1)))
        self.told()
        (session,) = self.gateway.sessions.all()
        self.protocol.pauseProducing()
        self.protocol.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        session.notify(5)
        session.notify(6)
        self.assertEqual(self.told(), [])
        self.protocol.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.messages(), [client.SyncNotify(sync_key=6)])
