"""What of the app's is kept in memory and up to date, as a service: groups, relations."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gobelieve.event_loop.waiting import called_back
from gobelieve.groups.cache import SWEEP_SECONDS, Done
from gobelieve.metrics import Counters
from gobelieve.services.process.options import Coroutines
from gobelieve.services.process.ordered import OrderedService

V = TypeVar("V")


class Manager(Protocol):
    """The core of such a service."""

    def sweep(self) -> None:
        """To be called every `SWEEP_SECONDS`."""

    def close(self) -> None:
        """Whoever waits gets an error."""


class FollowedService(OrderedService):
    """Sweeps its `manager`, which a subclass makes, and ends it. What it needs are its children;
    ``sweep`` is one by itself."""

    manager: Manager

    def __init__(self, reactor: IReactorTime) -> None:
        super().__init__()
        self.counters = Counters()
        self.tasks = Coroutines()
        sweep = TimerService(SWEEP_SECONDS, self._sweep)
        sweep.clock = reactor
        self.add("sweep", sweep)

    def stopService(self) -> Deferred[None]:
        """Whoever waits gets an error, at once."""
        self.manager.close()
        self.tasks.cancel()
        return super().stopService()

    def _sweep(self) -> None:
        try:
            self.manager.sweep()
        except Exception:
            # It must not end the sweeps for good.
            self.log.failure("a sweep failed")


async def answer(ask: Callable[[Done[V]], None]) -> V | None:
    """Call `ask` with a callback; return the value that the callback gets, or raise its error."""
    value, error = await called_back(ask)
    if error is not None:
        raise error
    return value
