"""The connection of a `Client`: where frames meet TCP. WebSocket would be another such module."""

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from gobelieve.interfaces import Turn
from gobelieve.protocols.writing import TurnWriter


class Link(Protocol):
    """What a client asks of its connection."""

    def send(self, frames: Iterable[bytes]) -> None:
        """Send whole frames, in order."""

    def flush(self) -> None:
        """Let what waits go now."""

    def abort(self) -> None:
        """End the connection at once."""


class LinkUser(Protocol):
    """What a connection asks of its client."""

    def connected(self, link: Link) -> None:
        """There is a connection."""

    def received(self, link: Link, data: bytes) -> None:
        """Bytes came, cut anyhow."""

    def disconnected(self, link: Link, reason: Failure) -> None:
        """It is gone."""


class TcpLink(TwistedProtocol):
    """Over TCP or TLS, all frames of a turn in one write."""

    def __init__(self, user: LinkUser, turn: Turn) -> None:
        self._user = user
        self._turn = turn

    def send(self, frames: Iterable[bytes]) -> None:
        """Send at the end of the turn."""
        for frame in frames:
            self._writer.write(frame)

    def flush(self) -> None:
        """Send now."""
        self._writer.flush()

    def abort(self) -> None:
        """End the connection at once."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self._writer = TurnWriter(transport, self._turn)
        self._user.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self._user.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._user.disconnected(self, reason)


class LinkFactory(Factory):
    """Makes the connections of one client."""

    noisy = False

    def __init__(self, user: LinkUser, turn: Turn) -> None:
        self._user = user
        self._turn = turn

    def buildProtocol(self, addr: IAddress | None) -> TcpLink:
        return TcpLink(self._user, self._turn)
