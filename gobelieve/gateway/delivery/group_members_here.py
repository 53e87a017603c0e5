"""Delivery to the members of a super group who are connected here.

The gateway goes through the members of the group or through its own users, whichever are fewer. It
goes through a large group over several turns of the event loop. Deliveries for the group that come
meanwhile wait, so that all members get them in the same order. Deliveries also wait for a group
that must be loaded first. If it cannot be loaded, only the newest id is kept, and the members are
notified of it once the group is loaded.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import NamedTuple

from gobelieve.errors import BackendError
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Group, Groups, World
from gobelieve.names import User

USERS_PER_TURN = 5000
"""Users who are looked up per turn of the event loop; this takes about a millisecond."""
MAX_WAITING_CALLS = 1000
"""Deliveries that may wait per group; beyond that members are notified of the newest id only."""
RETRY_SECONDS = 2.0
"""Seconds until a group that could not be loaded is tried again."""

Deliver = Callable[[Session], None]


class _Call(NamedTuple):
    """A delivery to the members of a group."""

    deliver: Deliver
    except_session: Session | None
    key: int
    """The id of the message in the group's queue; 0 if it is not stored."""


class _Waiting:
    """The deliveries that wait for a group, in order."""

    __slots__ = ("appid", "calls", "group_id", "newest", "now", "users")

    def __init__(self, appid: int, group_id: int) -> None:
        self.appid = appid
        self.group_id = group_id
        self.calls: deque[_Call] = deque()
        self.newest = 0
        """The id of a delivery that was dropped; members are notified of it after all others."""
        self.now: _Call | None = None
        self.users: Iterator[User] = iter(())
        """The users who may still have to get `now`."""

    def add(self, call: _Call) -> bool:
        """Add a delivery. Return False if there are too many; then only its id is kept."""
        if len(self.calls) < MAX_WAITING_CALLS:
            self.calls.append(call)
            return True
        self.newest = max(self.newest, call.key)
        return False

    def keep_newest(self) -> None:
        """Drop all deliveries and keep the newest of their ids."""
        self.newest = max([self.newest, *(call.key for call in self.calls)])
        self.calls.clear()

    def next(self) -> _Call | None:
        """Return the delivery whose turn it is; None if there is none."""
        if not self.calls and self.newest:
            key, self.newest = self.newest, 0
            self.calls.append(
                _Call(lambda session: session.notify_group(self.group_id, key), None, key)
            )
        return self.calls.popleft() if self.calls else None


class GroupMembersHere:
    """Delivers to the sessions of a group's members. `groups` is None where the site has none."""

    def __init__(self, groups: Groups | None, sessions: Sessions, world: World) -> None:
        self._groups = groups
        self._sessions = sessions
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._waiting: dict[tuple[int, int], _Waiting] = {}

    def deliver(
        self,
        appid: int,
        group_id: int,
        deliver: Deliver,
        key: int,
        except_session: Session | None = None,
    ) -> None:
        """Call `deliver` with each session of a member, but not with `except_session`.

        `key` is the id of the message in the group's queue; 0 if it is not stored.
        """
        if self._groups is None:
            self._counters.add("publications_for_nobody")
            return
        call = _Call(deliver, except_session, key)
        waiting = self._waiting.get((appid, group_id))
        if waiting is None:
            group = self._groups.loaded(group_id)
            if group is not None and self._lookups(group) <= USERS_PER_TURN:
                self._deliver_at_once(appid, group, call)
                return
            waiting = self._waiting[appid, group_id] = _Waiting(appid, group_id)
            waiting.add(call)
            self._tasks.start(self._continue(self._groups, waiting))
        elif not waiting.add(call):
            self._counters.add("group_messages_only_notified")

    def _deliver_at_once(self, appid: int, group: Group, call: _Call) -> None:
        """Deliver to all members in this turn, in which no session begins or ends."""
        if group.appid != appid:
            return
        sessions, deliver, except_session = self._sessions, call.deliver, call.except_session
        if len(group) <= len(sessions):
            for uid in group.members:
                for session in sessions.of((appid, uid)):
                    if session is not except_session:
                        deliver(session)
        else:
            for user in sessions.users():
                self._deliver_to(user, group, call)

    async def _continue(self, groups: Groups, waiting: _Waiting) -> None:
        """Deliver as much as fits into a turn, to those who are members now."""
        try:
            group = await groups.find(waiting.group_id)
        except BackendError:
            self._counters.add("groups_not_found_out")
            waiting.keep_newest()
            self._continue_later(RETRY_SECONDS, groups, waiting)
            return
        finished = False
        try:
            finished = group is None or self._deliver_some(waiting, group)
        except Exception:
            # A bug: this delivery is given up; those that wait behind it are not.
            waiting.now = None
            raise
        finally:
            if finished:
                del self._waiting[waiting.appid, waiting.group_id]
            else:
                self._continue_later(0, groups, waiting)

    def _continue_later(self, delay: float, groups: Groups, waiting: _Waiting) -> None:
        self._time.callLater(delay, lambda: self._tasks.start(self._continue(groups, waiting)))

    def _deliver_some(self, waiting: _Waiting, group: Group) -> bool:
        """Return True if no delivery waits any longer."""
        room = USERS_PER_TURN
        while room > 0:
            if waiting.now is None:
                waiting.now = waiting.next()
                if waiting.now is None:
                    return True
                waiting.users = self._candidates(waiting.appid, group)
            some = list(islice(waiting.users, room))
            for user in some:
                self._deliver_to(user, group, waiting.now)
            if len(some) < room:
                waiting.now = None
            room -= max(1, len(some))
        return False

    def _lookups(self, group: Group) -> int:
        return min(len(group), len(self._sessions))

    def _candidates(self, appid: int, group: Group) -> Iterator[User]:
        """Return users among whom all members are who are connected here."""
        if group.appid != appid:
            return iter(())
        # Copies: both change between turns.
        if len(group) <= len(self._sessions):
            return map(User, repeat(appid), list(group.members))
        return iter(list(self._sessions.users()))

    def _deliver_to(self, user: User, group: Group, call: _Call) -> None:
        if user.uid in group and user.appid == group.appid:
            for session in self._sessions.of(user):
                if session is not call.except_session:
                    call.deliver(session)
