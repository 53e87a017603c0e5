"""Postpones decisions on pushes while it cannot be known who is online.

A router that has just started knows no users, though many are connected. Their gateways reconnect
within seconds and report them. The users of a lost link return as well, to the same gateway or to
another one. Until then these users look offline, and a push to their phones would be needless.

A decision on such a user waits until the grace period is over. The period has a number of seconds.
After them the router waits for the first MARK of each link that resubscribes, but no longer than
`MAX_GRACE_PERIODS` times these seconds. Then the decisions are made in order.

A gateway that shuts down in order unsubscribes its users first, so that they are not in doubt.
"""

from collections.abc import Callable, Hashable, Sequence, Set
from typing import Protocol

from gobelieve.interfaces import Cancellable, World
from gobelieve.routing.pushes.backlog import Decision, DecisionBacklog
from gobelieve.routing.pushes.grace_states import NEXT, Event, State
from gobelieve.routing.table import Id

MAX_GRACE_PERIODS = 3
"""Grace periods after which links that resubscribe are not waited for any more."""


class Resubscribing(Hashable, Protocol):
    """The part of a link that matters for the grace period."""

    version: int
    """0 until a frame of version 1 came from it; only then a MARK can be expected."""


class Grace:
    """Keeps decisions on users who may be about to return.

    `after_start`, `after_loss`: seconds of the period after the router's start, and after the loss
    of a link that held users; 0 for none. `limit`: see `DecisionBacklog`.
    """

    def __init__(self, world: World, *, after_start: float, after_loss: float, limit: int) -> None:
        self.state = State.SETTLED
        self._after_start = after_start
        self._after_loss = after_loss
        self._time = world.time
        self._log = world.log
        self._backlog = DecisionBacklog(limit, world=world)
        self._unmarked: set[Resubscribing] = set()
        """The links that have not sent a MARK yet."""
        self._everybody = False
        self._missing: list[Set[Id]] = []
        """For each lost link, the users that it held as online."""
        self._period_ends = self._marks_end = 0.0
        self._timer: Cancellable | None = None

    def __len__(self) -> int:
        """Return the number of receivers that the kept decisions concern."""
        return len(self._backlog)

    # --- events

    def begin(self) -> None:
        """Begin a period for all users, at the start of the router."""
        if self._after_start:
            self._everybody = True
            self._extend(self._after_start)

    def opened(self, link: Resubscribing) -> None:
        """Note a new link, which may resubscribe."""
        self._unmarked.add(link)

    def marked(self, link: Resubscribing) -> None:
        """Note that a link has reported all its users."""
        if link in self._unmarked:
            self._unmarked.discard(link)
            self._check_marks()

    def closed(self, link: Resubscribing, held: Set[Id]) -> None:
        """Begin or extend a period for the users that a lost link held as online to its end."""
        self._unmarked.discard(link)
        if held and self._after_loss and self.state is not State.STOPPED:
            self._missing.append(held)
            self._extend(self._after_loss)
        self._check_marks()

    def stop(self) -> None:
        """Make all decisions by what is known now, and keep none from now on."""
        self._move(Event.STOP)

    # --- decisions

    @property
    def active(self) -> bool:
        """True if a decision may have to be kept. If not, `among` and `keep` are not needed."""
        return self._in_doubt or self._backlog.is_draining

    @property
    def of_everybody(self) -> bool:
        """True if the decision on any user must be kept, whoever it is."""
        return self._everybody or self._backlog.is_draining

    def among(self, appid: int, uids: Sequence[int]) -> Sequence[int]:
        """Return those of the users, all offline, on whom the decision must be kept."""
        if self.of_everybody:
            return uids
        missing = self._missing
        return [uid for uid in uids if any((appid, uid) in held for held in missing)]

    def keep(self, receivers: int, length: int, make: Callable[[], None]) -> None:
        """Keep a decision on this number of receivers, with a message of `length` bytes."""
        self._backlog.add(Decision(receivers, length, make), due=not self._in_doubt)

    # --- states

    @property
    def _in_doubt(self) -> bool:
        return self.state in (State.GRACE_PERIOD, State.AWAITING_MARKS)

    def _extend(self, seconds: float) -> None:
        now = self._time.seconds()
        if self._in_doubt:
            self._period_ends = min(max(self._period_ends, now + seconds), self._marks_end)
        else:
            self._period_ends = now + seconds
            self._marks_end = now + seconds * MAX_GRACE_PERIODS
        self._move(Event.USERS_MISSING)

    def _check_marks(self) -> None:
        # A link of version 0 may be a gateway of the Go server, which never sends a MARK.
        if not any(link.version for link in self._unmarked):
            self._move(Event.ALL_MARKED)

    def _move(self, event: Event) -> None:
        state = NEXT[self.state].get(event)
        if state is None:
            return
        self.state = state
        self._cancel_timer()
        match state:
            case State.GRACE_PERIOD:
                self._start_timer(self._period_ends)
            case State.AWAITING_MARKS:
                self._start_timer(self._marks_end)
                self._check_marks()
            case State.SETTLED:
                self._clear_doubts()
                self._backlog.release()
            case State.STOPPED:
                self._clear_doubts()
                self._backlog.make_all()

    def _clear_doubts(self) -> None:
        self._everybody = False
        self._missing = []
        if len(self._backlog):
            self._log.info(
                "{count} pushes waited until it was known who is online", count=len(self._backlog)
            )

    def _start_timer(self, until: float) -> None:
        delay = max(0.0, until - self._time.seconds())
        self._timer = self._time.callLater(delay, self._move, Event.TIME_UP)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
