"""The subscriptions of this gateway at one router.

On a new connection all users and rooms are sent, some per turn, with a MARK after them. From then
on each change is sent at once. While the router does not read, changes are postponed. When it reads
again their latest state is sent, and again a MARK after them.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from gobelieve.interfaces import World
from gobelieve.names import Room, User
from gobelieve.protocols.router.confirmations import Confirmations
from gobelieve.protocols.router.connection import RouteConnection
from gobelieve.protocols.router.pending_subscriptions import (
    ID,
    SUBSCRIBE,
    PendingSubscriptions,
    id_frame,
)
from gobelieve.protocols.router.subscription_states import NEXT, Event, State
from gobelieve.wire import route

Id = TypeVar("Id", User, Room)
InEffect = Callable[[Collection[User] | None], None]
"""Called when subscriptions are in effect: with None after a resubscription, or else with the users
who did not wait for the router. Publications for them did not arrive until now."""
USERS_PER_TURN = 2000
"""The number of users and rooms that are sent in one turn; it takes 3 ms."""


class Subscriptions:
    """The subscriptions at one router, over one connection after another.

    `unanswered` is called when the router leaves a MARK unanswered for `MARK_TIMEOUT`.
    """

    def __init__(
        self,
        world: World,
        pending: PendingSubscriptions,
        *,
        in_effect: InEffect,
        unanswered: Callable[[], None],
    ) -> None:
        self.state = State.ABSENT
        self._connection: RouteConnection | None = None
        self._pending = pending
        self._confirmations = Confirmations(world, due=self._mark_due, unanswered=unanswered)
        self._report_in_effect = in_effect
        self._early: dict[User, None] = {}
        """Users who did not wait for the router, since it did not read."""
        self._round = object()
        """Identifies the present resubscription: the MARK of another one confirms nothing."""

    @property
    def in_effect(self) -> bool:
        """True if the router knows the users and rooms, as far as it can be known."""
        return self.state in (State.IN_EFFECT, State.BEHIND)

    # --- called by the pool

    def subscribe(self, user: User, online: bool) -> None:
        """Report that this gateway has the user. An absent router learns it later."""
        connection = self._connection
        if connection is None or user in self._pending.users:
            return
        if connection.has_room_for(SUBSCRIBE.size):
            self._confirmations.is_needed = True
            seq = connection.next_seq()
            frame = SUBSCRIBE.pack(
                17, seq, route.SUBSCRIBE, route.OUTER_VERSION, 0, 0, *user, online
            )
            connection.send(frame)
        else:
            self._postpone(user, self._pending.users)

    def unsubscribe(self, user: User) -> None:
        """Report that this gateway no longer has the user."""
        self._send_id(route.UNSUBSCRIBE, user, self._pending.users)

    def subscribe_room(self, room: Room) -> None:
        """Report that a client of this gateway is in the room."""
        self._send_id(route.SUBSCRIBE_ROOM, room, self._pending.rooms)

    def unsubscribe_room(self, room: Room) -> None:
        """Report that no client of this gateway is in the room any longer."""
        self._send_id(route.UNSUBSCRIBE_ROOM, room, self._pending.rooms)

    def when_known(self, known: Callable[[], None], user: User | None = None) -> None:
        """Call `known` when all that was reported is in effect.

        It is called at once if the router is absent or does not read. In the second case the user
        is reported as one who did not wait; see `InEffect`.
        """
        connection = self._connection
        if connection is not None and not connection.congested:
            self._confirmations.wait(known)
            return
        if connection is not None and user is not None:
            self._postpone(user, self._early)
        known()

    # --- called by the link

    def connected(self, connection: RouteConnection) -> None:
        """Begin to send all users and rooms over a new connection."""
        self._connection = connection
        self._move(Event.CONNECTED)
        self._round = object()
        self._confirmations.is_needed = True
        self._pending.add_all()

    def disconnected(self) -> None:
        """Release everything that waits for the router."""
        self._connection = None
        self._move(Event.DISCONNECTED)
        self._early = {}
        self._pending.clear()
        self._confirmations.disconnected()

    def send_some(self, connection: RouteConnection) -> bool:
        """Send some of what is pending, or the MARK after it. Return False if all is sent."""
        if self._pending:
            self._confirmations.is_needed = True
            connection.send(self._pending.take(USERS_PER_TURN, connection.next_seq))
        elif not self._is_all_sent:
            self._move(Event.ALL_SENT)
            self._mark(partial(self._confirmed, self._round, self._early))
            self._early = {}
        else:
            return False
        return True

    def answered(self) -> None:
        """Handle a MARKED; `BodyError` if no MARK is unanswered."""
        was_late = not self._confirmations.is_prompt
        self._confirmations.answered()
        if was_late:
            # Nobody waited for the router meanwhile. As after an absence, one more MARK shows when
            # everything is in effect.
            self._move(Event.ANSWERED_LATE)
            self._round = object()

    # ---

    @property
    def _is_all_sent(self) -> bool:
        return self.state in (State.UNCONFIRMED, State.IN_EFFECT)

    def _move(self, event: Event) -> None:
        self.state = NEXT[self.state][event]

    def _send_id(self, cmd: int, id_: Id, pending: dict[Id, None]) -> None:
        connection = self._connection
        if connection is None or id_ in pending:
            return
        if connection.has_room_for(ID.size):
            self._confirmations.is_needed = True
            connection.send(id_frame(cmd, connection.next_seq(), id_))
        else:
            self._postpone(id_, pending)

    def _postpone(self, id_: Id, postponed: dict[Id, None]) -> None:
        postponed[id_] = None
        self._move(Event.POSTPONED)
        self._confirmations.is_needed = True

    def _confirmed(self, round_: object, early: Collection[User]) -> None:
        if self._connection is None or round_ is not self._round:
            return
        was_in_effect = self.in_effect
        self._move(Event.CONFIRMED)
        if not was_in_effect:
            self._report_in_effect(None)
        elif early:
            self._report_in_effect(early)

    def _mark_due(self) -> None:
        # The router takes the first MARK for the end of the resubscription. So none is sent before,
        # and the MARK at the end serves everybody who waits.
        if self._is_all_sent:
            self._mark()

    def _mark(self, known: Callable[[], None] | None = None) -> None:
        if self._connection is not None:
            self._connection.send_frame(route.MARK, b"")
            self._confirmations.sent(known)
