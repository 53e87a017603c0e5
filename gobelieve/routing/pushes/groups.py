"""Who of a super group gets a push: its members but the sender, who are online nowhere.

A group that is loaded and small is decided at once. For others the questions of a group wait in a
row, so that their order is kept: for the group to be found, which is tried again while its store
is away, and for a walk over its members that leaves the other rules their turn. No other group
waits for it, and nothing else that the router does.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from gobelieve.errors import BackendError
from gobelieve.interfaces import Group, Groups, Log, Tasks, Time
from gobelieve.metrics import Counters
from gobelieve.routing.pushes.decisions import Decisions
from gobelieve.routing.pushes.payloads import RECEIVERS_PER_ITEM, inner_frame
from gobelieve.support.backoff import Backoff
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.support.when_empty import WhenEmpty
from gobelieve.wire.message import MESSAGES, STORED, pushed_as

FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds from a failure to the next try; doubled each time in between."""
TRIES = 12
"""After so many, which take half a minute, the question is given up."""


class Question(NamedTuple):
    """Who of this group gets a push of this?"""

    appid: int
    sender: int
    inner: bytes


class _Row:
    """The questions of one group that wait, the first of them under way."""

    __slots__ = ("at", "backoff", "group_id", "members", "questions")

    def __init__(self, group_id: int) -> None:
        self.group_id = group_id
        self.questions: deque[Question] = deque()
        self.backoff = Backoff(FIRST_DELAY, LAST_DELAY)
        self.members: Sequence[int] = ()
        """As they were when the walk for the first question began."""
        self.at = 0
        """How many of them the walk has passed."""


class GroupPushes:
    """Answers the questions. `limit`: how many may wait; beyond it new ones are dropped."""

    def __init__(
        self,
        groups: Groups,
        decisions: Decisions,
        limit: int,
        *,
        time: Time,
        tasks: Tasks,
        counters: Counters,
        log: Log,
    ) -> None:
        self._groups = groups
        self._decisions = decisions
        self._limit = limit
        self._time = time
        self._tasks = tasks
        self._counters = counters
        self._log = log
        self._throttled = ThrottledLog(log)
        self._rows: dict[int, _Row] = {}
        self._waiting = 0
        self.when_none = WhenEmpty(self)
        """Takes a call that is made once no question waits."""

    def __len__(self) -> int:
        """How many questions wait."""
        return self._waiting

    def ask(self, appid: int, group_id: int, inner: bytes) -> None:
        """Push the inner frame to those of the group who are to get it.

        `BodyError` if the frame makes no sense.
        """
        frame = inner_frame(inner)
        push = pushed_as(frame.cmd)
        if push is None or not push.to_members:
            self._counters.add("pushes_of_no_kind")
            return
        message = MESSAGES[frame.cmd].decode(frame.body, frame.version)
        sender = getattr(message, STORED[frame.cmd].facts.author.uid)
        question = Question(appid, sender, inner)
        grace = self._decisions.grace
        if self._decisions.pushes is None:
            return
        if grace is not None and grace.active and grace.of_everybody:
            # Nearly all its members are in doubt, so that it costs less to keep the question.
            grace.keep(1, len(inner), self._enter, group_id, question)
        else:
            self._enter(group_id, question)

    def stop(self) -> None:
        """Decide what can be decided now; drop the rest, counted."""
        lost = 0
        rows, self._rows = self._rows, {}
        for row in rows.values():
            if row.members:
                while row.at < len(row.members):
                    self._look_at_some(row)
                row.questions.popleft()
            group = self._groups.loaded(row.group_id)
            for question in row.questions:
                if group is None:
                    lost += 1
                else:
                    self._decide(group, question)
        self._waiting = 0
        if lost:
            self._counters.add("group_pushes_lost", lost)
            self._log.warn("{count} pushes of groups are lost at the stop", count=lost)

    # --- one question after another

    def _enter(self, group_id: int, question: Question) -> None:
        row = self._rows.get(group_id)
        if row is None:
            group = self._groups.loaded(group_id)
            if group is not None and len(group.members) <= RECEIVERS_PER_ITEM:
                self._decide(group, question)
                return
        if self._waiting >= self._limit:
            self._lose("too many wait")
            return
        self._waiting += 1
        if row is not None:
            row.questions.append(question)
            return
        self._rows[group_id] = row = _Row(group_id)
        row.questions.append(question)
        self._begin(row)

    def _is_waiting(self, row: _Row) -> bool:
        """False after the stop."""
        return self._rows.get(row.group_id) is row

    def _begin(self, row: _Row) -> None:
        if not self._is_waiting(row):
            return
        group = self._groups.loaded(row.group_id)
        if group is not None:
            self._found(row, group)
        else:
            self._tasks.start(self._find(row))

    async def _find(self, row: _Row) -> None:
        group: Group | None = None
        found = again = False
        try:
            group = await self._groups.find(row.group_id)
            found = True
        except BackendError as why:
            again = self._failed(row, why)
        finally:
            # Also after an error that nobody foresaw, which goes to whoever runs the task.
            if not again and self._is_waiting(row):
                if not found:
                    self._lose("its group cannot be read")
                self._found(row, group)

    def _failed(self, row: _Row, why: BackendError) -> bool:
        """Whether it is tried again."""
        if not self._is_waiting(row):
            return False
        self._counters.add("group_failures")
        self._throttled.warn("unreadable", "groups cannot be read, trying on: {why}", why=why)
        delay = row.backoff.next()
        if row.backoff.failures >= TRIES:
            return False
        self._time.callLater(delay, self._begin, row)
        return True

    def _found(self, row: _Row, group: Group | None) -> None:
        question = row.questions[0]
        if group is not None:
            self._throttled.reset("unreadable")
            row.backoff.reset()
            if group.appid == question.appid:
                row.members = tuple(group.members)
        self._walk(row)

    def _walk(self, row: _Row) -> None:
        if not self._is_waiting(row):
            return
        self._look_at_some(row)
        if row.at < len(row.members):
            self._time.callLater(0, self._walk, row)
            return
        row.questions.popleft()
        row.members, row.at = (), 0
        self._waiting -= 1
        if row.questions:
            self._time.callLater(0, self._begin, row)
        else:
            del self._rows[row.group_id]
            self.when_none.check()

    def _look_at_some(self, row: _Row) -> None:
        some = row.members[row.at : row.at + RECEIVERS_PER_ITEM]
        row.at += len(some)
        self._ask(row.questions[0], some)

    def _decide(self, group: Group, question: Question) -> None:
        if group.appid == question.appid:
            members = tuple(group.members)
            for start in range(0, len(members), RECEIVERS_PER_ITEM):
                self._ask(question, members[start : start + RECEIVERS_PER_ITEM])

    def _ask(self, question: Question, members: Sequence[int]) -> None:
        others = [uid for uid in members if uid != question.sender]
        self._decisions.ask(question.appid, others, question.inner)

    def _lose(self, why: str) -> None:
        self._throttled.warn("lost", "a push of a group is lost: {why}; logged once", why=why)
        self._counters.add("group_pushes_lost")
