"""A browser without a browser: the bytes that one sends, against the real protocols."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.clients.websocket import (
    BrowserConnection,
    BrowserFactory,
    WebSocketSettings,
)
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import client
from tests.gateway.support import TestGateway

MASK = b"\x01\x02\x03\x04"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def handshake(path: str, *more: str) -> bytes:
    """What a browser sends first; `more` are lines."""
    key = b64encode(bytes(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1:13891",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *more,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def masked(payload: bytes, opcode: int = BINARY, fin: bool = True) -> bytes:
    """A message as browsers send it, or with `fin` false a fragment of one."""
    size, first = len(payload), (0x80 if fin else 0) | opcode
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
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


class BrowserTestCase(SynchronousTestCase):
    """One browser, and the gateway's rules behind it."""

    path = "/ws"
    settings = WebSocketSettings()

    def setUp(self) -> None:
        self.gateway = gateway = TestGateway()
        factory = self.factory(ReactorTurn(gateway.clock), gateway.registry)
        factory._batched_timer = Timer(gateway.clock)
        protocol: object = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5))
        assert isinstance(protocol, BrowserConnection)
        self.protocol = protocol
        self.transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        self.protocol.makeConnection(self.transport)

    def factory(self, turn: ReactorTurn, registry: ClientRegistry) -> BrowserFactory:
        """What is tested."""
        raise NotImplementedError

    def say(self, data: bytes) -> None:
        """Bytes from the browser; then the turn of the loop ends."""
        self.protocol.dataReceived(data)
        self.turn()

    def turn(self) -> None:
        """The turn of the loop ends."""
        self.gateway.clock.advance(0)

    def open(self, *more: str) -> str:
        """Do the handshake; gives the answer."""
        self.say(handshake(self.path, *more))
        answer, _, rest = self.transport.value().partition(b"\r\n\r\n")
        self.assertIn(b" 101 ", answer.split(b"\r\n")[0])
        self.transport.clear()
        self.transport.write(rest)
        return str(answer, "latin-1")

    def refused(self, *more: str) -> str:
        """Do a handshake that is refused; gives the answer."""
        self.say(handshake(self.path, *more))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.gateway.timeouts), 0)
        self.assertEqual(self.flushLoggedErrors(), [])
        return str(self.transport.value(), "latin-1")

    def auth(self, uid: int = 1) -> bytes:
        """A frame that logs in."""
        token = self.gateway.grant(uid).encode()
        return client.AuthToken(platform=3, token=token, device_id=b"x").frame(1, 1)

    def told(self) -> list[tuple[int, bytes]]:
        """The messages to the browser: opcode and payload."""
        self.turn()
        data, found = self.transport.value(), []
        self.transport.clear()
        while data:
            opcode, size, start = data[0] & 15, data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            found.append((opcode, data[start : start + size]))
            data = data[start + size :]
        return found

    def closed_with(self) -> int:
        """The code with which the connection was closed."""
        opcode, payload = self.told()[-1]
        self.assertEqual(opcode, CLOSE)
        self.assertEqual(self.flushLoggedErrors(), [])
        return int.from_bytes(payload[:2], "big")
