"""A push for the members of a large group, some in a turn.

This is how a gateway asks when its router does not know groups: it names the members itself. A
group of 100,000 would hold up everybody else for tens of milliseconds, so only the first slice is
asked for at once, the rest in later turns; one group after another, so that the order stays.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gobelieve.interfaces import Members, Time
from gobelieve.metrics import Counters

MEMBERS_PER_TURN = 4000
"""Members in a turn, which takes 1 ms."""
MAX_WAITING_MESSAGES = 1000
"""So many messages may wait to be pushed; beyond it new ones are dropped and counted."""


class _Walk(NamedTuple):
    appid: int
    members: Iterator[int]
    sender: int
    cmd: int
    body: bytes


class PushBatches:
    """`push`: as `gobelieve.interfaces.Routing.push`, for up to `MEMBERS_PER_TURN` receivers."""

    def __init__(
        self, push: Callable[[int, Sequence[int], int, bytes], None], time: Time, counters: Counters
    ) -> None:
        self._push = push
        self._time = time
        self._counters = counters
        self._walks: deque[_Walk] = deque()

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._walks)

    def begin(self, appid: int, members: Members, sender: int, cmd: int, body: bytes) -> None:
        """Push to these members, the sender left out."""
        if len(self._walks) >= MAX_WAITING_MESSAGES:
            self._counters.add("pushes_dropped")
            return
        self._walks.append(_Walk(appid, iter(members()), sender, cmd, body))
        if len(self._walks) == 1:
            self._step()

    def _step(self) -> None:
        appid, members, sender, cmd, body = self._walks[0]
        some = list(islice(members, MEMBERS_PER_TURN))
        others = [uid for uid in some if uid != sender]
        if len(some) < MEMBERS_PER_TURN:
            self._walks.popleft()
        if self._walks:
            self._time.callLater(0, self._step)
        if others:
            self._push(appid, others, cmd, body)
