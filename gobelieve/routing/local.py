"""A gateway in the same process as the router."""

from collections.abc import Callable, Sequence

from gobelieve.errors import WireError
from gobelieve.interfaces import Log, Members, Subscriber, Time
from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.routing.published import forward
from gobelieve.routing.pushes.batches import PushBatches
from gobelieve.routing.router import Router
from gobelieve.wire.frames import encode_frame
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import (
    INNER_VERSION,
    MARK,
    PUBLICATIONS,
    PUBLISH,
    PUBLISH_GROUP,
    PUBLISH_ROOM,
)


class LocalLink:
    """`gobelieve.interfaces.Routing` for the gateway, a `Link` for the router; no sockets between.

    Routers in other processes are not known to it, but gateways are: they connect to this router.
    What is said is in effect at once.
    """

    def __init__(self, router: Router, time: Time, counters: Counters, log: Log) -> None:
        self.version = 1
        self._router = router
        self._time = time
        self._counters = counters
        self._log = log
        self._subscriber: Subscriber | None = None
        self._push_batches = PushBatches(self.push, time, counters)
        router.opened(self)
        # It holds nobody yet, and has said so.
        router.received(self, MARK, b"", 1)

    def attach(self, subscriber: Subscriber) -> None:
        """Who is told what other gateways publish."""
        self._subscriber = subscriber

    def close(self) -> None:
        """The gateway holds nobody any more, and publishes no more."""
        self._router.closed(self)

    # --- called by the router

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """See `gobelieve.routing.router.Link`."""
        if cmd not in PUBLICATIONS or self._subscriber is None:
            return
        told = Publication.read(body, version)
        try:
            forward(self._subscriber, cmd, told)
        except WireError as why:
            # It is for this gateway to complain: the one that sent it may not be cut off.
            self._counters.add("publications_malformed")
            self._log.warn("a publication makes no sense: {why}", why=why)

    # --- called by the gateway

    def subscribe(self, user: User, online: bool) -> None:
        """See `gobelieve.interfaces.Routing`, as for all that follows."""
        self._router.table.subscribe(self, user, online)

    def unsubscribe(self, user: User) -> None:
        self._router.table.unsubscribe(self, user)

    def subscribe_room(self, room: Room) -> None:
        self._router.table.subscribe_room(self, room)

    def unsubscribe_room(self, room: Room) -> None:
        self._router.table.unsubscribe_room(self, room)

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        known()

    def when_room_known(self, room: Room, known: Callable[[], None]) -> None:
        known()

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        self._say(PUBLISH, *user, encode_frame(cmd, body, 0, INNER_VERSION, flag), msgid, prev)

    def publish_group(
        self,
        appid: int,
        group_id: int,
        cmd: int,
        body: bytes,
        flag: int = 0,
        msgid: int = 0,
        prev: int = 0,
    ) -> None:
        inner = encode_frame(cmd, body, 0, INNER_VERSION, flag)
        self._say(PUBLISH_GROUP, appid, group_id, inner, msgid, prev)

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        self._say(PUBLISH_ROOM, *room, encode_frame(cmd, body, 0, INNER_VERSION, flag))

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        self._router.decisions.ask(appid, receivers, encode_frame(cmd, body, 0, INNER_VERSION))

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        if self._router.groups is not None:
            # Without the flag PUSH it is not a delivery, but the question who gets a push.
            self.publish_group(appid, group_id, cmd, body)
        else:
            self._push_batches.begin(appid, members, sender, cmd, body)

    def _say(
        self, cmd: int, appid: int, receiver: int, inner: bytes, msgid: int = 0, prev: int = 0
    ) -> None:
        ns = int(self._time.seconds() * 1e9)
        told = Publication(appid, receiver, msgid, prev, ns, inner)
        self._router.received(self, cmd, told.body(1), 1)
