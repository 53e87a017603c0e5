"""A reactor without sockets and threads, for the unit tests of services."""

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.event_loop.reactor import Reactor


class FakePool:
    """A thread pool that works at once, in the thread of the event loop."""

    def callInThreadWithCallback(self, ended: Any, work: Any) -> None:
        try:
            work()
        except Exception:
            ended(False, Failure())
        else:
            ended(True, None)


@implementer(Reactor)
class FakeReactor(MemoryReactorClock):
    """Listens and connects in memory; its time passes when the test calls `advance`."""

    def getThreadPool(self) -> Any:
        return FakePool()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Make the call when time passes, as if another thread had asked for it."""
        self.callLater(0, callable, *args, **kw)

    def callInThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        callable(*args, **kw)

    def suggestThreadPoolSize(self, size: int) -> None:
        """Do nothing: there are no threads."""
