"""Tools of all daemons: command line options, running coroutines, working in threads."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from gobelieve.config import load, without_effect
from gobelieve.errors import ConfigError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import InThread


class DaemonOptions(usage.Options):
    """The options ``--config FILE`` and ``--set key=value``, which are read into `config`."""

    kind: type
    optParameters = [["config", "c", None, "TOML file; without it every key has its default."]]

    def __init__(self) -> None:
        super().__init__()
        self.overrides: list[str] = []

    def opt_set(self, override: str) -> None:
        """Override one key of the configuration: key=value, or table.key=value."""
        self.overrides.append(override)

    def postOptions(self) -> None:
        try:
            self.config: Any = load(self.kind, self["config"], self.overrides)
        except ConfigError as why:
            raise usage.UsageError(str(why)) from None
        for line in without_effect(self.config):
            Logger("gobelieve.config").warn("{line}", line=line)


class Coroutines:
    """Runs coroutines as Deferreds; implements `interfaces.Tasks`."""

    log = Logger()

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine now; an exception that it raises is logged with its traceback."""
        running = Deferred.fromCoroutine(work)
        self._running.add(running)
        running.addBoth(self._ended, running)

    def __len__(self) -> int:
        """Return the number of coroutines that have not ended."""
        return len(self._running)

    def cancel(self) -> None:
        """Cancel all coroutines that have not ended."""
        for running in list(self._running):
            running.cancel()

    def _ended(self, result: Failure | None, running: Deferred[None]) -> None:
        self._running.discard(running)
        if isinstance(result, Failure) and not result.check(CancelledError):
            self.log.failure("a task failed", result)


def threads(reactor: Reactor) -> InThread:
    """Return an `InThread` that uses the thread pool of the reactor."""

    def in_thread(work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        def ended(success: bool, result: Failure | None) -> None:
            failure = None if result is None else result.value
            reactor.callFromThread(done, failure)

        reactor.getThreadPool().callInThreadWithCallback(ended, work)

    return in_thread
