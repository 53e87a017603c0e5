"""A gateway in the same process as the router."""

from collections.abc import Sequence

from gobelieve.errors import WireError
from gobelieve.interfaces import Log, Published, Time
from gobelieve.names import User
from gobelieve.routing.router import Router
from gobelieve.wire.frames import encode_frame
from gobelieve.wire.route import INNER_VERSION, MARK, PUBLISH, Publication


class LocalLink:
    """`gobelieve.interfaces.Routing` for the gateway, a `Link` for the router; no sockets between.

    Routers in other processes are not known to it, but gateways are: they connect to this router.
    """

    def __init__(self, router: Router, time: Time, log: Log) -> None:
        self.version = 1
        self._router = router
        self._time = time
        self._log = log
        self._published: Published = lambda *publication: None
        router.opened(self)
        # It holds nobody yet, and has said so.
        router.received(self, MARK, b"", 1)

    def attach(self, published: Published) -> None:
        """Who is told what other gateways publish."""
        self._published = published

    def close(self) -> None:
        """The gateway holds nobody any more, and publishes no more."""
        self._router.closed(self)

    # --- called by the router

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """See `gobelieve.routing.router.Link`."""
        if cmd == PUBLISH:
            told = Publication.read(body, version)
            user = User(told.appid, told.receiver)
            try:
                self._published(user, told.inner, told.msgid, told.prev_msgid)
            except WireError as why:
                # It is for this gateway to complain: the one that sent it may not be cut off.
                self._log.warn("a publication makes no sense: {why}", why=why)

    # --- called by the gateway

    def subscribe(self, user: User, online: bool) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._router.table.subscribe(self, user, online)

    def unsubscribe(self, user: User) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._router.table.unsubscribe(self, user)

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """See `gobelieve.interfaces.Routing`."""
        inner = encode_frame(cmd, body, 0, INNER_VERSION, flag)
        ns = int(self._time.seconds() * 1e9)
        told = Publication(user.appid, user.uid, msgid, prev, ns, inner)
        self._router.received(self, PUBLISH, told.body(1), 1)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """See `gobelieve.interfaces.Routing`."""
        self._router.decisions.ask(appid, receivers, encode_frame(cmd, body, 0, INNER_VERSION))
