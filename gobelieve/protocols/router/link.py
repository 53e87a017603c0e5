"""The gateway's link to one router.

`subscriptions` tells the router which users and rooms this gateway has. While a router is away or
does not read, nothing waits for it:

- The newest notify of each queue is kept, and sent after the resubscription. It is sent again when
  the other gateways have had the time to come back too.
- Phone pushes are kept up to a bound, and sent when the resubscription is in effect.
- Live messages are dropped and counted.

What was kept is sent some per turn.
"""

from collections.abc import Callable, Collection, Sequence

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import WireError
from gobelieve.interfaces import Cancellable, Subscriber, World
from gobelieve.names import Room, User
from gobelieve.protocols.router.backlog import RENOTIFY_SECONDS, PushBacklog, of_groups, of_users
from gobelieve.protocols.router.connection import RouteConnection, group_question, wide_pushes
from gobelieve.protocols.router.pending_subscriptions import PendingSubscriptions
from gobelieve.protocols.router.subscriptions import Subscriptions
from gobelieve.routing.published import forward
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.wire import client, route
from gobelieve.wire.frames import Frame
from gobelieve.wire.publication import Publication

Missed = Callable[[Collection[User] | None], None]
"""Called with users whose publications may be lost, or None for all ids of the router."""
NOTIFIES_PER_TURN = 2000
"""The number of kept notifies that are sent in one turn; it takes 4 ms."""
PUSH_BYTES_PER_TURN = 256 << 10
"""The bytes of kept pushes that are sent in one turn."""


