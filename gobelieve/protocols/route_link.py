"""The gateway's links to the routers.

On every new connection the gateway first says again which users it holds. While a router is away,
or does not read, nothing waits for it: notifies are kept, one a user, phone pushes are kept up to
a bound, and what is live is dropped and counted. What was kept goes out behind the resubscription,
and notifies once more when the other gateways have had the time to come back too.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import WireError
from gobelieve.interfaces import Cancellable, Published, Time, Turn
from gobelieve.metrics import Tally
from gobelieve.names import User
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.protocols.kept_notifies import AGAIN, KeptNotifies
from gobelieve.wire import client, route
from gobelieve.wire.frames import HEADER_SIZE, LINK_BODY_LIMIT, Frame, encode_frame

PUSHES_KEPT = 32 << 20
"""Bytes of phone pushes that are kept for an absent router."""
UNREAD = 4 << 20
"""So many bytes may wait for a router that is slow to read; beyond that, less is sent."""
RECEIVERS_A_PUSH = 4000
"""More receivers than this are split over several PUSHes."""

# Whole frames up to the inner body, packed at once: these two are sent for every message.
_PUBLISH = Struct(">iiBBBB qqqqqI iiBBBB")
_PUBLISH_HEAD = _PUBLISH.size - HEADER_SIZE
_PUSH_ONE = Struct(">iiBBBB qHqI iiBBBB")
_PUSH_ONE_HEAD = _PUSH_ONE.size - HEADER_SIZE
_SUBSCRIBE = Struct(">iiBBBBqqb")

Missed = Callable[[Iterable[User]], None]
"""Told of the users whose publications may have got lost while the router was away."""
Held = Callable[[], Iterable[tuple[User, bool]]]
"""Gives every user of this gateway, and whether online."""


class RouteConnection(FramedProtocol):
    """One connection to a router."""

    limit = LINK_BODY_LIMIT
    allowed = route.PUBLICATIONS

    def __init__(self, link: "RouteLink") -> None:
        super().__init__(link.turn)
        self._link = link
        self._seq = 0
        self._unread = 0

    def takes(self, length: int) -> bool:
        """Whether to send a publication of this length, or to keep it until the router reads."""
        if not self.congested:
            return True
        self._unread += length
        return self._unread <= UNREAD

    def next_seq(self) -> int:
        """Frames are counted from 1 on each connection."""
        self._seq = self._seq % 0x7FFFFFFF + 1
        return self._seq

    def opened(self) -> None:
        probe_soon(self.transport)
        self._link.connected(self)

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._link.received(frame)

    def drained(self) -> None:
        self._unread = 0
        self._link.drained()

    def closed(self, reason: Failure) -> None:
        self._link.disconnected(reason)


class RouteLink(Factory):
    """What goes to and comes from one router, over one connection after another."""

    log = Logger()
    noisy = False

    def __init__(
        self,
        address: str,
        turn: Turn,
        time: Time,
        tally: Tally,
        held: Held,
        published: Published,
        missed: Missed,
    ) -> None:
        self.address = address
        self.turn = turn
        self._time = time
        self._tally = tally
        self._held = held
        self._published = published
        self._missed = missed
        self._connection: RouteConnection | None = None
        self._kept = KeptNotifies(tally)
        self._again: Cancellable | None = None
        self._pushes: deque[tuple[int, bytes]] = deque()
        self._pushes_length = 0

    def buildProtocol(self, addr: IAddress | None) -> RouteConnection:
        return RouteConnection(self)

    # --- to the router

    def subscribe(self, user: User, online: bool) -> None:
        """Say that the user is here. Away routers learn it when they are back."""
        connection = self._connection
        if connection is not None:
            seq = connection.next_seq()
            frame = _SUBSCRIBE.pack(
                17, seq, route.SUBSCRIBE, route.OUTER_VERSION, 0, 0, *user, online
            )
            connection.send(frame)

    def unsubscribe(self, user: User) -> None:
        """Say that the user is gone."""
        body = route.Unsubscribe(appid=user.appid, uid=user.uid).encode()
        if self._connection is not None:
            self._send(self._connection, route.UNSUBSCRIBE, body)

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """See `gobelieve.interfaces.Routing`."""
        connection = self._connection
        length = len(body)
        if connection is None or not connection.takes(length):
            self._kept.keep(user, cmd, body, msgid)
            return
        if self._again is not None:
            self._kept.told(user, cmd, body, msgid)
        head = _PUBLISH.pack(
            _PUBLISH_HEAD + length,
            connection.next_seq(),
            route.PUBLISH,
            route.OUTER_VERSION,
            0,
            0,
            *user,
            msgid,
            prev,
            int(self._time.seconds() * 1e9),
            HEADER_SIZE + length,
            length,
            0,
            cmd,
            route.INNER_VERSION,
            flag,
            0,
        )
        connection.send(head + body)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """See `gobelieve.interfaces.Routing`."""
        connection = self._connection
        length = len(body)
        if connection is not None and not connection.takes(length):
            connection = None
        if len(receivers) == 1 and connection is not None:
            head = _PUSH_ONE.pack(
                _PUSH_ONE_HEAD + length,
                connection.next_seq(),
                route.PUSH,
                route.OUTER_VERSION,
                0,
                0,
                appid,
                1,
                receivers[0],
                HEADER_SIZE + length,
                length,
                0,
                cmd,
                route.INNER_VERSION,
                0,
                0,
            )
            connection.send(head + body)
            return
        inner = encode_frame(cmd, body, 0, route.INNER_VERSION)
        for start in range(0, len(receivers), RECEIVERS_A_PUSH):
            some = tuple(receivers[start : start + RECEIVERS_A_PUSH])
            wide = route.WidePush(appid=appid, receivers=some, inner=inner).encode()
            if connection is not None:
                self._send(connection, route.PUSH, wide)
            elif self._pushes_length + len(wide) <= PUSHES_KEPT:
                self._pushes_length += len(wide)
                self._pushes.append((route.PUSH, wide))
            else:
                self._tally.add("pushes_dropped")

    def _send(self, connection: RouteConnection, cmd: int, body: bytes) -> None:
        connection.send(encode_frame(cmd, body, connection.next_seq(), route.OUTER_VERSION))

    # --- told by the connection

    def connected(self, connection: RouteConnection) -> None:
        """Tell the router who is here, and what was kept."""
        self._connection = connection
        here = list(self._held())
        for user, online in here:
            self.subscribe(user, online)
        self._missed([user for user, _ in here])
        self.log.info(
            "router {address} is connected; {count} users subscribed",
            address=self.address,
            count=len(here),
        )
        self._again = self._time.callLater(AGAIN[0], self._tell_again, 1)
        self.drained()

    def drained(self) -> None:
        """Send what was kept."""
        self._notify(self._kept.take())
        pushes, self._pushes = self._pushes, deque()
        self._pushes_length = 0
        for cmd, body in pushes:
            if self._connection is not None:
                self._send(self._connection, cmd, body)

    def _tell_again(self, times: int) -> None:
        told = self._kept.take_told()
        self._again = None
        if times < len(AGAIN):
            self._again = self._time.callLater(AGAIN[times], self._tell_again, times + 1)
        self._notify(told)

    def _notify(self, notifies: Mapping[User, int]) -> None:
        for user, key in notifies.items():
            self.publish(user, client.SyncNotify.number, key.to_bytes(8, "big"))

    def disconnected(self, reason: Failure) -> None:
        """From now on things are kept."""
        self._connection = None
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._kept.lost()
        self.log.warn(
            "router {address} is gone: {why}", address=self.address, why=reason.getErrorMessage()
        )

    def received(self, frame: Frame) -> None:
        """Another gateway publishes. Raises `WireError` if it makes no sense."""
        publication = route.Publication.read(frame.body, frame.version)
        if frame.cmd == route.PUBLISH:
            user = User(publication.appid, publication.receiver)
            try:
                self._published(user, publication.inner, publication.msgid, publication.prev_msgid)
            except WireError as why:
                # The frame came through the router from another gateway: not the link's fault.
                self._tally.add("publications_malformed")
                self.log.warn("a publication makes no sense: {why}", why=why)
