"""Notifies and phone pushes that a router could not take, or that may have found nobody there.

When a router comes back, its gateways find it again one after another. What is published before
the last of them is there does not reach its users, so for a while notifies are told again. That
costs little: one a queue, and who knows of it already does nothing.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gobelieve.metrics import Counters
from gobelieve.wire import bodies, client

MAX_NOTIFIES = 100_000
"""Queues of which a notify is kept at the most, for each router: so many of users, so many of super
groups."""
RENOTIFY_SECONDS = (1.0, 2.0, 4.0)
"""Seconds after a connection, and then each after the one before, at which notifies are told
again. Gateways try at least every 1.5 s, so that in 7 s the last one is there."""
MAX_PUSH_BYTES = 32 << 20
"""Bytes of pushes that are kept for an absent router."""

Queue: TypeAlias = tuple[int, int]
"""An application, and a user or a super group."""


class NotifyBacklog:
    """The newest id of each queue. `key_in` gives the id in the body of a notify (`notify`)."""

    def __init__(self, counters: Counters, notify: int, key_in: Callable[[bytes], int]) -> None:
        self._counters = counters
        self._notify = notify
        self._key_in = key_in
        self._untold: dict[Queue, int] = {}
        self._told: dict[Queue, int] = {}

    def __len__(self) -> int:
        """How many wait to be told."""
        return len(self._untold)

    def keep(self, queue: Queue, cmd: int, body: bytes, msgid: int) -> None:
        """Keep what cannot be published now: its id at least. What has none is dropped."""
        msgid = self._id_of(cmd, body, msgid)
        if not msgid:
            self._counters.add("live_dropped")
        elif not _enter(self._untold, queue, msgid):
            self._counters.add("notifies_dropped")

    def told(self, queue: Queue, cmd: int, body: bytes, msgid: int) -> None:
        """This is published now, and is to be told again."""
        msgid = self._id_of(cmd, body, msgid)
        if msgid:
            _enter(self._told, queue, msgid)

    def take(self) -> tuple[Queue, int]:
        """One of those that wait; it is yours now."""
        return self._untold.popitem()

    def again(self) -> None:
        """What was told waits once more: nobody knows who heard it."""
        if not self._untold:
            self._untold, self._told = self._told, {}
            return
        told, self._told = self._told, {}
        for queue, msgid in told.items():
            _enter(self._untold, queue, msgid)

    def _id_of(self, cmd: int, body: bytes, msgid: int) -> int:
        return self._key_in(body) if cmd == self._notify else msgid


def of_users(counters: Counters) -> NotifyBacklog:
    """For SYNC_NOTIFY."""
    return NotifyBacklog(counters, client.SyncNotify.number, bodies.key_of)


def of_groups(counters: Counters) -> NotifyBacklog:
    """For SYNC_GROUP_NOTIFY."""

    def key_in(body: bytes) -> int:
        return bodies.key_of(body[8:])

    return NotifyBacklog(counters, client.SyncGroupNotify.number, key_in)


def _enter(notifies: dict[Queue, int], queue: Queue, msgid: int) -> bool:
    known = notifies.get(queue)
    if known is None and len(notifies) >= MAX_NOTIFIES:
        return False
    notifies[queue] = msgid if known is None else max(msgid, known)
    return True


class PushBacklog:
    """Phone pushes: frames without their headers, (command, body), oldest first."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._kept: deque[tuple[int, bytes]] = deque()
        self._length = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def keep(self, cmd: int, body: bytes) -> None:
        """Keep one; if there are too many it is dropped, and counted."""
        if self._length + len(body) > MAX_PUSH_BYTES:
            self._counters.add("pushes_dropped")
        else:
            self._length += len(body)
            self._kept.append((cmd, body))

    def take(self) -> tuple[int, bytes]:
        """The oldest; it is yours now."""
        cmd, body = self._kept.popleft()
        self._length -= len(body)
        return cmd, body
