"""The outermost service of a daemon, as twistd uses it."""

import signal
from pathlib import Path
from typing import Any

from twisted.application.app import ServerOptions
from twisted.application.service import Application, Service
from twisted.internet.defer import Deferred
from twisted.logger import (
    ILogObserver,
    Logger,
    LogPublisher,
    formatEvent,
    globalLogPublisher,
)
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gobelieve.services.process.daemon import DaemonService
from tests.fakes.reactor import FakeReactor


class Twistd(ServerOptions):
    """The options of twistd that the service reads."""

    optFlags = [["nodaemon", "n", ""], ["syslog", None, ""]]


class SlowService(Service):
    """A service that stops when the test says so."""

    ended: Deferred[None]

    def stopService(self) -> Deferred[None]:
        SlowService.ended = Deferred()
        return SlowService.ended


class DaemonTests(SynchronousTestCase):
    """The service's own children, and its log."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def made(self, *words: str) -> tuple[DaemonService, Any]:
        """Return the service and the application for a command line of twistd."""
        twistd = Twistd()
        twistd.parseOptions([*words])
        options = usage.Options()
        options.parent = twistd
        service = DaemonService(options, FakeReactor())
        application = Application("gobelieve-ims")
        service.setServiceParent(application)
        return service, application

    def names(self, service: DaemonService) -> list[str]:
        """Return the names of its children."""
        return [str(child.name) for child in service]

    def test_with_a_log_file(self) -> None:
        """The log file is of our own kind and can be opened again; the application has it."""
        service, application = self.made("--logfile", str(self.path))
        self.assertEqual(self.names(service), ["hangup", "rotate"])
        observer = application.getComponent(ILogObserver)
        log = Logger("test", observer=LogPublisher(observer))
        log.info("one")
        order: list[bool] = []
        service.hangup.add("another", lambda: order.append(self.path.exists()))
        moved = self.path.rename(f"{self.path}.moved")
        service.hangup.call_all()
        log.info("two")
        self.assertIn("one", moved.read_text())
        self.assertNotIn("two", moved.read_text())
        self.assertIn("two", self.path.read_text())
        self.assertEqual(order, [True], "the log is opened before others say something")

    def test_without_a_log_file(self) -> None:
        """The log to standard output is ours, that to syslog is that of twistd."""
        for words, ours in ((["-n"], True), (["-n", "--logfile=-"], True), (["--syslog"], False)):
            service, application = self.made(*words)
            self.assertEqual(self.names(service), ["hangup"])
            self.assertEqual(application.getComponent(ILogObserver) is not None, ours)
            service.hangup.call_all()

    def test_nothing_is_opened_when_it_is_made(self) -> None:
        """The log file is opened only when twistd begins the log."""
        options = usage.Options()
        options.parent = Twistd()
        options.parent.parseOptions(["--logfile", str(self.path)])
        DaemonService(options, FakeReactor())
        self.assertFalse(self.path.exists())

    def test_without_twistd(self) -> None:
        """A daemon without twistd, as in tests, has no log and accepts any parent."""
        service = DaemonService(usage.Options(), FakeReactor())
        DaemonService(usage.Options(), FakeReactor()).add("child", service)
        self.assertEqual(self.names(service), ["hangup"])

    def test_a_signal_while_it_starts(self) -> None:
        """SIGHUP is handled before the ports listen, until all other services have stopped."""
        before = signal.getsignal(signal.SIGHUP)
        service = DaemonService(usage.Options(), FakeReactor())
        service.privilegedStartService()
        self.assertNotIn(signal.getsignal(signal.SIGHUP), (before, signal.SIG_DFL))
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)

    def test_a_second_sigterm(self) -> None:
        """A second SIGTERM is one line of the log without a traceback; the stop goes on."""
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        reactor = FakeReactor()
        service = DaemonService(usage.Options(), reactor)
        service.add("slow", SlowService())
        service.startService()
        stopped = service.stopService()
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        reactor.advance(0)
        what = "the daemon is about to end, what is under way is finished"
        self.assertEqual(lines, [f"SIGTERM: {what}", f"SIGINT: {what}"])
        self.assertNoResult(stopped)
        SlowService.ended.callback(None)
        self.successResultOf(stopped)
        after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        self.assertEqual(after, before)
