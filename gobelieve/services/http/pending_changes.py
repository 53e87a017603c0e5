"""Changes that the app's server requested and that are in progress.

A change is completed even if the app's server closes its connection, and before the daemon ends:
a change that is written must be announced. Changes of one group are made one after another.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.event_loop.waiting import called_within
from gobelieve.interfaces import Time
from gobelieve.services.process.ordered import OrderedService
from gobelieve.support.when_empty import WhenEmpty

T = TypeVar("T")

DRAIN_TIMEOUT = 5.0
"""Seconds that a stopping gateway waits for changes in progress."""


class PendingChanges(OrderedService):
    """A `TaskQueue` for the app API. The services that the work needs are its children."""

    log = Logger()

    def __init__(self, time: Time) -> None:
        super().__init__()
        self._time = time
        self._locks: dict[object, DeferredLock] = {}
        self._running: set[Deferred[Any]] = set()
        self._when_idle = WhenEmpty(self._running)

    async def do(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` after all earlier work with this key, even if the caller is cancelled."""
        waited: Deferred[T] = Deferred()
        running = Deferred.fromCoroutine(self._in_turn(key, work))
        self._running.add(running)
        running.addBoth(self._ended, running, waited)
        return await waited

    async def _in_turn(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            return await work()
        finally:
            if not lock.waiting:
                del self._locks[key]
            lock.release()

    def _ended(self, result: Any, running: Deferred[Any], waited: Deferred[Any]) -> None:
        self._running.discard(running)
        if not waited.called:
            waited.callback(result)
        elif isinstance(result, Failure):
            self.log.warn(
                "a change failed after its request ended: {why}",
                why=result.getErrorMessage(),
            )
        self._when_idle.check()

    async def _stop_children(self) -> None:
        await called_within(DRAIN_TIMEOUT, self._time, self._when_idle)
        await super()._stop_children()
