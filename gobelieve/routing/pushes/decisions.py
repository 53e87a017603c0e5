"""Who gets a phone push: those of the asked for who are online nowhere."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gobelieve.interfaces import Log
from gobelieve.metrics import Counters
from gobelieve.routing.pushes.grace import Grace
from gobelieve.routing.pushes.payloads import Item, inner_frame, push_items
from gobelieve.routing.table import Table
from gobelieve.wire.client import System


class Pushes(Protocol):
    """Takes what is to be pushed."""

    def add(self, items: Iterable[Item]) -> None:
        """Append to the push lists, some time."""


class Decisions:
    """Decides by a table, at once or when the grace is over. Without `pushes` nobody gets one.

    `push_system`: whether messages of the app's backend are pushed.
    """

    def __init__(
        self,
        pushes: Pushes | None,
        table: Table[Any],
        grace: Grace | None,
        *,
        push_system: bool,
        counters: Counters,
        log: Log,
    ) -> None:
        self.pushes = pushes
        self.grace = grace
        self._table = table
        self._push_system = push_system
        self._counters = counters
        self._log = log

    def ask(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        """Push the inner frame to those of the receivers who are online nowhere.

        `BodyError` if the frame makes no sense and somebody is to get it.
        """
        if self.pushes is None:
            return
        offline: Sequence[int] = self._table.offline(appid, receivers)
        grace = self.grace
        if offline and grace is not None and grace.active:
            offline = self._keep(grace, appid, offline, inner)
        if offline:
            self.push(appid, offline, inner)

    def push(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        """Push to all of these; `BodyError` as above."""
        frame = inner_frame(inner)
        if self.pushes is None or (frame.cmd == System.number and not self._push_system):
            return
        items = push_items(appid, receivers, frame)
        if items:
            self.pushes.add(items)
        else:
            self._counters.add("pushes_of_no_kind")

    def _keep(
        self, grace: Grace, appid: int, offline: Sequence[int], inner: bytes
    ) -> Sequence[int]:
        """Keep it for those in doubt; gives the others."""
        doubted = grace.among(appid, offline)
        if not doubted:
            return offline
        # What makes no sense is told to whom it came from, while that is known.
        push_items(appid, doubted[:1], inner_frame(inner))
        grace.keep(len(doubted), len(inner), self._decide, appid, doubted, inner)
        if len(doubted) == len(offline):
            return ()
        rest = set(doubted)
        return [uid for uid in offline if uid not in rest]

    def _decide(self, appid: int, receivers: Sequence[int], inner: bytes) -> None:
        offline = self._table.offline(appid, receivers)
        if offline:
            self.push(appid, offline, inner)
