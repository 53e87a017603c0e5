"""The router's port for gateways.

`gobelieve.wire.route` describes the dialogue, and `gobelieve.routing.router` has the rules. This
module receives and sends the frames. It disconnects a gateway that does not read what is sent to
it. So such a gateway takes a bounded amount of memory, and does not slow down the others.
"""

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from gobelieve.interfaces import Turn
from gobelieve.metrics import Counters
from gobelieve.protocols.draining import DrainingFactory
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.routing.router import Router
from gobelieve.wire.frames import LINK_BODY_LIMIT, Frame, encode_frame

LAST_SEQ = 0x7FFFFFFF
DRAIN_TIMEOUT = 2.0
"""Seconds that a gateway has to read the rest when the router stops."""


class GatewayConnection(FramedProtocol):
    """The connection of one gateway: a `gobelieve.routing.router.Link`.

    The router decides which commands are allowed, since the header alone does not show it. Like the
    Go server, it accepts an unknown command if it has no body.
    """

    limit = LINK_BODY_LIMIT

    def __init__(self, turn: Turn, factory: "RouteFactory") -> None:
        super().__init__(turn)
        self.version = 0
        self._factory = factory
        self._router = factory.router
        self._seq = 0
        self._unread = 0

    def opened(self) -> None:
        probe_soon(self.transport)
        self._factory.connections.add(self)
        self._router.opened(self)
        self.log.info("gateway {peer} connected", peer=self.peer)

    def frames_received(self, frames: list[Frame]) -> None:
        self._factory.counters.add("frames", len(frames))
        received = self._router.received
        for cmd, version, _, _, body in frames:
            received(self, cmd, body, version)

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """Send a publication at the end of this turn; disconnect a gateway that does not read."""
        self._seq = seq = self._seq % LAST_SEQ + 1
        self.send(encode_frame(cmd, body, seq, version))
        if self.congested and not self._closing:
            self._unread += len(body)
            if self._unread > self._factory.unread_limit:
                self._give_up()

    def drained(self) -> None:
        self._unread = 0

    def finish(self) -> None:
        """Send what waits, and disconnect."""
        self.close()

    def closed(self, reason: Failure) -> None:
        self._router.closed(self)
        self._factory.left(self)
        why = reason.getErrorMessage()
        self.log.info("gateway {peer} disconnected: {why}", peer=self.peer, why=why)

    def _give_up(self) -> None:
        self._unread = 0
        self._factory.counters.add("gateways_given_up")
        self.log.warn("gateway {peer} does not read, and is given up", peer=self.peer)
        self.abort()


class RouteFactory(DrainingFactory[GatewayConnection]):
    """Creates the connections. `unread_limit` is the bytes that may wait for a gateway."""

    drain_timeout = DRAIN_TIMEOUT

    def __init__(
        self, router: Router, *, turn: Turn, counters: Counters, unread_limit: int
    ) -> None:
        super().__init__()
        self.router = router
        self.counters = counters
        self.unread_limit = unread_limit
        self._turn = turn

    def buildProtocol(self, addr: IAddress | None) -> GatewayConnection:
        return GatewayConnection(self._turn, self)
