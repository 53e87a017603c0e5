"""The gateway's side of a client's TCP connection."""

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Turn
from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, Frame
from gobelieve.wire.message import Sender, sent_by

CLIENT_COMMANDS = sent_by(Sender.CLIENT)


class ClientConnection(FramedProtocol):
    """The connection of one client. While the client does not read, its frames are not read."""

    limit = CLIENT_BODY_LIMIT
    allowed = CLIENT_COMMANDS
    stream = True
    session: Session

    def __init__(self, turn: Turn, registry: ClientRegistry, transport_name: str = "tcp") -> None:
        super().__init__(turn)
        self._registry = registry
        self._transport_name = transport_name
        self._timeouts = registry.timeouts
        self._received = registry.received

    def opened(self) -> None:
        self._registry.connected(self, self.transport, self._transport_name)
        self.session = self._registry.ready(self)

    def frames_received(self, frames: list[Frame]) -> None:
        self.session.seen = self._timeouts.tick
        received = self._received
        for frame in frames:
            received[frame.cmd] += 1
        self.session.received(frames)

    def closed(self, reason: Failure) -> None:
        self._registry.closed(self.session)
        self._registry.disconnected(self, self._transport_name)

    def stalled(self) -> None:
        self._timeouts.congested(self.session)
        self.pause()

    def drained(self) -> None:
        self._timeouts.drained(self.session)
        self.session.drained()
        self.resume()


class ClientFactory(Factory):
    """The clients on TCP or TLS; `transport_name` is their key in the counters."""

    noisy = False

    def __init__(self, turn: Turn, registry: ClientRegistry, transport_name: str = "tcp") -> None:
        self._turn = turn
        self._registry = registry
        self._transport_name = transport_name

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        return ClientConnection(self._turn, self._registry, self._transport_name)
