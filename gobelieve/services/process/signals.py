"""What a daemon does when it is sent a signal, besides ending.

SIGHUP is for what changed outside: a log file that was moved away, a certificate that was renewed.
Everybody whom that concerns adds a call. SIGUSR1 is twistd's own: the log begins a new file.
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
"""``signal.signal``, or a test's."""


class OnSignal(Service):
    """Makes calls when a signal comes, in the order in which they were added.

    It is the first to start and the last to stop, since most signals end a process that does
    not know them. Without a call the signal has no effect.
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
        """Do this too; `what` names it in the log. Should it raise, that is logged."""
        self._calls.append((what, call))

    def privilegedStartService(self) -> None:
        """Before ports are taken and files are read, which may take long."""
        super().privilegedStartService()
        self._take()

    def startService(self) -> None:
        super().startService()
        self._take()

    def stopService(self) -> None:
        super().stopService()
        if self._installed:
            self._installed = False
            # What was installed by C code is None, and cannot be put back.
            self._install(self._number, self._before or signal.SIG_DFL)

    def _take(self) -> None:
        if not self._installed:
            self._installed = True
            self._before = self._install(self._number, self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        # Between any two instructions of ours: all that is done here is to tell the event loop.
        self._reactor.callFromThread(self.came)

    def came(self) -> None:
        """Make the calls."""
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
