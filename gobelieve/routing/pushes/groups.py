"""Pushes of a super group's messages: to its members, except the sender, who are online nowhere.

A loaded, small group is decided at once. Other messages of a group wait in one queue per group,
which keeps their order. The queue waits until the group is found, with retries while the database
is unavailable. Then its members are checked in batches, with other work of the router in between.
No other group waits for it, and nothing else that the router does.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from gobelieve.errors import BackendError
from gobelieve.interfaces import Group, Groups, World
from gobelieve.routing.pushes.decisions import Decisions
from gobelieve.routing.pushes.payloads import RECEIVERS_PER_ITEM, inner_frame
from gobelieve.support.backoff import Backoff
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.support.when_empty import WhenEmpty
from gobelieve.wire.message import MESSAGES, STORED, pushed_as

FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds from a failure to the next try; the delay doubles from the first to the last."""
MAX_TRIES = 12
"""Failed tries, which take half a minute, after which a message's pushes are given up."""


class GroupPush(NamedTuple):
    """A message of a group whose pushes are to be decided."""

    appid: int
    sender: int
    inner: bytes


class _Queue:
    """The messages of one group that wait; the first of them is being decided."""

    __slots__ = ("backoff", "checked", "group_id", "members", "pushes")

    def __init__(self, group_id: int) -> None:
        self.group_id = group_id
        self.pushes: deque[GroupPush] = deque()
        self.backoff = Backoff(FIRST_DELAY, LAST_DELAY)
        self.members: Sequence[int] = ()
        """The members of the group when the check for the first message began."""
        self.checked = 0
        """The number of these members who are checked."""


class GroupPushes:
    """Decides on the pushes of groups.

    `limit`: the most messages that may wait; further ones are dropped and counted.
    """

    def __init__(self, groups: Groups, decisions: Decisions, *, world: World, limit: int) -> None:
        self._groups = groups
        self._decisions = decisions
        self._limit = limit
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._log = world.log
        self._throttled = ThrottledLog(world.log)
        self._queues: dict[int, _Queue] = {}
        self._waiting = 0
        self.when_none = WhenEmpty(self)
        """Takes a call that is made once no message waits."""

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return self._waiting

    def ask(self, appid: int, group_id: int, inner: bytes) -> None:
        """Push the inner frame to the group's members who are to get it.

        `BodyError` if the frame is malformed.
        """
        frame = inner_frame(inner)
        kind = pushed_as(frame.cmd)
        if kind is None or not kind.to_members:
            self._counters.add("pushes_of_no_kind")
            return
        message = MESSAGES[frame.cmd].decode(frame.body, frame.version)
        sender = getattr(message, STORED[frame.cmd].facts.author.uid)
        push = GroupPush(appid, sender, inner)
        if self._decisions.pushes is None:
            return
        grace = self._decisions.grace
        if grace.active and grace.of_everybody:
            # Nearly all members are in doubt: it costs less to keep one decision for all of them.
            grace.keep(1, len(inner), partial(self._add, group_id, push))
        else:
            self._add(group_id, push)

    def stop(self) -> None:
        """Decide on the groups that are loaded; drop and count the other messages."""
        lost = 0
        queues, self._queues = self._queues, {}
        for queue in queues.values():
            if queue.members:
                while queue.checked < len(queue.members):
                    self._check_some(queue)
                queue.pushes.popleft()
            group = self._groups.loaded(queue.group_id)
            for push in queue.pushes:
                if group is None:
                    lost += 1
                else:
                    self._decide(group, push)
        self._waiting = 0
        if lost:
            self._counters.add("group_pushes_lost", lost)
            self._log.warn("{count} pushes of groups are lost at the stop", count=lost)

    # --- one message after another

    def _add(self, group_id: int, push: GroupPush) -> None:
        queue = self._queues.get(group_id)
        if queue is None:
            group = self._groups.loaded(group_id)
            if group is not None and len(group.members) <= RECEIVERS_PER_ITEM:
                self._decide(group, push)
                return
        if self._waiting >= self._limit:
            self._lose("too many wait")
            return
        self._waiting += 1
        if queue is not None:
            queue.pushes.append(push)
            return
        self._queues[group_id] = queue = _Queue(group_id)
        queue.pushes.append(push)
        self._begin(queue)

    def _is_waiting(self, queue: _Queue) -> bool:
        """Return False after the stop."""
        return self._queues.get(queue.group_id) is queue

    def _begin(self, queue: _Queue) -> None:
        if not self._is_waiting(queue):
            return
        group = self._groups.loaded(queue.group_id)
        if group is not None:
            self._found(queue, group)
        else:
            self._tasks.start(self._find(queue))

    async def _find(self, queue: _Queue) -> None:
        group: Group | None = None
        found = retried = False
        try:
            group = await self._groups.find(queue.group_id)
            found = True
        except BackendError as why:
            retried = self._retry(queue, why)
        finally:
            # Also after an unexpected error, which `Tasks` logs.
            if not retried and self._is_waiting(queue):
                if not found:
                    self._lose("its group cannot be read")
                self._found(queue, group)

    def _retry(self, queue: _Queue, why: BackendError) -> bool:
        """Try to find the group again later. Return False if this is given up."""
        if not self._is_waiting(queue):
            return False
        self._counters.add("group_failures")
        self._throttled.warn("unreadable", "groups cannot be read, retrying: {why}", why=why)
        delay = queue.backoff.next()
        if queue.backoff.failures >= MAX_TRIES:
            return False
        self._time.callLater(delay, self._begin, queue)
        return True

    def _found(self, queue: _Queue, group: Group | None) -> None:
        if group is not None:
            self._throttled.reset("unreadable")
            queue.backoff.reset()
            if group.appid == queue.pushes[0].appid:
                queue.members = tuple(group.members)
        self._check_members(queue)

    def _check_members(self, queue: _Queue) -> None:
        if not self._is_waiting(queue):
            return
        self._check_some(queue)
        if queue.checked < len(queue.members):
            self._time.callLater(0, self._check_members, queue)
            return
        queue.pushes.popleft()
        queue.members, queue.checked = (), 0
        self._waiting -= 1
        if queue.pushes:
            self._time.callLater(0, self._begin, queue)
        else:
            del self._queues[queue.group_id]
            self.when_none.check()

    def _check_some(self, queue: _Queue) -> None:
        some = queue.members[queue.checked : queue.checked + RECEIVERS_PER_ITEM]
        queue.checked += len(some)
        self._ask(queue.pushes[0], some)

    def _decide(self, group: Group, push: GroupPush) -> None:
        if group.appid == push.appid:
            members = tuple(group.members)
            for start in range(0, len(members), RECEIVERS_PER_ITEM):
                self._ask(push, members[start : start + RECEIVERS_PER_ITEM])

    def _ask(self, push: GroupPush, members: Sequence[int]) -> None:
        others = [uid for uid in members if uid != push.sender]
        self._decisions.ask(push.appid, others, push.inner)

    def _lose(self, why: str) -> None:
        self._throttled.warn("lost", "a push of a group is lost: {why}; logged once", why=why)
        self._counters.add("group_pushes_lost")
