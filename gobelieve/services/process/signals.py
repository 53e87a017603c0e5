"""Calls that a daemon makes when it gets a signal, besides ending.

At SIGHUP the daemon reads changed files: a moved log file, a renewed certificate. Each part that
has such a file adds a call. SIGUSR1 has the meaning that twistd gives it: the log begins a new
file.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from gobelieve.errors import GobelieveError

Receiver = Callable[[int, FrameType | None], Any] | int | None
Install = Callable[[int, Receiver], Receiver]
"""``signal.signal``, or its replacement in a test."""


class OnSignal(Service):
    """Makes calls at a signal, in the order in which they were added.

    It is the first service to start and the last to stop, since most signals end a process that
    does not handle them. Without a call the signal has no effect.
    """

    log = Logger()

    def __init__(
        self, number: signal.Signals, reactor: IReactorFromThreads, install: Install | None = None
    ) -> None:
        self._number = number
        self._reactor = reactor
        self._install: Install = install or signal.signal
        self._before: Receiver = None
        self._installed = False
        self._calls: list[tuple[str, Callable[[], None]]] = []

    def add(self, what: str, call: Callable[[], None]) -> None:
        """Add a call; `what` names it in the log. An error that it raises is logged."""
        self._calls.append((what, call))

    def privilegedStartService(self) -> None:
        """Handle the signal before the ports listen and files are read, which may take long."""
        super().privilegedStartService()
        self._install_handler()

    def startService(self) -> None:
        super().startService()
        self._install_handler()

    def stopService(self) -> None:
        super().stopService()
        if self._installed:
            self._installed = False
            # A handler that C code installed is None, and cannot be restored.
            self._install(self._number, self._before or signal.SIG_DFL)

    def _install_handler(self) -> None:
        if not self._installed:
            self._installed = True
            self._before = self._install(self._number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Python calls this between any two instructions, so the work is left to the event loop.
        self._reactor.callFromThread(self.call_all)

    def call_all(self) -> None:
        """Make the calls; an error of one does not keep the others from being made."""
        name = self._number.name
        for what, call in self._calls:
            try:
                call()
            except (OSError, GobelieveError) as why:
                self.log.error("{name}: {what} failed: {why}", name=name, what=what, why=why)
            except Exception:
                self.log.failure("{name}: {what} failed", name=name, what=what)
            else:
                self.log.info("{name}: {what}", name=name, what=what)
