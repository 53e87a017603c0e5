"""Refuses new clients while the process uses too much memory.

Linux kills a process that uses all memory, and then all clients lose their connections. Above
``memory_limit`` new connections are refused until less is used. Existing connections stay.
"""

import resource
from collections.abc import Callable

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gobelieve.metrics import Counters

CHECK_SECONDS = 3.0
"""Seconds between two measurements; at most 10,000 clients connect within that, using 100 MB."""
REOPEN_SHARE = 0.95
"""The share of the limit below which new connections are accepted again."""


def resident() -> int:
    """Return the bytes of memory that this process uses; 0 if /proc does not have them."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


class MemoryWatch(TimerService):
    """Measures the memory every `CHECK_SECONDS`. `limit` is in bytes; 0 means no limit."""

    log = Logger()

    def __init__(
        self,
        limit: int,
        clock: IReactorTime,
        counters: Counters,
        measure: Callable[[], int] = resident,
    ) -> None:
        super().__init__(CHECK_SECONDS, self.check)
        self.clock = clock
        self._limit = limit
        self._counters = counters
        self._measure = measure
        self._low = False

    def is_low(self) -> bool:
        """Return True if a new connection must be refused; the refusal is counted."""
        if self._low:
            self._counters.add("refused_for_memory")
        return self._low

    def check(self) -> None:
        """Measure the memory, and log when the limit is crossed."""
        held = self._measure()
        if held > self._limit:
            if not self._low:
                self._low = True
                self.log.warn(
                    "{held} MiB of memory are more than memory_limit: no new connections",
                    held=held >> 20,
                )
        elif self._low and held < self._limit * REOPEN_SHARE:
            self._low = False
            self.log.info("{held} MiB of memory: connections are taken again", held=held >> 20)
