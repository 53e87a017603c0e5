"""A gateway in the same process as the router."""

from collections.abc import Callable, Sequence

from gobelieve.errors import WireError
from gobelieve.interfaces import Members, Subscriber, World
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
    """A link without sockets: `interfaces.Routing` for the gateway, and a `Link` for the router.

    Gateways in other processes connect to the router. Routers in other processes are not used.
    Subscriptions are in effect at once.
    """

    def __init__(self, router: Router, world: World) -> None:
        self.version = 1
        self._router = router
        self._time = world.time
        self._counters = world.counters
        self._log = world.log
        self._subscriber: Subscriber | None = None
        self._push_batches = PushBatches(self.push, world)
        router.opened(self)
        # The gateway has no users yet, so it has reported them all.
        router.received(self, MARK, b"", 1)

    def attach(self, subscriber: Subscriber) -> None:
        """Set the part of the gateway that gets the publications of other gateways."""
        self._subscriber = subscriber

    def close(self) -> None:
        """Remove the link from the router, with all users and rooms of this gateway."""
        self._router.closed(self)

    # --- called by the router

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """Hand a publication of another gateway to this one; see `routing.router.Link`."""
        if cmd not in PUBLICATIONS or self._subscriber is None:
            return
        publication = Publication.read(body, version)
        try:
            forward(self._subscriber, cmd, publication)
        except WireError as why:
            # Caught here, or the router would close the link of the gateway that sent it.
            self._counters.add("publications_malformed")
            self._log.warn("a publication is malformed: {why}", why=why)

    # --- called by the gateway

    def subscribe(self, user: User, online: bool) -> None:
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
        self._publish(PUBLISH, *user, encode_frame(cmd, body, 0, INNER_VERSION, flag), msgid, prev)

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
        self._publish(PUBLISH_GROUP, appid, group_id, inner, msgid, prev)

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        self._publish(PUBLISH_ROOM, *room, encode_frame(cmd, body, 0, INNER_VERSION, flag))

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        self._router.decisions.ask(appid, receivers, encode_frame(cmd, body, 0, INNER_VERSION))

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        if self._router.groups is not None:
            # Without the flag PUSH it is no delivery; it only requests the pushes.
            self.publish_group(appid, group_id, cmd, body)
        else:
            self._push_batches.begin(appid, members, sender, cmd, body)

    def _publish(
        self, cmd: int, appid: int, receiver: int, inner: bytes, msgid: int = 0, prev: int = 0
    ) -> None:
        ns = int(self._time.seconds() * 1e9)
        publication = Publication(appid, receiver, msgid, prev, ns, inner)
        self._router.received(self, cmd, publication.body(1), 1)
