"""What groups and relations have in common: values in memory, whose changes are followed.

Known here: how long they are good, what malformed announcements mean, and how it ends. What a
change does to a value is the subclass's.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gobelieve.errors import BodyError
from gobelieve.groups.action_ids import ActionIds
from gobelieve.groups.cache import Cache
from gobelieve.interfaces import Log, Tasks, Time
from gobelieve.metrics import Counters
from gobelieve.support.throttled_log import ThrottledLog

K = TypeVar("K")
V = TypeVar("V")


class FollowedCache(Generic[K, V]):
    """Values of one kind. `what` names one of them. `max_entries`: see `Cache`."""

    def __init__(
        self,
        load: Callable[[K], Awaitable[V | None]],
        what: str,
        *,
        time: Time,
        tasks: Tasks,
        counters: Counters,
        log: Log,
        max_entries: int | None = None,
    ) -> None:
        self._what = what
        self._time = time
        self._counters = counters
        self._throttled = ThrottledLog(log, time)
        self._cache: Cache[K, V] = Cache(
            load,
            f"{what}s",
            time=time,
            tasks=tasks,
            counters=counters,
            log=log,
            max_entries=max_entries,
        )
        self._actions = ActionIds(
            self._cache, f"{what}_events", time=time, counters=counters, log=log
        )

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._cache)

    @property
    def followed(self) -> bool:
        """Whether changes are heard of in time."""
        return not self._cache.is_late

    # --- what the app's server announces: see `gobelieve.interfaces.EventSink`

    def checked(self, action: int) -> None:
        """See `gobelieve.interfaces.EventSink`."""
        self._actions.checked(action)

    def moved(self, action: int) -> None:
        """See `gobelieve.interfaces.EventSink`."""
        self._actions.moved(action)

    def interrupted(self) -> None:
        """See `gobelieve.interfaces.EventSink`."""
        self._actions.interrupted()

    def _malformed(self, why: BodyError) -> None:
        # Its action ids are not taken over, so that the next event, or check, shows a gap.
        self._counters.add(f"{self._what}_events_malformed")
        self._throttled.warn(
            "malformed", "a {what} event makes no sense: {why}", what=self._what, why=why
        )

    # --- its life

    def sweep(self) -> None:
        """To be called every `gobelieve.groups.cache.SWEEP_SECONDS`."""
        self._cache.sweep()

    def close(self) -> None:
        """Whoever waits for a value gets an error."""
        self._actions.close()
        self._cache.close()
