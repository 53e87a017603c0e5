"""Notifies and phone pushes that wait for a router.

They wait while the router is away or does not read. After a router came back, its gateways connect
one after another, and a publication does not reach a gateway that is not back yet. So for a few
seconds notifies are sent again. That is cheap: one per queue, and a client that knows the id does
nothing.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gobelieve.metrics import Counters
from gobelieve.wire import bodies, client

MAX_NOTIFIES = 100_000
"""The number of queues whose notify is kept, per router: as many of users as of super groups."""
RENOTIFY_SECONDS = (1.0, 2.0, 4.0)
"""The pauses after a connection after which notifies are sent again. A gateway tries to connect at
least every 1.5 s, so after 7 s the last one is back."""
MAX_PUSH_BYTES = 32 << 20
"""The bytes of pushes that are kept for one absent router."""

Queue: TypeAlias = tuple[int, int]
"""An app, and a user or a super group."""


class NotifyBacklog:
    """The newest message id of each queue.

    `notify` is the command of the notify, and `key_in` returns the id in its body.
    """

    def __init__(self, counters: Counters, notify: int, key_in: Callable[[bytes], int]) -> None:
        self._counters = counters
        self._notify = notify
        self._key_in = key_in
        self._waiting: dict[Queue, int] = {}
        self._sent: dict[Queue, int] = {}

    def __len__(self) -> int:
        """Return the number of notifies that wait."""
        return len(self._waiting)

    def keep(self, queue: Queue, cmd: int, body: bytes, msgid: int) -> None:
        """Keep the id of a publication that cannot be sent now; without an id, drop it."""
        msgid = self._id_of(cmd, body, msgid)
        if not msgid:
            self._counters.add("live_dropped")
        elif not _enter(self._waiting, queue, msgid):
            self._counters.add("notifies_dropped")

    def sent(self, queue: Queue, cmd: int, body: bytes, msgid: int) -> None:
        """Note a publication that is sent now, and whose notify is to be sent again later."""
        msgid = self._id_of(cmd, body, msgid)
        if msgid:
            _enter(self._sent, queue, msgid)

    def take(self) -> tuple[Queue, int]:
        """Remove one notify that waits, and return it."""
        return self._waiting.popitem()

    def requeue(self) -> None:
        """Let all notifies that were sent wait again."""
        if not self._waiting:
            self._waiting, self._sent = self._sent, {}
            return
        sent, self._sent = self._sent, {}
        for queue, msgid in sent.items():
            _enter(self._waiting, queue, msgid)

    def _id_of(self, cmd: int, body: bytes, msgid: int) -> int:
        return self._key_in(body) if cmd == self._notify else msgid


def of_users(counters: Counters) -> NotifyBacklog:
    """Return a backlog of SYNC_NOTIFYs."""
    return NotifyBacklog(counters, client.SyncNotify.number, bodies.key_of)


def of_groups(counters: Counters) -> NotifyBacklog:
    """Return a backlog of SYNC_GROUP_NOTIFYs."""

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
    """Phone pushes, oldest first: frames without their headers, as (command, body)."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._pushes: deque[tuple[int, bytes]] = deque()
        self._length = 0

    def __len__(self) -> int:
        """Return the number of pushes."""
        return len(self._pushes)

    def keep(self, cmd: int, body: bytes) -> None:
        """Keep a push, or drop and count it if there are `MAX_PUSH_BYTES` already."""
        if self._length + len(body) > MAX_PUSH_BYTES:
            self._counters.add("pushes_dropped")
        else:
            self._length += len(body)
            self._pushes.append((cmd, body))

    def take(self) -> tuple[int, bytes]:
        """Remove the oldest push, and return it."""
        cmd, body = self._pushes.popleft()
        self._length -= len(body)
        return cmd, body
