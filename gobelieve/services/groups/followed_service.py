"""The base of the services for groups and relations, which keep the app's data in memory."""

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
    """The rules of such a service, without its timers and connections."""

    def sweep(self) -> None:
        """Drop unused entries; to be called every `SWEEP_SECONDS`."""

    def close(self) -> None:
        """Answer all waiting requests with an error."""


class FollowedService(OrderedService):
    """Runs a `manager`, which the subclass makes: regular sweeps, and an end.

    The services that the manager needs are its children; ``sweep`` is always one of them.
    """

    manager: Manager

    def __init__(self, reactor: IReactorTime) -> None:
        super().__init__()
        self.counters = Counters()
        self.tasks = Coroutines()
        sweep = TimerService(SWEEP_SECONDS, self._sweep)
        sweep.clock = reactor
        self.add("sweep", sweep)

    def stopService(self) -> Deferred[None]:
        """Answer all waiting requests with an error, and stop the children."""
        self.manager.close()
        self.tasks.cancel()
        return super().stopService()

    def _sweep(self) -> None:
        try:
            self.manager.sweep()
        except Exception:
            # A bug must not end the sweeps for good.
            self.log.failure("a sweep failed")


async def answer(ask: Callable[[Done[V]], None]) -> V | None:
    """Call `ask` with a callback; return the value that the callback gets, or raise its error."""
    value, error = await called_back(ask)
    if error is not None:
        raise error
    return value
