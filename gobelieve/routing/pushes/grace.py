"""When it cannot be known yet who is online, and what waits until it can.

A router that has just started holds nobody, though users are connected: their gateways come back
within seconds and say whom they hold. The same for the users of a gateway whose link was cut, or
which was killed: they come again, there or elsewhere. Until then they look offline and are not.
So what would push to their phones is kept, and decided in order when the grace is over: after its
seconds, and when each link that resubscribes has sent its first MARK, which is waited for up to
`MAX_GRACE_PERIODS` times the grace.

A gateway that takes its leave unsubscribes its users first: there is nothing to doubt then. What a
decision is, this module does not know.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence, Set
from typing import Any, Protocol

from gobelieve.interfaces import Cancellable, Log, Time
from gobelieve.metrics import Counters
from gobelieve.routing.table import Id

MAX_GRACE_PERIODS = 3
"""How often the grace may pass before links that resubscribe are not waited for any more."""
RECEIVERS_PER_TURN = 1000
"""So many receivers are decided in one turn."""
BACKLOG_BYTES = 64 << 20
"""So many bytes of messages are kept at the most."""

Kept = tuple[int, int, Callable[..., None], tuple[Any, ...]]
"""How many receivers it concerns, how many bytes it keeps; what to call, and with what."""


class Resubscribing(Hashable, Protocol):
    """A link, of which only this matters here."""

    version: int
    """0 until it has said something in version 1; only then a MARK can be expected."""


class Grace:
    """Keeps decisions. `start` and `lost`: seconds after the router's start, and after a link that
    held users was lost; 0 for none. `limit`: how many receivers may be concerned by what is kept;
    beyond it, and beyond `BACKLOG_BYTES`, the oldest is decided early, since a needless push is
    better than a lost one."""

    def __init__(
        self, start: float, lost: float, limit: int, *, time: Time, counters: Counters, log: Log
    ) -> None:
        self._start = start
        self._lost = lost
        self._limit = limit
        self._time = time
        self._counters = counters
        self._log = log
        self.active = False
        """Whether anything may have to be kept. If not, `among` and `keep` need not be asked."""
        self._unmarked: set[Resubscribing] = set()
        self._everybody = False
        self._doubted: list[Set[Id]] = []
        self._until = self._latest = 0.0
        self._passed = False
        """Whether only links that resubscribe are waited for."""
        self._timer: Cancellable | None = None
        self._kept: deque[Kept] = deque()
        self._due: deque[Kept] = deque()
        self._receivers = self._bytes = 0
        self._stopped = False

    def __len__(self) -> int:
        """How many receivers what is kept concerns."""
        return self._receivers

    # --- what happens

    def begin(self) -> None:
        """The router starts: everybody is in doubt."""
        if self._start:
            self._everybody = True
            self._extend(self._start)

    def opened(self, link: Resubscribing) -> None:
        """A link came."""
        self._unmarked.add(link)

    def marked(self, link: Resubscribing) -> None:
        """A link has said whom it holds."""
        if link in self._unmarked:
            self._unmarked.discard(link)
            self._look()

    def closed(self, link: Resubscribing, held: Set[Id]) -> None:
        """A link is gone, and held these users as online to its end."""
        self._unmarked.discard(link)
        if held and self._lost and not self._stopped:
            self._doubted.append(held)
            self._extend(self._lost)
        self._look()

    def stop(self) -> None:
        """Decide all that is kept by what is known now, and keep nothing any more."""
        self._stopped = True
        self._settle()
        while self._due:
            self._decide_one()
        self.active = False

    # --- what may have to wait

    def among(self, appid: int, uids: Sequence[int]) -> Sequence[int]:
        """Those of the users, all without a link, who may be about to have one."""
        if self._everybody or self._due:
            return uids
        doubted = self._doubted
        return [uid for uid in uids if any((appid, uid) in held for held in doubted)]

    @property
    def of_everybody(self) -> bool:
        """Whether all users are in doubt, whoever they are."""
        return self._everybody or bool(self._due)

    def keep(
        self, receivers: int, length: int, decide: Callable[..., None], *arguments: Any
    ) -> None:
        """Call this when the grace is over. `length`: how many bytes it keeps till then."""
        self._receivers += receivers
        self._bytes += length
        self._counters.add("pushes_kept", receivers)
        # What is due goes first, and while it does, everything waits behind it.
        waiting = self._kept if self._timer is not None else self._due
        waiting.append((receivers, length, decide, arguments))
        while self._receivers > self._limit or self._bytes > BACKLOG_BYTES:
            self._counters.add("pushes_decided_early", self._decide_one())

    # --- when it is over

    def _extend(self, seconds: float) -> None:
        now = self._time.seconds()
        if self._timer is None:
            self._until = now + seconds
            self._latest = now + seconds * MAX_GRACE_PERIODS
        else:
            self._cancel()
            self._until = min(max(self._until, now + seconds), self._latest)
        self.active = True
        self._passed = False
        self._timer = self._time.callLater(max(0.0, self._until - now), self._pass)

    def _pass(self) -> None:
        self._passed = True
        patience = self._latest - self._time.seconds()
        self._timer = self._time.callLater(max(0.0, patience), self._end)
        self._look()

    def _look(self) -> None:
        # A gateway of upstream's never marks; one that has said nothing yet may be one.
        if self._passed and not any(link.version for link in self._unmarked):
            self._end()

    def _end(self) -> None:
        self._settle()
        self._decide()

    def _settle(self) -> None:
        """Nobody is in doubt any more; what was kept is due."""
        self._cancel()
        self._passed = False
        self._everybody = False
        self._doubted = []
        if self._kept:
            self._log.info("{count} pushes waited to see who comes back", count=self._receivers)
        self._due.extend(self._kept)
        self._kept.clear()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _decide(self) -> None:
        decided = 0
        try:
            while self._due and decided < RECEIVERS_PER_TURN:
                decided += self._decide_one()
        finally:
            # Should a decision raise (a bug, logged by the reactor), the others are still made.
            if self._due:
                self._time.callLater(0, self._decide)
            else:
                self.active = self._timer is not None

    def _decide_one(self) -> int:
        receivers, length, decide, arguments = (self._due or self._kept).popleft()
        self._receivers -= receivers
        self._bytes -= length
        decide(*arguments)
        return receivers
