"""What one router is told of who is at this gateway, and whether it knows.

On a new connection everything is said again, some in a turn, with a MARK behind it. After that
whatever changes is said at once, unless the router does not read: then later, as it is by then, and
again with a MARK behind it.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from gobelieve.interfaces import Time, Turn
from gobelieve.names import Room, User
from gobelieve.protocols.router.confirmations import Confirmations
from gobelieve.protocols.router.connection import RouteConnection
from gobelieve.protocols.router.pending_subscriptions import (
    ID,
    SUBSCRIBE,
    PendingSubscriptions,
    id_frame,
)
from gobelieve.wire import route

Id = TypeVar("Id", User, Room)
InEffect = Callable[[Collection[User] | None], None]
"""Called when it is in effect what was said after an absence (None), or of these users, who went
on before it was. What others published until then did not come."""
USERS_PER_TURN = 2000
"""So many users are said again in one turn: 3 ms."""


class Subscriptions:
    """For one router, over one connection after another. `unanswered`: it does not answer marks."""

    def __init__(
        self,
        turn: Turn,
        time: Time,
        pending: PendingSubscriptions,
        in_effect: InEffect,
        unanswered: Callable[[], None],
    ) -> None:
        self._connection: RouteConnection | None = None
        self._pending = pending
        self._confirmations = Confirmations(turn, time, self._mark_due, unanswered)
        self._tell_in_effect = in_effect
        self._all_said = False
        """Whether nobody is left unsaid, and a MARK is behind it."""
        self._early: dict[User, None] = {}
        """Who was not waited for, since the router did not read."""
        self.in_effect = False
        """Whether the router knows who is here, as far as can be known."""

    def subscribe(self, user: User, online: bool) -> None:
        """Say that the user is here. Away routers learn it when they are back."""
        connection = self._connection
        if connection is None or user in self._pending.users:
            return
        if connection.takes(SUBSCRIBE.size):
            self._confirmations.said = True
            seq = connection.next_seq()
            frame = SUBSCRIBE.pack(
                17, seq, route.SUBSCRIBE, route.OUTER_VERSION, 0, 0, *user, online
            )
            connection.send(frame)
        else:
            self._leave_for_later(user, self._pending.users)

    def unsubscribe(self, user: User) -> None:
        """Say that the user is gone."""
        self._say_id(route.UNSUBSCRIBE, user, self._pending.users)

    def room(self, cmd: int, room: Room) -> None:
        """Say SUBSCRIBE_ROOM or UNSUBSCRIBE_ROOM."""
        self._say_id(cmd, room, self._pending.rooms)

    def when_known(self, known: Callable[[], None], user: User | None = None) -> None:
        """Call when all this is in effect; see `gobelieve.interfaces.Routing`."""
        connection = self._connection
        if connection is not None and not connection.congested:
            self._confirmations.wait(known)
            return
        if connection is not None and user is not None:
            self._leave_for_later(user, self._early)
        known()

    def _say_id(self, cmd: int, id_: Id, pending: dict[Id, None]) -> None:
        connection = self._connection
        if connection is None or id_ in pending:
            return
        if connection.takes(ID.size):
            self._confirmations.said = True
            connection.send(id_frame(cmd, connection.next_seq(), id_))
        else:
            self._leave_for_later(id_, pending)

    def _leave_for_later(self, id_: Id, among: dict[Id, None]) -> None:
        among[id_] = None
        self._all_said = False
        self._confirmations.said = True

    # --- told by the link

    def connected(self, connection: RouteConnection) -> None:
        """Everything has to be said."""
        self._connection = connection
        self._all_said = self.in_effect = False
        self._confirmations.said = True
        self._pending.add_all()

    def disconnected(self) -> None:
        """Nothing can be said, nothing has to be waited for."""
        self._connection = None
        self._early = {}
        self._pending.clear()
        self._confirmations.lost()

    def say_some(self, connection: RouteConnection) -> bool:
        """Say a slice of what is left unsaid, or the MARK behind it; False if all is said."""
        if self._pending:
            self._confirmations.said = True
            connection.send(self._pending.take(USERS_PER_TURN, connection.next_seq))
        elif not self._all_said:
            self._all_said = True
            self._mark(partial(self._known, connection, self._early))
            self._early = {}
        else:
            return False
        return True

    def answered(self) -> None:
        """MARKED came; `BodyError` if it was not asked for."""
        was_late = not self._confirmations.patient
        self._confirmations.answered()
        if was_late:
            # Nobody was waited for meanwhile: as after an absence, one more MARK will tell.
            self.in_effect = self._all_said = False

    def _known(self, connection: RouteConnection, early: Collection[User]) -> None:
        if connection is not self._connection:
            return
        if not self.in_effect:
            self.in_effect = True
            self._tell_in_effect(None)
        elif early:
            self._tell_in_effect(early)

    def _mark_due(self) -> None:
        # A MARK before all is said would tell the router that it is. The one behind it will do.
        if self._all_said:
            self._mark()

    def _mark(self, known: Callable[[], None] | None = None) -> None:
        if self._connection is not None:
            self._connection.say(route.MARK, b"")
            self._confirmations.sent(known)
