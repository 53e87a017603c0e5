"""A browser's connection: each binary message is one frame, in both directions.

The path is ``/ws`` and nothing else. A text message, a message that is not exactly one frame, and
one that is too long end the connection with the close code that fits.
"""

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.errors import WireError
from gobelieve.gateway.session import Session
from gobelieve.protocols.client_listener import CLIENT_COMMANDS, Reception
from gobelieve.protocols.writing import unsent
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, HEADER_SIZE, FrameReader

PATH = "/ws"
LONGEST_MESSAGE = HEADER_SIZE + CLIENT_BODY_LIMIT
# Close codes: an application may only use 1000 and those from 3000.
GOING_AWAY = 1000
NOT_ACCEPTABLE = 4003
MAKES_NO_SENSE = 4007


@implementer(IPushProducer)
class WebSocketConnection(WebSocketServerProtocol):
    """One client on WebSocket; `gobelieve.interfaces.Connection` for its session."""

    _log = Logger()  # not `log`, in which autobahn tells every step it takes
    factory: "WebSocketFactory"
    transport: Any
    session: Session | None = None
    congested = False
    _pauses = 0

    # --- for the session

    def unsent(self) -> int:
        """See `gobelieve.interfaces.Connection`."""
        return unsent(self.transport)

    def send(self, frame: bytes) -> None:
        """Send one frame as one message; without effect once it is closing."""
        if self.state == self.STATE_OPEN:
            self.sendMessage(frame, isBinary=True)

    def pause(self) -> None:
        """See `gobelieve.interfaces.Connection`."""
        self._pauses += 1
        if self._pauses == 1 and self.session is not None:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """See `gobelieve.interfaces.Connection`."""
        self._pauses -= 1
        if self._pauses == 0 and self.session is not None:
            self.transport.resumeProducing()

    def cut(self, why: WireError) -> None:
        """See `gobelieve.interfaces.Connection`."""
        self._refuse(MAKES_NO_SENSE, str(why))

    def close(self) -> None:
        """See `gobelieve.interfaces.Connection`."""
        self.sendClose(GOING_AWAY)

    def abort(self) -> None:
        """See `gobelieve.interfaces.Connection`."""
        self.transport.abortConnection()

    def _refuse(self, code: int, why: str) -> None:
        self._log.warn("websocket {peer} is cut off: {why}", peer=self.peer, why=why)
        self.sendClose(code, why[:100])

    # --- called by autobahn

    def onConnect(self, request: ConnectionRequest) -> None:
        if request.path != PATH:
            raise ConnectionDeny(404, f"there is nothing but {PATH}")

    def onOpen(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self.session = self.factory.reception.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        session = self.session
        if session is None or self.state != self.STATE_OPEN:
            return
        if not isBinary:
            self._refuse(NOT_ACCEPTABLE, "a text message")
            return
        reader = FrameReader(CLIENT_BODY_LIMIT, CLIENT_COMMANDS)
        frames = reader.feed(payload)
        if reader.error is not None:
            self._refuse(MAKES_NO_SENSE, str(reader.error))
        elif len(frames) != 1 or len(payload) != HEADER_SIZE + len(frames[0].body):
            self._refuse(MAKES_NO_SENSE, "a message that is not one frame")
        else:
            session.seen = self.factory.reception.watch.tick
            session.received(frames)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._ended()

    # --- called by Twisted

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._ended()

    def _ended(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            self.factory.reception.closed(session)

    def pauseProducing(self) -> None:
        if self.congested:
            return
        self.congested = True
        if self.session is not None:
            self.factory.reception.watch.congested(self.session)
        self.pause()

    def resumeProducing(self) -> None:
        self.congested = False
        if self.session is not None:
            self.factory.reception.watch.drained(self.session)
            self.session.drained()
        self.resume()

    def stopProducing(self) -> None:
        """The transport is going; `connectionLost` follows."""


class WebSocketFactory(WebSocketServerFactory):
    """Clients on WebSocket."""

    noisy = False

    def __init__(self, reception: Reception, reactor: Any) -> None:
        super().__init__(reactor=reactor)
        self.reception = reception
        self.protocol = WebSocketConnection
        self.setProtocolOptions(
            maxFramePayloadSize=LONGEST_MESSAGE,
            maxMessagePayloadSize=LONGEST_MESSAGE,
            autoFragmentSize=0,
            failByDrop=False,
            openHandshakeTimeout=5,
            closeHandshakeTimeout=2,
            tcpNoDelay=True,
        )
