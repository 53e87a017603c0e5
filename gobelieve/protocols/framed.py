"""A connection of frames: what every link of the system has in common."""

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
    """Cuts what arrives into frames, sends at the end of the turn, notices a peer that is slow.

    A subclass takes `frames_received` and may take `opened`, `closed`, `stalled`, and `drained`.
    `congested` is true while the peer does not read what was written; whoever writes then decides
    what may wait and what is dropped. A peer whose bytes make no sense is logged and cut off.
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
        """The connection is there."""

    def frames_received(self, frames: list[Frame]) -> None:
        """Frames came. Raise `WireError` for what makes no sense: it ends the connection."""
        raise NotImplementedError

    def stalled(self) -> None:
        """The peer does not read what was written; once, until it is `drained`."""

    def drained(self) -> None:
        """The peer reads again."""

    def closed(self, reason: Failure) -> None:
        """The connection is gone."""

    # --- for everybody

    def send(self, data: bytes) -> None:
        """Send at the end of this turn; without effect once the connection is closing."""
        if self._writer is not None and not self._closing:
            self._writer.write(data)

    def unsent(self) -> int:
        """How many bytes the peer has not taken, as far as that is known."""
        return unsent(self.transport)

    def cut(self, why: WireError) -> None:
        """End the connection because what came makes no sense."""
        self.log.warn("{link} {peer} is cut off: {why}", link=self, peer=self.peer, why=why)
        self.close()

    def close(self) -> None:
        """Send what waits, then end the connection. What still comes is not looked at."""
        if self._closing:
            return
        self._closing = True
        if self._writer is not None and self.transport is not None:
            self._writer.flush()
            transport: Any = self.transport
            # A paused producer would be asked for more before the transport lets go.
            transport.unregisterProducer()
            transport.loseConnection()

    def pause(self) -> None:
        """Read no more, until `resume` is called as often as this."""
        self._pauses += 1
        transport: Any = self.transport
        if self._pauses == 1 and self._writer is not None:
            transport.pauseProducing()

    def resume(self) -> None:
        """Take one `pause` back."""
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
        # A transport says this again with every write beyond its bound.
        if not self.congested:
            self.congested = True
            self.stalled()

    def resumeProducing(self) -> None:
        self.congested = False
        transport: Any = self.transport
        if transport.disconnecting:
            # The transport asks for more before it lets go; there is no more.
            transport.unregisterProducer()
        else:
            self.drained()

    def stopProducing(self) -> None:
        """The transport is going; `connectionLost` follows."""

    def __str__(self) -> str:
        return type(self).__name__
