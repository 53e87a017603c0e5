"""The outermost service of each daemon: signals and the log."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.application.app import ServerOptions
from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.usage import Options

from gobelieve.config import LogConfig
from gobelieve.event_loop.reactor import Reactor
from gobelieve.services.process.log_file import AppendedLogFile, log_path, logs_to_stdout, open_log
from gobelieve.services.process.log_format import observer_of
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.signals import OnSignal


class DaemonService(OrderedService):
    """The service that ``makeService`` returns; the daemon's other services are its children.

    Its own children are ``hangup``, for all calls at SIGHUP, and ``rotate`` if there is a log file.
    """

    def __init__(self, options: Options, reactor: Reactor) -> None:
        super().__init__()
        self._reactor = reactor
        self._ending = False
        self.hangup = OnSignal(signal.SIGHUP, reactor)
        self.add("hangup", self.hangup)
        twistd = getattr(options, "parent", None)
        # Before twistd changes to another directory.
        self._log_path = log_path(twistd) if isinstance(twistd, ServerOptions) else ""
        self._to_stdout = isinstance(twistd, ServerOptions) and logs_to_stdout(twistd)
        config = getattr(options, "config", None)
        self._log_config: LogConfig = getattr(config, "log", LogConfig())
        self._rotate = OnSignal(signal.SIGUSR1, reactor)
        self._log_file: AppendedLogFile | None = None
        if self._log_path:
            # This call is the first, so that the log lines of the others go to the new file.
            self.hangup.add("the log file is opened again", self._reopen)
            self.add("rotate", self._rotate)

    def setServiceParent(self, parent: IServiceCollection | Componentized) -> None:
        """Become the service of an application, and set its log observer.

        twistd begins the log after this. It uses its own observer only if the application has none.
        """
        super().setServiceParent(parent)
        if self._log_path and isinstance(parent, Componentized):
            self._log_file = file = open_log(self._log_path)
            # twistd does this itself only with its own observer.
            self._rotate.add("the log begins a new file", file.rotate)
            observer = observer_of(file, self._log_config)  # type: ignore[arg-type]
            parent.setComponent(ILogObserver, observer)
        elif self._to_stdout and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, observer_of(sys.stdout, self._log_config))

    def startService(self) -> None:
        super().startService()
        # The reactor takes these signals when it begins to run.
        self._reactor.callWhenRunning(self._take_ends)

    def _take_ends(self) -> None:
        """Pass only the first SIGTERM or SIGINT to the reactor."""
        for number in (signal.SIGTERM, signal.SIGINT):
            end = signal.getsignal(number)
            if callable(end):
                signal.signal(number, partial(self._end, end))

    def _end(self, end: Callable[[int, FrameType | None], Any], *came: Any) -> None:
        if not self._ending:
            self._ending = True
            end(*came)

    def stopService(self) -> Deferred[None]:
        """Stop in order. A further SIGTERM only logs that the daemon is about to end.

        Without this the reactor would log a traceback for it.
        """
        handlers = [OnSignal(number, self._reactor) for number in (signal.SIGTERM, signal.SIGINT)]
        for service in handlers:
            service.add("the daemon is about to end, what is under way is finished", _go_on)
            service.startService()

        def ended(result: Failure | None) -> Failure | None:
            for service in handlers:
                service.stopService()
            return result

        return super().stopService().addBoth(ended)

    def _reopen(self) -> None:
        if self._log_file is not None:
            self._log_file.reopen()


def _go_on() -> None:
    """Do nothing: the signal is only logged."""
