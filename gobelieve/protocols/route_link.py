"""The gateway's link to one router.

On every new connection the gateway says again whom it holds, some in a turn, and ends with a MARK.
While a router is away, or does not read, nothing waits for it: notifies are kept, one a queue,
phone pushes are kept up to a bound, and what is live is dropped and counted. What was kept goes
out behind the resubscription, pushes once it is in effect, and notifies once more when the other
gateways have had the time to come back too.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import WireError
from gobelieve.interfaces import Cancellable, Subscriber, Time, Turn
from gobelieve.metrics import Tally
from gobelieve.names import Room, User
from gobelieve.protocols.kept_notifies import AGAIN, of_groups, of_users
from gobelieve.protocols.kept_pushes import KeptPushes
from gobelieve.protocols.marks import Marks
from gobelieve.protocols.route_connection import RouteConnection, group_question, wide_pushes
from gobelieve.protocols.unsaid import ID, SUBSCRIBE, Unsaid, id_frame
from gobelieve.routing.published import hand_on
from gobelieve.wire import client, route
from gobelieve.wire.frames import Frame

Id = TypeVar("Id", User, Room)
Missed = Callable[[Collection[User] | None], None]
"""Told of users whose publications may have got lost; None: of all who belong to the router."""
SLICE = 2000
"""So many users are said again, or kept things sent, in one turn: 3 ms."""


class RouteLink(Factory):
    """What goes to and comes from one router, over one connection after another."""

    log = Logger()
    noisy = False

    _unsaid: Unsaid
    _subscriber: Subscriber
    _missed: Missed

    def __init__(self, address: str, turn: Turn, time: Time, tally: Tally) -> None:
        self.address = address
        self.decides_group_pushes = False
        """Whether the router finds out itself who of a super group gets a push."""
        self._turn = turn
        self._time = time
        self._tally = tally
        self._connection: RouteConnection | None = None
        self._marks = Marks(turn, time, self._mark_due, self._unanswered)
        self._resaid = False
        """Whether this connection was told of everybody, with a MARK behind it."""
        self._in_effect = False
        """Whether the resubscription is in effect, as far as can be known."""
        self._kept = of_users(tally)
        self._kept_of_groups = of_groups(tally)
        self._pushes = KeptPushes(tally)
        self._early: dict[User, None] = {}
        """Who was not waited for, while the router did not read."""
        self._again: Cancellable | None = None
        self._step: Cancellable | None = None

    def attach(self, unsaid: Unsaid, subscriber: Subscriber, missed: Missed) -> None:
        """Before the first connection: whom to say again, who is told what comes, and what not."""
        self._unsaid = unsaid
        self._subscriber = subscriber
        self._missed = missed

    def buildProtocol(self, addr: IAddress | None) -> RouteConnection:
        return RouteConnection(self._turn, self)

    # --- who is here

    def subscribe(self, user: User, online: bool) -> None:
        """Say that the user is here. Away routers learn it when they are back."""
        connection = self._connection
        if connection is None or user in self._unsaid.users:
            return
        if connection.takes(SUBSCRIBE.size):
            self._marks.said = True
            seq = connection.next_seq()
            frame = SUBSCRIBE.pack(
                17, seq, route.SUBSCRIBE, route.OUTER_VERSION, 0, 0, *user, online
            )
            connection.send(frame)
        else:
            self._leave_for_later(user, self._unsaid.users)

    def unsubscribe(self, user: User) -> None:
        """Say that the user is gone."""
        self._say_id(route.UNSUBSCRIBE, user, self._unsaid.users)

    def room(self, cmd: int, room: Room) -> None:
        """Say SUBSCRIBE_ROOM or UNSUBSCRIBE_ROOM."""
        self._say_id(cmd, room, self._unsaid.rooms)

    def _say_id(self, cmd: int, id_: Id, unsaid: dict[Id, None]) -> None:
        connection = self._connection
        if connection is None or id_ in unsaid:
            return
        if connection.takes(ID.size):
            self._marks.said = True
            connection.send(id_frame(cmd, connection.next_seq(), id_))
        else:
            self._leave_for_later(id_, unsaid)

    def _leave_for_later(self, id_: Id, among: dict[Id, None]) -> None:
        """When the router reads again it is looked at, and a MARK goes behind it."""
        among[id_] = None
        self._resaid = False
        self._marks.said = True

    def when_known(self, known: Callable[[], None], user: User | None = None) -> None:
        """Call when all this is in effect; see `gobelieve.interfaces.Routing`."""
        connection = self._connection
        if connection is not None and not connection.congested:
            self._marks.wait(known)
            return
        if connection is not None and user is not None:
            self._leave_for_later(user, self._early)
        known()

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
            self._tally.add("live_dropped")
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
        if self._unsaid:
            self._marks.said = True
            connection.send(self._unsaid.take(SLICE, connection.next_seq))
        elif not self._resaid:
            self._resaid = True
            self._mark(partial(self._said_now_known, connection, self._early))
            self._early = {}
        elif self._kept or self._kept_of_groups:
            self._notify_some()
        elif self._pushes and self._in_effect:
            self._push_some(connection)
        else:
            return
        self._go_on()

    def _notify_some(self) -> None:
        for _ in range(min(SLICE, len(self._kept))):
            (appid, uid), key = self._kept.take()
            self.publish(User(appid, uid), client.SyncNotify.number, key.to_bytes(8, "big"))
        for _ in range(min(SLICE, len(self._kept_of_groups))):
            group, key = self._kept_of_groups.take()
            notify = client.SyncGroupNotify(group_id=group[1], sync_key=key)
            self.publish_group(group, notify.number, notify.encode(), 0, 0, 0)

    def _push_some(self, connection: RouteConnection) -> None:
        length = 0
        while self._pushes and length < 1 << 18:
            cmd, body = self._pushes.take()
            length += len(body)
            if cmd == route.PUBLISH_GROUP and not self.decides_group_pushes:
                # It could when it was asked, before it went.
                self._tally.add("pushes_dropped")
            else:
                connection.say(cmd, body)

    def _tell_again(self, times: int) -> None:
        self._again = None
        if times < len(AGAIN):
            self._again = self._time.callLater(AGAIN[times], self._tell_again, times + 1)
        self._kept.again()
        self._kept_of_groups.again()
        self._go_on()

    # --- marks

    def _mark_due(self) -> None:
        # Before all is said again the MARK would tell the router that it is; then it follows it.
        if self._resaid:
            self._mark()

    def _mark(self, known: Callable[[], None] | None = None) -> None:
        if self._connection is not None:
            self._connection.say(route.MARK, b"")
            self._marks.sent(known)

    def _unanswered(self) -> None:
        self._tally.add("marks_unanswered")
        self.log.info(
            "router {address} does not answer marks: logins do not wait for it",
            address=self.address,
        )

    def _said_now_known(self, connection: RouteConnection, early: Collection[User]) -> None:
        """All is in effect that was said before a MARK; those in `early` went on before it was."""
        if connection is not self._connection:
            return
        if not self._in_effect:
            self._in_effect = True
            self.log.info("router {address} is connected", address=self.address)
            self._missed(None)
            self._go_on()
        elif early:
            self._missed(early)

    # --- told by the connection

    def connected(self, connection: RouteConnection) -> None:
        """Tell the router who is here, and what was kept."""
        self._connection = connection
        self._resaid = self._in_effect = False
        self.decides_group_pushes = False
        self._marks.said = True
        self._unsaid.add_all()
        self._again = self._time.callLater(AGAIN[0], self._tell_again, 1)
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
        self._unsaid.clear()
        self._early = {}
        self._marks.lost()
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
            was_late = not self._marks.patient
            self._marks.answered()
            if was_late:
                # Nobody was waited for meanwhile: as after an absence.
                self._in_effect = self._resaid = False
                self._go_on()
            return
        publication = route.Publication.read(frame.body, frame.version)
        try:
            hand_on(self._subscriber, frame.cmd, publication)
        except WireError as why:
            # The frame came through the router from another gateway: not the link's fault.
            self._tally.add("publications_malformed")
            self.log.warn("a publication makes no sense: {why}", why=why)
