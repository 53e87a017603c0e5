"""Whether all changes were seen: the action ids of what is announced, and what a gap costs.

The app's server numbers its changes and announces each with the number of the one before. A
change whose predecessor was not seen shows a gap; so does a check of the newest number. Then
everything that is kept may be out of date, and is forgotten: at once, but with many gaps only once
in `STALE_SECONDS`, so that a server which misnumbers its changes does not have everything loaded
all the time.
"""

from collections.abc import Callable
from typing import Any

from gobelieve.groups.cache import STALE_SECONDS, Cache
from gobelieve.interfaces import Cancellable, Log, Time
from gobelieve.metrics import Counters


class ActionIds:
    """Follows the numbers for one cache. `what` names the changes in counters and the log."""

    def __init__(
        self, cache: Cache[Any, Any], what: str, *, time: Time, counters: Counters, log: Log
    ) -> None:
        self._cache = cache
        self._what = what
        self._words = what.replace("_", " ")
        self._time = time
        self._counters = counters
        self._log = log
        self._last: int | None = None
        self._begun = False
        self._forgot_at = float("-inf")
        self._due: Cancellable | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    @property
    def last(self) -> int | None:
        """The number of the change seen last."""
        return self._last

    def took(self, previous: int, action: int) -> None:
        """A change was announced; to be called before it is applied."""
        if self._begun and previous != self._last:
            self._missed(previous)
        self._last = action

    def when_seen(self, action: int, call: Callable[[], None]) -> None:
        """Call once this change, or a later one, was seen and is applied."""
        self._waiting.append((action, call))
        self.applied()

    def applied(self) -> None:
        """The change that was announced last is applied."""
        if self._waiting and self._last is not None:
            last, waiting = self._last, self._waiting
            self._waiting = [one for one in waiting if one[0] > last]
            for action, call in waiting:
                if action <= last:
                    call()

    def checked(self, action: int) -> None:
        """Up to here the newest change is this one; what comes from now on is in time."""
        if not self._begun:
            # What was loaded before may have changed before anybody listened.
            self._begun = True
            self._cache.forget_all()
        elif action != self._last:
            self._missed(action)
        self._last = action
        self.applied()
        if self._cache.is_late:
            self._log.info("{what} are followed", what=self._words)
            self._cache.in_time()

    def moved(self, action: int) -> None:
        """Something changed, which nobody announces; the newest change is this one now."""
        self._forget()
        self._last = action

    def interrupted(self) -> None:
        """What comes from now on may be late."""
        self._cache.late()

    def close(self) -> None:
        """Forget what was to be done."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _missed(self, newest: int) -> None:
        self._counters.add(f"{self._what}_gaps")
        if self._due is not None:
            return
        self._log.warn(
            "{what} were missed: {last} was seen last, and then there was {newest}",
            what=self._words,
            last=self._last,
            newest=newest,
        )
        wait = self._forgot_at + STALE_SECONDS - self._time.seconds()
        if wait <= 0:
            self._forget()
        else:
            self._due = self._time.callLater(wait, self._forget)

    def _forget(self) -> None:
        self._due = None
        self._forgot_at = self._time.seconds()
        self._cache.forget_all()
