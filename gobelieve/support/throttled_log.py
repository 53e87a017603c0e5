"""Log lines that would repeat: logged once per minute, or once until the trouble is over."""

from collections.abc import Hashable

from gobelieve.interfaces import Log, Time

INTERVAL = 60.0
"""Seconds between two lines with the same key."""
MAX_KEYS = 1000


class ThrottledLog:
    """Logs one line per key and `INTERVAL`; without a clock, one line per key until `reset`.

    At most `max_keys` keys are remembered. While there are that many, a line with a new key is
    left out.
    """

    def __init__(self, log: Log, time: Time | None = None, max_keys: int = MAX_KEYS) -> None:
        self._log = log
        self._time = time
        self._max_keys = max_keys
        self._logged: dict[Hashable, tuple[float, str]] = {}
        """Per key: the time of the last line, and its reason."""

    def debug(self, key: Hashable, format: str, /, **fields: object) -> None:
        """Log a line at level debug, if one is due."""
        if self.is_due(key):
            self._log.debug(format, **fields)

    def warn(self, key: Hashable, format: str, /, **fields: object) -> None:
        """Log a line at level warn, if one is due."""
        if self.is_due(key):
            self._log.warn(format, **fields)

    def error(self, key: Hashable, format: str, /, **fields: object) -> None:
        """Log a line at level error, if one is due."""
        if self.is_due(key):
            self._log.error(format, **fields)

    def warn_of(self, key: Hashable, why: str, format: str, /, **fields: object) -> None:
        """Log a reason, the field `why`; a reason other than the last one is always due."""
        if self.is_due(key, why):
            self._log.warn(format, why=why, **fields)

    def recovered(self, key: Hashable, format: str, /, **fields: object) -> None:
        """Log at level info that a trouble is over, if it was logged; it may be logged again."""
        if self.reset(key):
            self._log.info(format, **fields)

    def reset(self, key: Hashable) -> bool:
        """Make the next line with this key due. Return whether there was one."""
        return self._logged.pop(key, None) is not None

    def is_due(self, key: Hashable, why: str = "") -> bool:
        """Return whether a line may be logged now. If so, it counts as logged."""
        now = self._now()
        at, reason = self._logged.get(key, (float("-inf"), ""))
        if reason == why and self._is_recent(at, now):
            return False
        if key not in self._logged and len(self._logged) >= self._max_keys:
            recent = {k: last for k, last in self._logged.items() if self._is_recent(last[0], now)}
            self._logged = recent
            if len(recent) >= self._max_keys:
                return False
        self._logged[key] = (now, why)
        return True

    def _now(self) -> float:
        return 0.0 if self._time is None else self._time.seconds()

    def _is_recent(self, at: float, now: float) -> bool:
        return now - at < INTERVAL
