"""Requests pushes for the members of a large group, in batches.

If its router does not know groups, a gateway names the members itself. A group of 100,000 members
would block the event loop for tens of milliseconds. The first batch is requested at once, the
others in later turns. The order stays, since one group follows another.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gobelieve.interfaces import Members, World

MEMBERS_PER_TURN = 4000
"""Members per turn of the event loop; it takes 1 ms."""
MAX_WAITING_MESSAGES = 1000
"""The most messages that may wait; further ones are dropped and counted."""


class _Message(NamedTuple):
    appid: int
    members: Iterator[int]
    sender: int
    cmd: int
    body: bytes


class PushBatches:
    """Batches of receivers, each requested with one call of `push`.

    `push`: like `gobelieve.interfaces.Routing.push`; takes up to `MEMBERS_PER_TURN` receivers.
    """

    def __init__(
        self, push: Callable[[int, Sequence[int], int, bytes], None], world: World
    ) -> None:
        self._push = push
        self._time = world.time
        self._counters = world.counters
        self._messages: deque[_Message] = deque()

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return len(self._messages)

    def begin(self, appid: int, members: Members, sender: int, cmd: int, body: bytes) -> None:
        """Push a message to these members, except the sender."""
        if len(self._messages) >= MAX_WAITING_MESSAGES:
            self._counters.add("pushes_dropped")
            return
        self._messages.append(_Message(appid, iter(members()), sender, cmd, body))
        if len(self._messages) == 1:
            self._push_some()

    def _push_some(self) -> None:
        appid, members, sender, cmd, body = self._messages[0]
        some = list(islice(members, MEMBERS_PER_TURN))
        others = [uid for uid in some if uid != sender]
        if len(some) < MEMBERS_PER_TURN:
            self._messages.popleft()
        if self._messages:
            self._time.callLater(0, self._push_some)
        if others:
            self._push(appid, others, cmd, body)
