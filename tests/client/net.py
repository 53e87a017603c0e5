"""A network for one client: its endpoint, its clock, and the server's end of each connection."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.wire import Message, client
from tests.client.scripted import ServerEnd


class Wire(StringTransport):
    """One connection. As in TCP, the end comes a turn after it was asked for."""

    def __init__(self, clock: Clock, protocol: Any) -> None:
        super().__init__()
        self.clock = clock
        self.client = protocol
        self.server = ServerEnd()
        self.gone = False
        self.stuck = False
        """Whether the peer reads nothing, so that the connection cannot close in order."""

    def loseConnection(self) -> None:
        super().loseConnection()
        if not self.stuck:
            self.clock.callLater(0, self.end, ConnectionDone())

    def abortConnection(self) -> None:
        self.clock.callLater(0, self.end, ConnectionAborted())

    def end(self, why: Exception) -> None:
        """End the connection with this reason."""
        if not self.gone:
            self.gone = True
            self.client.connectionLost(Failure(why))

    def sent(self) -> list[Message]:
        """Return the messages that the client sent since the last call."""
        self.clock.advance(0)
        data = self.value()
        self.clear()
        return self.server.read(data)

    def deliver(self, data: bytes) -> None:
        """Deliver the server's bytes to the client."""
        self.client.dataReceived(data)
        self.clock.advance(0)

    def accept(self) -> None:
        """Accept the login, and answer that there is nothing new."""
        sent = self.sent()
        assert isinstance(sent[0], client.AuthToken), sent
        (sync,) = (m for m in sent if isinstance(m, client.Sync))
        key = sync.sync_key
        self.deliver(
            self.server.frame(client.AuthStatus(status=0)) + self.server.batch(key, [], key)
        )


@implementer(IStreamClientEndpoint)
class Network:
    """The endpoint. The test says when a connection is there."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.attempts: list[tuple[Any, Deferred[Any]]] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        connected: Deferred[Any] = Deferred()
        self.attempts.append((protocolFactory, connected))
        return connected

    def accept(self) -> Wire:
        """Let the oldest attempt succeed, and return its connection."""
        factory, connected = self.attempts.pop(0)
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 23000))
        wire = Wire(self.clock, protocol)
        protocol.makeConnection(wire)
        connected.callback(protocol)
        return wire

    def refuse(self) -> None:
        """Let the oldest attempt fail."""
        _, connected = self.attempts.pop(0)
        connected.errback(ConnectionRefusedError())
