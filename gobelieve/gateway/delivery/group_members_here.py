"""The members of super groups who are here: telling them what is in the group's queue.

Which users are here, and who is in the group, are both known; whichever are fewer are gone
through. A large group is gone through in slices over several turns, and what comes for it meanwhile
waits its turn, so that everybody is told in the same order. What comes for a group that must be
loaded first waits likewise; if it cannot be loaded, only the newest id is remembered, and told as
soon as the group is there.
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
"""Users that are looked up in one turn: about a millisecond."""
MAX_WAITING_CALLS = 1000
"""So much may wait for a group; beyond that only the newest id is told."""
RETRY_SECONDS = 2.0
"""Seconds until a group that could not be loaded is tried again."""

Tell = Callable[[Session], None]


class _Call(NamedTuple):
    """Something that members are to be told."""

    tell: Tell
    except_session: Session | None
    key: int
    """The id in the group's queue that it is about; 0 for none."""


class _Waiting:
    """What a group is to be told, in order."""

    __slots__ = ("appid", "calls", "group_id", "newest", "now", "users")

    def __init__(self, appid: int, group_id: int) -> None:
        self.appid = appid
        self.group_id = group_id
        self.calls: deque[_Call] = deque()
        self.newest = 0
        """An id that was too much: it is told when all else is."""
        self.now: _Call | None = None
        self.users: Iterator[User] = iter(())
        """Who is still to be told of `now`."""

    def add(self, call: _Call) -> bool:
        """Let it wait; False if it is too much, and only its id will be told."""
        if len(self.calls) < MAX_WAITING_CALLS:
            self.calls.append(call)
            return True
        self.newest = max(self.newest, call.key)
        return False

    def keep_newest(self) -> None:
        """Of all that waits, keep the newest id alone."""
        self.newest = max([self.newest, *(call.key for call in self.calls)])
        self.calls.clear()

    def next(self) -> _Call | None:
        """What is told next."""
        if not self.calls and self.newest:
            key, self.newest = self.newest, 0
            self.calls.append(
                _Call(lambda session: session.notify_group(self.group_id, key), None, key)
            )
        return self.calls.popleft() if self.calls else None


class GroupMembersHere:
    """Tells the sessions of a group's members. `groups` is None where the site has none."""

    def __init__(self, groups: Groups | None, sessions: Sessions, world: World) -> None:
        self._groups = groups
        self._sessions = sessions
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._waiting: dict[tuple[int, int], _Waiting] = {}

    def tell(
        self, appid: int, group_id: int, tell: Tell, key: int, except_session: Session | None = None
    ) -> None:
        """Call `tell` with each session of a member, but one. `key`: the id in the group's queue
        that this is about, 0 if about none."""
        if self._groups is None:
            self._counters.add("publications_for_nobody")
            return
        call = _Call(tell, except_session, key)
        waiting = self._waiting.get((appid, group_id))
        if waiting is None:
            group = self._groups.loaded(group_id)
            if group is not None and self._lookups(group) <= USERS_PER_TURN:
                self._tell_at_once(appid, group, call)
                return
            waiting = self._waiting[appid, group_id] = _Waiting(appid, group_id)
            waiting.add(call)
            self._tasks.start(self._go_on(self._groups, waiting))
        elif not waiting.add(call):
            self._counters.add("group_messages_only_notified")

    def _tell_at_once(self, appid: int, group: Group, call: _Call) -> None:
        """All in this turn, in which nobody comes or goes."""
        if group.appid != appid:
            return
        sessions, tell, except_session = self._sessions, call.tell, call.except_session
        if len(group) <= len(sessions):
            for uid in group.members:
                for session in sessions.of((appid, uid)):
                    if session is not except_session:
                        tell(session)
        else:
            for user in sessions.users():
                self._tell(user, group, call)

    async def _go_on(self, groups: Groups, waiting: _Waiting) -> None:
        """Tell as much as goes into a turn, to whoever is a member in this one."""
        try:
            group = await groups.find(waiting.group_id)
        except BackendError:
            self._counters.add("groups_not_found_out")
            waiting.keep_newest()
            self._again(RETRY_SECONDS, groups, waiting)
            return
        finished = False
        try:
            finished = group is None or self._tell_slice(waiting, group)
        except Exception:
            # A bug. What it was about is given up, what waits behind it is not.
            waiting.now = None
            raise
        finally:
            if finished:
                del self._waiting[waiting.appid, waiting.group_id]
            else:
                self._again(0, groups, waiting)

    def _again(self, delay: float, groups: Groups, waiting: _Waiting) -> None:
        self._time.callLater(delay, lambda: self._tasks.start(self._go_on(groups, waiting)))

    def _tell_slice(self, waiting: _Waiting, group: Group) -> bool:
        """True when nothing waits any more."""
        room = USERS_PER_TURN
        while room > 0:
            if waiting.now is None:
                waiting.now = waiting.next()
                if waiting.now is None:
                    return True
                waiting.users = self._candidates(waiting.appid, group)
            some = list(islice(waiting.users, room))
            for user in some:
                self._tell(user, group, waiting.now)
            if len(some) < room:
                waiting.now = None
            room -= max(1, len(some))
        return False

    def _lookups(self, group: Group) -> int:
        return min(len(group), len(self._sessions))

    def _candidates(self, appid: int, group: Group) -> Iterator[User]:
        """Users of whom some are members who are here, and who are all of these."""
        if group.appid != appid:
            return iter(())
        # Copies: both change between turns.
        if len(group) <= len(self._sessions):
            return map(User, repeat(appid), list(group.members))
        return iter(list(self._sessions.users()))

    def _tell(self, user: User, group: Group, call: _Call) -> None:
        if user.uid in group and user.appid == group.appid:
            for session in self._sessions.of(user):
                if session is not call.except_session:
                    call.tell(session)
