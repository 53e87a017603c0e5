"""A browser's connection: each binary message is one frame, in both directions.

The path is ``/ws``. These end the connection, with the close code that fits: a text message, a
message that is not exactly one frame, and a message that is too long. Fragments of a message are
joined. Compression is not offered: messages are short, and many apps encrypt them. It would take
some hundred kB per connection.

The library trusts its peers. This module adds limits: for the time and the size of a handshake, and
for fragments without content. It shows no HTML pages, and does not regard a slow client as dead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.errors import WireError
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Turn
from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.clients.tcp import CLIENT_COMMANDS
from gobelieve.protocols.writing import TurnWriter, unsent
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, HEADER_SIZE, FrameReader

PATH = "/ws"
MAX_MESSAGE_BYTES = HEADER_SIZE + CLIENT_BODY_LIMIT
MAX_REQUEST_BYTES = 16 << 10
"""The longest handshake in bytes; browsers send about 500."""
CLOSE_TIMEOUT = 4.0
"""Seconds that the client has to answer our close frame."""
# Close codes: an application may only use 1000 and those from 3000.
GOING_AWAY = 1000
NOT_ACCEPTABLE = 4003
MAKES_NO_SENSE = 4007

ANY = "*"


@dataclass(frozen=True)
class WebSocketSettings:
    """The origins that may connect, and the timeouts.

    - `origins`: ``scheme://host`` or ``scheme://host:port``, with ``*`` for any part. ``null``
      stands for pages of no server. A client that is no browser sends no origin, and needs none.
    - `ping_interval`: seconds, or 0 for no pings.
    - `ping_timeout`: seconds that the client has to answer a ping.
    - `open_timeout`: seconds for TLS and the handshake.
    """

    origins: Sequence[str] = (ANY,)
    ping_interval: float = 45.0
    ping_timeout: float = 30.0
    open_timeout: float = 10.0


def _with_port(origin: str) -> str:
    """Return the origin with its port, as the library compares it."""
    scheme, is_url, host = origin.partition("://")
    if not is_url or ":" in host:
        return origin
    port = "*" if "*" in scheme else {"http": "80", "https": "443"}.get(scheme, "None")
    return f"{origin}:{port}"


@implementer(IPushProducer)
class BrowserConnection(WebSocketServerProtocol):
    """Implements `gobelieve.interfaces.Connection` on WebSocket.

    A subclass puts frames into messages (`send`), and takes them out (`onMessage`).
    """

    _log = Logger()  # not `log`, in which autobahn tells every step it takes
    factory: "BrowserFactory"
    transport: Any
    session: Session | None = None
    peer: str = "nobody"
    congested = False
    stream = False
    _pauses = 0
    _writer: TurnWriter

    # --- for subclasses

    def frame_received(self, payload: bytes) -> None:
        """Handle a message, which must be exactly one frame."""
        session = self.session
        if session is None or self.state != self.STATE_OPEN:
            return
        reader = FrameReader(CLIENT_BODY_LIMIT, CLIENT_COMMANDS)
        frames = reader.feed(payload)
        if reader.error is not None:
            self.refuse(MAKES_NO_SENSE, str(reader.error))
        elif len(frames) != 1 or len(payload) != HEADER_SIZE + len(frames[0].body):
            self.refuse(MAKES_NO_SENSE, "a message that is not one frame")
        else:
            registry = self.factory.registry
            session.seen = registry.timeouts.tick
            registry.received[frames[0].cmd] += 1
            session.received(frames)

    def refuse(self, code: int, why: str) -> None:
        """Log what the client did wrong, and end the connection with this close code."""
        if self.state == self.STATE_OPEN:
            self._log.warn("websocket {peer} is cut off: {why}", peer=self.peer, why=why)
            self._leave(code, why[:100])

    # --- for the session

    def unsent(self) -> int:
        return unsent(self.transport)

    def send(self, frame: bytes) -> None:
        """Send one frame. A connection that is closing sends nothing."""
        raise NotImplementedError

    def pause(self) -> None:
        self._pauses += 1
        if self._pauses == 1 and self._reads():
            self.transport.pauseProducing()

    def resume(self) -> None:
        self._pauses -= 1
        if self._pauses == 0 and self._reads():
            self.transport.resumeProducing()

    def cut(self, why: WireError) -> None:
        self.refuse(MAKES_NO_SENSE, str(why))

    def close(self) -> None:
        if self.state == self.STATE_OPEN:
            self._leave(GOING_AWAY, None)

    def abort(self) -> None:
        self.transport.abortConnection()

    def _leave(self, code: int, why: str | None) -> None:
        self.sendClose(code, why)
        # The answer shows that the client has read everything. Other messages are ignored.
        if self._pauses > 0:
            self.transport.resumeProducing()

    def _reads(self) -> bool:
        """True if the session controls the reading."""
        return self.session is not None and self.state == self.STATE_OPEN

    # --- called by autobahn

    def onOpen(self) -> None:
        self.session = self.factory.registry.ready(self)

    def onMessageFrameData(self, payload: bytes) -> None:
        # The library would keep fragments without content, and has no limit for them.
        if payload:
            super().onMessageFrameData(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._ended()

    def onAutoPingTimeout(self) -> None:
        # While nothing is read from the client, its answer cannot arrive. `Timeouts` finds out
        # whether the client reads.
        if self._pauses > 0:
            self.autoPingTimeoutCall = None
            self.autoPingPending = None
            self._sendAutoPing()
        else:
            super().onAutoPingTimeout()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Send all messages of a turn in one write."""
        self._writer.write(data)

    def _closeConnection(self, abort: bool = False) -> None:
        if not abort:
            self._writer.flush()
        super()._closeConnection(abort)

    # --- called by Twisted

    def connectionMade(self) -> None:
        self._writer = TurnWriter(self.transport, self.factory.turn)
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self.factory.registry.connected(self, self.transport, self.factory.transport_name)

    def dataReceived(self, data: bytes) -> None:
        connecting = self.state == self.STATE_CONNECTING
        if connecting and len(self.data) + len(data) > MAX_REQUEST_BYTES:
            self.dropConnection(abort=True)
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._ended()
        self.factory.registry.disconnected(self, self.factory.transport_name)

    def _ended(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            self.factory.registry.closed(session)

    def pauseProducing(self) -> None:
        if self.congested:
            return
        self.congested = True
        if self.session is not None:
            self.factory.registry.timeouts.congested(self.session)
        self.pause()

    def resumeProducing(self) -> None:
        if not self.congested:
            return
        self.congested = False
        if self.session is not None:
            self.factory.registry.timeouts.drained(self.session)
            self.session.drained()
        self.resume()

    def stopProducing(self) -> None:
        """Do nothing: `connectionLost` follows."""


class WebSocketConnection(BrowserConnection):
    """The connection of one client at ``/ws``."""

    def onConnect(self, request: ConnectionRequest) -> None:
        if request.path != PATH:
            raise ConnectionDeny(404, f"there is nothing but {PATH}")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            self.frame_received(payload)
        else:
            self.refuse(NOT_ACCEPTABLE, "a text message")

    def send(self, frame: bytes) -> None:
        """Send one frame as one message. A connection that is closing sends nothing."""
        if self.state == self.STATE_OPEN:
            self.sendMessage(frame, isBinary=True)


class BrowserFactory(WebSocketServerFactory):
    """The common part of the factories for clients on WebSocket."""

    noisy = False
    connection: type[BrowserConnection]

    def __init__(
        self,
        turn: Turn,
        registry: ClientRegistry,
        reactor: IReactorTime,
        settings: WebSocketSettings,
        transport_name: str,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(reactor=reactor, server=None)
        self.turn = turn
        self.registry = registry
        self.transport_name = transport_name
        self.protocol = self.connection
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=max_message_bytes,
            maxMessagePayloadSize=max_message_bytes,
            autoFragmentSize=0,
            failByDrop=False,
            openHandshakeTimeout=settings.open_timeout,
            closeHandshakeTimeout=CLOSE_TIMEOUT,
            tcpNoDelay=True,
            autoPingInterval=settings.ping_interval,
            autoPingTimeout=settings.ping_timeout,
            allowedOrigins=[_with_port(origin) for origin in settings.origins],
            allowNullOrigin=ANY in settings.origins or "null" in settings.origins,
        )


class WebSocketFactory(BrowserFactory):
    """The factory for the clients at ``/ws``."""

    connection = WebSocketConnection
