"""The gateway's side of a client's TCP connection."""

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Turn
from gobelieve.protocols.clients.client_registry import Reception
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, Frame
from gobelieve.wire.message import Sender, sent_by

CLIENT_COMMANDS = sent_by(Sender.CLIENT)


class ClientConnection(FramedProtocol):
    """One client on TCP. While it does not read, nothing is read from it either."""

    limit = CLIENT_BODY_LIMIT
    allowed = CLIENT_COMMANDS
    stream = True
    session: Session

    def __init__(self, turn: Turn, reception: Reception, via: str = "tcp") -> None:
        super().__init__(turn)
        self._reception = reception
        self._via = via
        self._watch = reception.watch
        self._received = reception.received

    def opened(self) -> None:
        self._reception.arrived(self, self.transport, self._via)
        self.session = self._reception.opened(self)

    def frames_received(self, frames: list[Frame]) -> None:
        self.session.seen = self._watch.tick
        received = self._received
        for frame in frames:
            received[frame.cmd] += 1
        self.session.received(frames)

    def closed(self, reason: Failure) -> None:
        self._reception.closed(self.session)
        self._reception.left(self, self._via)

    def stalled(self) -> None:
        self._watch.congested(self.session)
        self.pause()

    def drained(self) -> None:
        self._watch.drained(self.session)
        self.session.drained()
        self.resume()


class ClientFactory(Factory):
    """Clients on TCP, or on TLS: `via` says which."""

    noisy = False

    def __init__(self, turn: Turn, reception: Reception, via: str = "tcp") -> None:
        self._turn = turn
        self._reception = reception
        self._via = via

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        return ClientConnection(self._turn, self._reception, self._via)
