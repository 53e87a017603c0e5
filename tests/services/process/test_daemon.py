"""The outermost service of a daemon, in the hands of twistd."""

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
    """twistd's options, as far as they matter here."""

    optFlags = [["nodaemon", "n", ""], ["syslog", None, ""]]


class SlowService(Service):
    """Takes its time to end."""

    ended: Deferred[None]

    def stopService(self) -> Deferred[None]:
        SlowService.ended = Deferred()
        return SlowService.ended


class DaemonTests(SynchronousTestCase):
    """What it adds to a role's services, and what it does with the log."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def made(self, *words: str) -> tuple[DaemonService, Any]:
        """The service of a daemon that was called so, and its application."""
        twistd = Twistd()
        twistd.parseOptions([*words])
        options = usage.Options()
        options.parent = twistd
        service = DaemonService(options, FakeReactor())
        application = Application("gobelieve-ims")
        service.setServiceParent(application)
        return service, application

    def names(self, service: DaemonService) -> list[str]:
        """Its children."""
        return [str(child.name) for child in service]

    def test_with_a_log_file(self) -> None:
        """It is ours, and can be opened again; twistd is handed it by the application."""
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

    def test_without_one(self) -> None:
        """Standard output is ours, syslog twistd's; SIGHUP has no effect."""
        for words, ours in ((["-n"], True), (["-n", "--logfile=-"], True), (["--syslog"], False)):
            service, application = self.made(*words)
            self.assertEqual(self.names(service), ["hangup"])
            self.assertEqual(application.getComponent(ILogObserver) is not None, ours)
            service.hangup.call_all()

    def test_nothing_is_opened_when_it_is_made(self) -> None:
        """But when twistd begins its log."""
        options = usage.Options()
        options.parent = Twistd()
        options.parent.parseOptions(["--logfile", str(self.path)])
        DaemonService(options, FakeReactor())
        self.assertFalse(self.path.exists())

    def test_without_twistd(self) -> None:
        """As a test makes it: no log, and it may have any parent."""
        service = DaemonService(usage.Options(), FakeReactor())
        DaemonService(usage.Options(), FakeReactor()).add("child", service)
        self.assertEqual(self.names(service), ["hangup"])

    def test_a_signal_while_it_starts(self) -> None:
        """Is taken from the first step on, before ports are, and until all else has stopped."""
        before = signal.getsignal(signal.SIGHUP)
        service = DaemonService(usage.Options(), FakeReactor())
        service.privilegedStartService()
        self.assertNotIn(signal.getsignal(signal.SIGHUP), (before, signal.SIG_DFL))
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)

    def test_asked_to_end_once_more(self) -> None:
        """It goes on with ending, and says so; no traceback."""
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
