"""The TCP or TLS connection of a `Client`. WebSocket would be another such module."""

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from gobelieve.interfaces import Turn
from gobelieve.protocols.writing import TurnWriter


class Link(Protocol):
    """The connection, as its owner sees it."""

    def send(self, frames: Iterable[bytes]) -> None:
        """Send whole frames, in order."""

    def flush(self) -> None:
        """Write the frames that wait to the transport now."""

    def abort(self) -> None:
        """Close the connection at once. Data that was not sent is lost."""


class LinkOwner(Protocol):
    """The owner of a connection, as the connection sees it."""

    def connected(self, link: Link) -> None:
        """Begin to use a new connection."""

    def received(self, link: Link, data: bytes) -> None:
        """Take bytes from the server. A frame may begin and end anywhere in them."""

    def disconnected(self, link: Link, reason: Failure) -> None:
        """Stop using a connection: it is closed."""


class TcpLink(TwistedProtocol):
    """A link over TCP or TLS. All frames of a turn go out in one write."""

    def __init__(self, owner: LinkOwner, turn: Turn) -> None:
        self._owner = owner
        self._turn = turn

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames at the end of the turn."""
        for frame in frames:
            self._writer.write(frame)

    def flush(self) -> None:
        """Write the frames that wait to the transport now."""
        self._writer.flush()

    def abort(self) -> None:
        """Close the connection at once. Data that was not sent is lost."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self._writer = TurnWriter(transport, self._turn)
        self._owner.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self._owner.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._owner.disconnected(self, reason)


class LinkFactory(Factory):
    """Makes the links of one client."""

    noisy = False

    def __init__(self, owner: LinkOwner, turn: Turn) -> None:
        self._owner = owner
        self._turn = turn

    def buildProtocol(self, addr: IAddress | None) -> TcpLink:
        return TcpLink(self._owner, self._turn)
