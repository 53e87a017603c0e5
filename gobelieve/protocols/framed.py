"""A connection that carries frames: the common part of all links of the system."""

from collections.abc import Set
from typing import Any

from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.errors import WireError
from gobelieve.interfaces import Turn
from gobelieve.protocols.writing import TurnWriter, unsent
from gobelieve.wire.frames import Frame, FrameReader


@implementer(IPushProducer)
class FramedProtocol(Protocol):
    """Splits what arrives into frames, sends at the end of the turn, and notices a slow peer.

    A subclass implements `frames_received`, and may override `opened`, `closed`, `stalled` and
    `drained`. `congested` is True while the peer does not read what was written. The code that
    writes then decides what may wait and what is dropped. A peer that sends malformed bytes is
    logged and disconnected.
    """

    log = Logger()
    limit: int
    allowed: Set[int] | None = None

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._reader = FrameReader(self.limit, self.allowed)
        self._writer: TurnWriter | None = None
        self._closing = False
        self._pauses = 0
        self.congested = False
        self.peer = "nobody"

    # --- for subclasses

    def opened(self) -> None:
        """The connection is open."""

    def frames_received(self, frames: list[Frame]) -> None:
        """Handle frames. Raise `WireError` for a malformed one: this ends the connection."""
        raise NotImplementedError

    def stalled(self) -> None:
        """The peer does not read what was written. This is called once before each `drained`."""

    def drained(self) -> None:
        """The peer reads again."""

    def closed(self, reason: Failure) -> None:
        """The connection has ended."""

    # --- for subclasses and owners

    def send(self, data: bytes) -> None:
        """Send at the end of this turn. A connection that is closing sends nothing."""
        if self._writer is not None and not self._closing:
            self._writer.write(data)

    def unsent(self) -> int:
        """Return the number of bytes that the peer has not acknowledged; 0 if it is unknown."""
        return unsent(self.transport)

    def cut(self, why: WireError) -> None:
        """Log why the peer's bytes are malformed, and end the connection."""
        self.log.warn("{link} {peer} is cut off: {why}", link=self, peer=self.peer, why=why)
        self.close()

    def close(self) -> None:
        """Send what waits, then end the connection. Bytes that still arrive are ignored."""
        if self._closing:
            return
        self._closing = True
        if self._writer is not None and self.transport is not None:
            self._writer.flush()
            transport: Any = self.transport
            # The transport would ask a paused producer for more before it ends the connection.
            transport.unregisterProducer()
            transport.loseConnection()

    def pause(self) -> None:
        """Stop reading until `resume` is called as often as `pause`."""
        self._pauses += 1
        transport: Any = self.transport
        if self._pauses == 1 and self._writer is not None:
            transport.pauseProducing()

    def resume(self) -> None:
        """Undo one `pause`; the last one starts the reading again."""
        self._pauses -= 1
        transport: Any = self.transport
        if self._pauses == 0 and self._writer is not None:
            transport.resumeProducing()

    def abort(self) -> None:
        """End the connection now; what waits is lost."""
        self._closing = True
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # --- called by Twisted

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._writer = TurnWriter(transport, self._turn)
        peer = transport.getPeer()
        self.peer = f"{getattr(peer, 'host', peer)}:{getattr(peer, 'port', '')}"
        transport.registerProducer(self, True)
        self.opened()

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        frames = self._reader.feed(data)
        try:
            if frames:
                self.frames_received(frames)
            if self._reader.error is not None and not self._closing:
                raise self._reader.error
        except WireError as why:
            self.cut(why)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._writer = None
        self.closed(reason)

    def pauseProducing(self) -> None:
        # A transport calls this again with every write beyond its limit.
        if not self.congested:
            self.congested = True
            self.stalled()

    def resumeProducing(self) -> None:
        self.congested = False
        transport: Any = self.transport
        if transport.disconnecting:
            # The transport asks for more before it ends the connection; there is no more.
            transport.unregisterProducer()
        else:
            self.drained()

    def stopProducing(self) -> None:
        """Do nothing: `connectionLost` follows."""

    def __str__(self) -> str:
        return type(self).__name__
