"""Decides on pushes to phones: a receiver gets one who is online at no gateway."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from gobelieve.metrics import Counters
from gobelieve.routing.pushes.grace import Grace
from gobelieve.routing.pushes.payloads import Item, inner_frame, push_items
from gobelieve.routing.table import Table
from gobelieve.wire.client import System


class Pushes(Protocol):
    """The destination of pushes."""

    def add(self, items: Iterable[Item]) -> None:
        """Append items to the push lists; returns at once, they are written later."""


class Decisions:
    """Decides by the table of online users, at once or when the grace period is over.

    `pushes`: None if this router pushes nothing. `push_system`: True to push the messages that the
    app's server sends as SYSTEM.
    """

    def __init__(
        self,
        pushes: Pushes | None,
        *,
        table: Table[Any],
        grace: Grace,
        push_system: bool,
        counters: Counters,
    ) -> None:
        self.pushes = pushes
        self.table = table
        self.grace = grace
        self._push_system = push_system
        self._counters = counters

    def ask(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        """Push the inner frame to those of the receivers who are online nowhere.

        `BodyError` if the frame is malformed and a receiver is offline.
        """
        if self.pushes is None:
            return
        offline: Sequence[int] = self.table.offline(appid, receivers)
        if offline and self.grace.active:
            offline = self._postpone(appid, offline, inner)
        if offline:
            self.push(appid, offline, inner)

    def push(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        """Push the inner frame to all receivers; `BodyError` if it is malformed."""
        frame = inner_frame(inner)
        if self.pushes is None or (frame.cmd == System.number and not self._push_system):
            return
        items = push_items(appid, receivers, frame)
        if items:
            self.pushes.add(items)
        else:
            self._counters.add("pushes_of_no_kind")

    def _postpone(self, appid: int, offline: Sequence[int], inner: bytes) -> Sequence[int]:
        """Keep the decision on users who may be about to return; return the other users."""
        doubtful = self.grace.among(appid, offline)
        if not doubtful:
            return offline
        # A malformed frame raises here, while it is known which gateway sent it.
        push_items(appid, doubtful[:1], inner_frame(inner))
        self.grace.keep(len(doubtful), len(inner), partial(self._decide, appid, doubtful, inner))
        if len(doubtful) == len(offline):
            return ()
        postponed = set(doubtful)
        return [uid for uid in offline if uid not in postponed]

    def _decide(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        offline = self.table.offline(appid, receivers)
        if offline:
            self.push(appid, offline, inner)
