"""The gateway's link to one router.

Who is here is for `subscriptions` to say. While a router is away, or does not read, nothing waits
for it: notifies are kept, one a queue, phone pushes are kept up to a bound, and what is live is
dropped and counted. What was kept goes out behind the resubscription, some in a turn: pushes once
it is in effect, and notifies once more when the other gateways have had the time to come back too.
"""

from collections.abc import Callable, Collection, Sequence

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import WireError
from gobelieve.interfaces import Cancellable, Subscriber, Time, Turn
from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.protocols.router.backlog import RENOTIFY_SECONDS, PushBacklog, of_groups, of_users
from gobelieve.protocols.router.connection import RouteConnection, group_question, wide_pushes
from gobelieve.protocols.router.pending_subscriptions import PendingSubscriptions
from gobelieve.protocols.router.subscriptions import Subscriptions
from gobelieve.routing.published import forward
from gobelieve.wire import client, route
from gobelieve.wire.frames import Frame
from gobelieve.wire.publication import Publication

Missed = Callable[[Collection[User] | None], None]
"""Told of users whose publications may have got lost; None: of all who belong to the router."""
NOTIFIES_PER_TURN = 2000
"""So many kept notifies are sent in one turn: 4 ms."""
PUSH_BYTES_PER_TURN = 256 << 10
"""So many bytes of kept pushes are."""


