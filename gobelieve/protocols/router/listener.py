"""The router's side of the link to the gateways.

The dialogue is told in `gobelieve.wire.route`, the rules are in `gobelieve.routing.router`. Here
frames come in and go out, and a gateway that does not read what is sent to it is given up, so that
it costs the router a bounded amount of memory and the other gateways nothing.
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


class RouteLink(FramedProtocol):
    """One gateway's connection; a `gobelieve.routing.router.Link`.

    Which commands may come is the router's to say: upstream lets an unknown one pass if it has no
    body, so the header alone does not decide.
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
        self.log.info("gateway {peer} came", peer=self.peer)

    def frames_received(self, frames: list[Frame]) -> None:
        self._factory.counters.add("frames", len(frames))
        received = self._router.received
        for cmd, version, _, _, body in frames:
            received(self, cmd, body, version)

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """Send a publication at the end of this turn, or give the gateway up."""
        self._seq = seq = self._seq % LAST_SEQ + 1
        self.send(encode_frame(cmd, body, seq, version))
        if self.congested and not self._closing:
            self._unread += len(body)
            if self._unread > self._factory.unread_limit:
                self._give_up()

    def drained(self) -> None:
        self._unread = 0

    def finish(self) -> None:
        """Nothing is owed but what waits to be written."""
        self.close()

    def closed(self, reason: Failure) -> None:
        self._router.closed(self)
        self._factory.left(self)
        self.log.info("gateway {peer} went: {why}", peer=self.peer, why=reason.getErrorMessage())

    def _give_up(self) -> None:
        self._unread = 0
        self._factory.counters.add("gateways_given_up")
        self.log.warn("gateway {peer} does not read, and is given up", peer=self.peer)
        self.abort()


class RouteFactory(DrainingFactory["RouteLink"]):
    """Makes the links. `unread_limit`: bytes that may wait for a gateway that does not read."""

    drain_timeout = DRAIN_TIMEOUT

    def __init__(self, router: Router, turn: Turn, counters: Counters, unread_limit: int) -> None:
        super().__init__()
        self.router = router
        self.counters = counters
        self.unread_limit = unread_limit
        self._turn = turn

    def buildProtocol(self, addr: IAddress | None) -> RouteLink:
        return RouteLink(self._turn, self)