class RouteLink(Factory):
    """The link to one router, over one connection after another."""

    log = Logger()
    noisy = False

    subscriptions: Subscriptions
    _subscriber: Subscriber
    _missed: Missed

    def __init__(self, address: str, world: World) -> None:
        self.address = address
        self.decides_group_pushes = False
        """True if the router itself finds the members of a super group who get a push."""
        self.connects = 0
        """The number of connections so far."""
        self._world = world
        self._time = world.time
        self._counters = world.counters
        self._malformed = ThrottledLog(self.log, world.time)
        self._connection: RouteConnection | None = None
        self._notifies = of_users(world.counters)
        self._group_notifies = of_groups(world.counters)
        self._pushes = PushBacklog(world.counters)
        self._renotify_timer: Cancellable | None = None
        """Set for a while after a connection, until notifies are sent for the last time."""
        self._next_step: Cancellable | None = None

    @property
    def is_connected(self) -> bool:
        """True if there is a connection to the router."""
        return self._connection is not None

    @property
    def kept(self) -> tuple[int, int]:
        """The number of notifies and of pushes that wait for the router."""
        return len(self._notifies) + len(self._group_notifies), len(self._pushes)

    def attach(self, pending: PendingSubscriptions, subscriber: Subscriber, missed: Missed) -> None:
        """Take the parts that the link works for. This must happen before the first connection."""
        self.subscriptions = Subscriptions(
            self._world, pending, in_effect=self._in_effect, unanswered=self._unanswered
        )
        self._subscriber = subscriber
        self._missed = missed

    def buildProtocol(self, addr: IAddress | None) -> RouteConnection:
        return RouteConnection(self._world.turn, self)

    # --- called by the pool

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        connection = self._connection
        if connection is None or not connection.has_room_for(len(body)):
            self._notifies.keep(user, cmd, body, msgid)
            return
        if self._renotify_timer is not None:
            self._notifies.sent(user, cmd, body, msgid)
        now = self._time.seconds()
        connection.publish(route.PUBLISH, user, cmd, body, flag, msgid, prev, now)

    def publish_group(
        self, group: tuple[int, int], cmd: int, body: bytes, flag: int, msgid: int, prev: int
    ) -> None:
        """Publish to a super group, (appid, id); see `gobelieve.interfaces.Routing`."""
        connection = self._connection
        if connection is None or not connection.has_room_for(len(body)):
            self._group_notifies.keep(group, cmd, body, msgid)
            return
        if self._renotify_timer is not None:
            self._group_notifies.sent(group, cmd, body, msgid)
        now = self._time.seconds()
        connection.publish(route.PUBLISH_GROUP, group, cmd, body, flag, msgid, prev, now)

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int) -> None:
        """Publish to a room. All its messages are live, so they are sent now or dropped."""
        connection = self._connection
        if connection is None or not connection.has_room_for(len(body)):
            self._counters.add("live_dropped")
        else:
            now = self._time.seconds()
            connection.publish(route.PUBLISH_ROOM, room, cmd, body, flag, 0, 0, now)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        connection = self._connection_for_push(len(body))
        if len(receivers) == 1 and connection is not None:
            connection.push(appid, receivers[0], cmd, body)
            return
        for wide in wide_pushes(appid, receivers, cmd, body):
            if connection is not None:
                connection.send_frame(route.PUSH, wide)
            else:
                self._pushes.keep(route.PUSH, wide)

    def ask_for_pushes(self, group: tuple[int, int], cmd: int, body: bytes) -> None:
        """Ask the router to push to the members of a super group, (appid, id)."""
        question = group_question(group, cmd, body, self._time.seconds())
        connection = self._connection_for_push(len(question))
        if connection is not None:
            connection.send_frame(route.PUBLISH_GROUP, question)
        else:
            self._pushes.keep(route.PUBLISH_GROUP, question)

    def _connection_for_push(self, length: int) -> RouteConnection | None:
        """Return the connection, or None if a push of this length must wait behind others."""
        connection = self._connection
        if connection is None or self._pushes:
            return None
        return connection if connection.has_room_for(length) else None

    # --- what waits is sent step by step

    def _schedule_step(self) -> None:
        if self._next_step is None:
            self._next_step = self._time.callLater(0, self._step)

    def _step(self) -> None:
        """Send some of what waits. The next step comes in a later turn, or after `drained`."""
        self._next_step = None
        connection = self._connection
        if connection is None or connection.congested:
            return
        if not self.subscriptions.send_some(connection):
            if self._notifies or self._group_notifies:
                self._send_notifies()
            elif self._pushes and self.subscriptions.in_effect:
                self._send_pushes(connection)
            else:
                return
        self._schedule_step()

    def _send_notifies(self) -> None:
        for _ in range(min(NOTIFIES_PER_TURN, len(self._notifies))):
            (appid, uid), key = self._notifies.take()
            self.publish(User(appid, uid), client.SyncNotify.number, key.to_bytes(8, "big"))
        for _ in range(min(NOTIFIES_PER_TURN, len(self._group_notifies))):
            group, key = self._group_notifies.take()
            notify = client.SyncGroupNotify(group_id=group[1], sync_key=key)
            self.publish_group(group, notify.number, notify.encode(), 0, 0, 0)

    def _send_pushes(self, connection: RouteConnection) -> None:
        length = 0
        while self._pushes and length < PUSH_BYTES_PER_TURN:
            cmd, body = self._pushes.take()
            length += len(body)
            if cmd == route.PUBLISH_GROUP and not self.decides_group_pushes:
                # The router was replaced by one that does not find the members itself.
                self._counters.add("pushes_dropped")
            else:
                connection.send_frame(cmd, body)

    def _renotify(self, times: int) -> None:
        self._renotify_timer = None
        if times < len(RENOTIFY_SECONDS):
            pause = RENOTIFY_SECONDS[times]
            self._renotify_timer = self._time.callLater(pause, self._renotify, times + 1)
        self._notifies.requeue()
        self._group_notifies.requeue()
        self._schedule_step()

    # --- called by the subscriptions

    def _in_effect(self, early: Collection[User] | None) -> None:
        if early is None:
            self.log.info("router {address} is connected", address=self.address)
        self._missed(early)
        self._schedule_step()

    def _unanswered(self) -> None:
        self._counters.add("marks_unanswered")
        self.log.info(
            "router {address} does not answer MARK: logins do not wait for it",
            address=self.address,
        )

    # --- called by the connection

    def connected(self, connection: RouteConnection) -> None:
        """Begin to send the subscriptions, and then what was kept."""
        self._connection = connection
        self.connects += 1
        self.decides_group_pushes = False
        self.subscriptions.connected(connection)
        self._renotify_timer = self._time.callLater(RENOTIFY_SECONDS[0], self._renotify, 1)
        self._step()

    def drained(self) -> None:
        """Continue to send what waits, since the router reads again."""
        self._schedule_step()

    def disconnected(self, reason: Failure) -> None:
        """Keep notifies and pushes from now on."""
        self._connection = None
        for timer in (self._renotify_timer, self._next_step):
            if timer is not None:
                timer.cancel()
        self._renotify_timer = self._next_step = None
        self.subscriptions.disconnected()
        # It is unknown whether the router forwarded them.
        self._notifies.requeue()
        self._group_notifies.requeue()
        self.log.warn(
            "router {address} is gone: {why}", address=self.address, why=reason.getErrorMessage()
        )

    def received(self, frame: Frame) -> None:
        """Handle a publication or a MARKED; `WireError` if the router sent it malformed."""
        if frame.cmd == route.MARKED:
            abilities = route.Marked.decode(frame.body, frame.version).abilities
            self.decides_group_pushes = bool(abilities & route.DECIDES_GROUP_PUSHES)
            self.subscriptions.answered()
            self._schedule_step()
            return
        publication = Publication.read(frame.body, frame.version)
        try:
            forward(self._subscriber, frame.cmd, publication)
        except WireError as why:
            # Another gateway sent the inner frame. It is not the router's fault.
            self._counters.add("publications_malformed")
            self._malformed.warn(
                self.address,
                "router {address} forwarded a malformed publication: {why}",
                address=self.address,
                why=why,
            )