class RouteLink(Factory):
    """What goes to and comes from one router, over one connection after another."""

    log = Logger()
    noisy = False

    subscriptions: Subscriptions
    """What it is told of who is here."""
    _subscriber: Subscriber
    _missed: Missed

    def __init__(self, address: str, turn: Turn, time: Time, counters: Counters) -> None:
        self.address = address
        self.decides_group_pushes = False
        """Whether the router finds out itself who of a super group gets a push."""
        self._turn = turn
        self._time = time
        self.connects = 0
        """How often it was connected."""
        self._counters = counters
        self._connection: RouteConnection | None = None
        self._kept = of_users(counters)
        self._kept_of_groups = of_groups(counters)
        self._pushes = PushBacklog(counters)
        self._again: Cancellable | None = None
        self._step: Cancellable | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it is there."""
        return self._connection is not None

    @property
    def kept(self) -> tuple[int, int]:
        """How many notifies and how many pushes wait for it."""
        return len(self._kept) + len(self._kept_of_groups), len(self._pushes)

    def attach(self, pending: PendingSubscriptions, subscriber: Subscriber, missed: Missed) -> None:
        """Before the first connection: whom to say again, who is told what comes, and what not."""
        self.subscriptions = Subscriptions(
            self._turn, self._time, pending, self._in_effect, self._unanswered
        )
        self._subscriber = subscriber
        self._missed = missed

    def buildProtocol(self, addr: IAddress | None) -> RouteConnection:
        return RouteConnection(self._turn, self)

    # --- what is for others

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        """See `gobelieve.interfaces.Routing`."""
        connection = self._connection
        if connection is None or not connection.takes(len(body)):
            self._kept.keep(user, cmd, body, msgid)
            return
        if self._again is not None:
            self._kept.told(user, cmd, body, msgid)
        now = self._time.seconds()
        connection.publish(route.PUBLISH, user, cmd, body, flag, msgid, prev, now)

    def publish_group(
        self, group: tuple[int, int], cmd: int, body: bytes, flag: int, msgid: int, prev: int
    ) -> None:
        """The same for a super group, (appid, id)."""
        connection = self._connection
        if connection is None or not connection.takes(len(body)):
            self._kept_of_groups.keep(group, cmd, body, msgid)
            return
        if self._again is not None:
            self._kept_of_groups.told(group, cmd, body, msgid)
        now = self._time.seconds()
        connection.publish(route.PUBLISH_GROUP, group, cmd, body, flag, msgid, prev, now)

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int) -> None:
        """The same for a room, where everything is live."""
        connection = self._connection
        if connection is None or not connection.takes(len(body)):
            self._counters.add("live_dropped")
        else:
            now = self._time.seconds()
            connection.publish(route.PUBLISH_ROOM, room, cmd, body, flag, 0, 0, now)

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        """See `gobelieve.interfaces.Routing`."""
        connection = self._ready(len(body))
        if len(receivers) == 1 and connection is not None:
            connection.push(appid, receivers[0], cmd, body)
            return
        for wide in wide_pushes(appid, receivers, cmd, body):
            if connection is not None:
                connection.say(route.PUSH, wide)
            else:
                self._pushes.keep(route.PUSH, wide)

    def ask_for_pushes(self, group: tuple[int, int], cmd: int, body: bytes) -> None:
        """Let the router push to the members of a super group."""
        question = group_question(group, cmd, body, self._time.seconds())
        connection = self._ready(len(question))
        if connection is not None:
            connection.say(route.PUBLISH_GROUP, question)
        else:
            self._pushes.keep(route.PUBLISH_GROUP, question)

    def _ready(self, length: int) -> RouteConnection | None:
        """The connection, unless a push of this length must wait, for others that wait too."""
        connection = self._connection
        if connection is None or self._pushes:
            return None
        return connection if connection.takes(length) else None

    # --- what waits is said bit by bit

    def _go_on(self) -> None:
        if self._step is None:
            self._step = self._time.callLater(0, self._say_some)

    def _say_some(self) -> None:
        """One slice of what waits; the next in a later turn, or when the router reads again."""
        self._step = None
        connection = self._connection
        if connection is None or connection.congested:
            return
        if not self.subscriptions.say_some(connection):
            if self._kept or self._kept_of_groups:
                self._notify_some()
            elif self._pushes and self.subscriptions.in_effect:
                self._push_some(connection)
            else:
                return
        self._go_on()

    def _notify_some(self) -> None:
        for _ in range(min(NOTIFIES_PER_TURN, len(self._kept))):
            (appid, uid), key = self._kept.take()
            self.publish(User(appid, uid), client.SyncNotify.number, key.to_bytes(8, "big"))
        for _ in range(min(NOTIFIES_PER_TURN, len(self._kept_of_groups))):
            group, key = self._kept_of_groups.take()
            notify = client.SyncGroupNotify(group_id=group[1], sync_key=key)
            self.publish_group(group, notify.number, notify.encode(), 0, 0, 0)

    def _push_some(self, connection: RouteConnection) -> None:
        length = 0
        while self._pushes and length < PUSH_BYTES_PER_TURN:
            cmd, body = self._pushes.take()
            length += len(body)
            if cmd == route.PUBLISH_GROUP and not self.decides_group_pushes:
                # It could when it was asked, before it went.
                self._counters.add("pushes_dropped")
            else:
                connection.say(cmd, body)

    def _tell_again(self, times: int) -> None:
        self._again = None
        if times < len(RENOTIFY_SECONDS):
            self._again = self._time.callLater(RENOTIFY_SECONDS[times], self._tell_again, times + 1)
        self._kept.again()
        self._kept_of_groups.again()
        self._go_on()

    # --- told by the presence

    def _in_effect(self, early: Collection[User] | None) -> None:
        if early is None:
            self.log.info("router {address} is connected", address=self.address)
        self._missed(early)
        self._go_on()

    def _unanswered(self) -> None:
        self._counters.add("marks_unanswered")
        self.log.info(
            "router {address} does not answer marks: logins do not wait for it",
            address=self.address,
        )

    # --- told by the connection

    def connected(self, connection: RouteConnection) -> None:
        """Tell the router who is here, and what was kept."""
        self._connection = connection
        self.connects += 1
        self.decides_group_pushes = False
        self.subscriptions.connected(connection)
        self._again = self._time.callLater(RENOTIFY_SECONDS[0], self._tell_again, 1)
        self._say_some()

    def drained(self) -> None:
        """Go on."""
        self._go_on()

    def disconnected(self, reason: Failure) -> None:
        """From now on things are kept."""
        self._connection = None
        for timer in (self._again, self._step):
            if timer is not None:
                timer.cancel()
        self._again = self._step = None
        self.subscriptions.disconnected()
        # Nobody knows whom it told of these.
        self._kept.again()
        self._kept_of_groups.again()
        self.log.warn(
            "router {address} is gone: {why}", address=self.address, why=reason.getErrorMessage()
        )

    def received(self, frame: Frame) -> None:
        """Another gateway publishes, or a MARK is answered. Raises `WireError` if it makes no
        sense."""
        if frame.cmd == route.MARKED:
            abilities = route.Marked.decode(frame.body, frame.version).abilities
            self.decides_group_pushes = bool(abilities & route.DECIDES_GROUP_PUSHES)
            self.subscriptions.answered()
            self._go_on()
            return
        publication = Publication.read(frame.body, frame.version)
        try:
            forward(self._subscriber, frame.cmd, publication)
        except WireError as why:
            # The frame came through the router from another gateway: not the link's fault.
            self._counters.add("publications_malformed")
            self.log.warn("a publication makes no sense: {why}", why=why)
