"""Decisions on pushes that wait, in order and within limits."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gobelieve.interfaces import World

RECEIVERS_PER_TURN = 1000
"""Receivers whose pushes are decided in one turn of the event loop."""
BACKLOG_BYTES = 64 << 20
"""The most bytes of messages that wait."""


class Decision(NamedTuple):
    """A decision to be made later."""

    receivers: int
    """The number of receivers that it concerns."""
    length: int
    """The bytes of its message."""
    make: Callable[[], None]


class DecisionBacklog:
    """Decisions that wait until they are released, and those that are due after that.

    `limit`: the most receivers that all decisions concern. Beyond it, and beyond `BACKLOG_BYTES`,
    the oldest decision is made early: a needless push is better than a lost one.
    """

    def __init__(self, limit: int, *, world: World) -> None:
        self._limit = limit
        self._time = world.time
        self._counters = world.counters
        self._waiting: deque[Decision] = deque()
        self._due: deque[Decision] = deque()
        self._receivers = self._bytes = 0
        self._is_scheduled = False

    def __len__(self) -> int:
        """Return the number of receivers that the decisions concern."""
        return self._receivers

    @property
    def is_draining(self) -> bool:
        """True while decisions are due; a new one must queue behind them to keep the order."""
        return bool(self._due)

    def add(self, decision: Decision, *, due: bool) -> None:
        """Append a decision that waits, or one that is due after all others that are due."""
        self._receivers += decision.receivers
        self._bytes += decision.length
        self._counters.add("pushes_kept", decision.receivers)
        (self._due if due else self._waiting).append(decision)
        while self._receivers > self._limit or self._bytes > BACKLOG_BYTES:
            self._counters.add("pushes_decided_early", self._make_oldest())

    def release(self) -> None:
        """Make the decisions that wait, some per turn."""
        self._due.extend(self._waiting)
        self._waiting.clear()
        if not self._is_scheduled:
            self._make_some()

    def make_all(self) -> None:
        """Make all decisions now."""
        self._due.extend(self._waiting)
        self._waiting.clear()
        while self._due:
            self._make_oldest()

    def _make_some(self) -> None:
        self._is_scheduled = False
        made = 0
        try:
            while self._due and made < RECEIVERS_PER_TURN:
                made += self._make_oldest()
        finally:
            # If a decision raises (a bug, which the reactor logs), the others are still made.
            if self._due:
                self._is_scheduled = True
                self._time.callLater(0, self._make_some)

    def _make_oldest(self) -> int:
        decision = (self._due or self._waiting).popleft()
        self._receivers -= decision.receivers
        self._bytes -= decision.length
        decision.make()
        return decision.receivers
