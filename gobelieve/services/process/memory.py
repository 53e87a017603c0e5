"""How much memory the process has, and whether more clients may come.

Linux ends a process that takes all there is, and with it everybody's connection. So above
``memory_limit`` nobody new is let in, until there is less again. Who is there stays.
"""

import resource
from collections.abc import Callable

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gobelieve.metrics import Counters

CHECK_SECONDS = 3.0
"""Between two looks; within that 10,000 connections come at the most, which need 100 MB."""
REOPEN_SHARE = 0.95
"""How much of the limit there may be when the doors open again."""


def resident() -> int:
    """How many bytes of memory this process holds; 0 where /proc does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


class MemoryWatch(TimerService):
    """Looks every few seconds. A limit of 0 is none."""

    log = Logger()

    def __init__(
        self,
        limit: int,
        clock: IReactorTime,
        counters: Counters,
        measure: Callable[[], int] = resident,
    ) -> None:
        super().__init__(CHECK_SECONDS, self.look)
        self.clock = clock
        self._limit = limit
        self._counters = counters
        self._measure = measure
        self._low = False

    def is_low(self) -> bool:
        """Whether nobody may come in. Asked for each who does, and counted."""
        if self._low:
            self._counters.add("refused_for_memory")
        return self._low

    def look(self) -> None:
        """Measure."""
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
