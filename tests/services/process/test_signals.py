"""Signals: who is called, and that none ends a daemon."""

import signal

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.process.signals import OnSignal, Receiver
from tests.fakes.reactor import FakeReactor


class OnSignalTests(SynchronousTestCase):
    """The calls that a daemon makes at SIGHUP."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.installed: list[tuple[int, Receiver]] = []
        self.service = OnSignal(signal.SIGHUP, self.reactor, self.install)
        self.calls: list[str] = []

    def install(self, number: int, receiver: Receiver) -> Receiver:
        """Keep the handler, and return the former one, as ``signal.signal`` does."""
        before = self.installed[-1][1] if self.installed else signal.SIG_IGN
        self.installed.append((number, receiver))
        return before

    def send(self) -> None:
        """Call the handler as Python does at a signal."""
        receiver = self.installed[-1][1]
        assert callable(receiver)
        receiver(signal.SIGHUP, None)

    def test_calls_are_made_by_the_event_loop(self) -> None:
        """The calls are made in order, once per signal, and not within the interrupted code."""
        self.service.add("first", lambda: self.calls.append("first"))
        self.service.add("second", lambda: self.calls.append("second"))
        self.service.privilegedStartService()
        self.service.startService()
        self.assertEqual([number for number, _ in self.installed], [signal.SIGHUP])
        self.send()
        self.assertEqual(self.calls, [])
        self.reactor.advance(0)
        self.assertEqual(self.calls, ["first", "second"])
        self.send()
        self.reactor.advance(0)
        self.assertEqual(self.calls, ["first", "second"] * 2)

    def test_with_nothing_to_do_it_has_no_effect(self) -> None:
        """A signal for which nothing was added is handled: it does not end the daemon."""
        self.service.startService()
        self.send()
        self.reactor.advance(0)
        self.assertEqual(self.calls, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_failing_call_does_not_keep_others_from_being_made(self) -> None:
        """An error of the system is one line; a bug is logged with its traceback."""

        def refused() -> None:
            raise PermissionError(13, "Permission denied")

        self.service.add("refused", refused)
        self.service.add("bug", lambda: self.calls.append(str(1 // 0)))
        self.service.add("last", lambda: self.calls.append("last"))
        self.service.startService()
        self.send()
        self.reactor.advance(0)
        self.assertEqual(self.calls, ["last"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_the_stop(self) -> None:
        """The stop restores the former handler, and the service can start again."""
        self.service.startService()
        self.service.stopService()
        self.assertEqual(self.installed[-1], (signal.SIGHUP, signal.SIG_IGN))
        self.service.startService()
        self.assertTrue(callable(self.installed[-1][1]))
        self.service.stopService()
        self.assertEqual(len(self.installed), 4)

    def test_a_real_signal(self) -> None:
        """A real signal of the operating system makes the calls."""
        service = OnSignal(signal.SIGHUP, self.reactor)
        before = signal.getsignal(signal.SIGHUP)
        service.add("called", lambda: self.calls.append("called"))
        service.startService()
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            service.stopService()
        self.reactor.advance(0)
        self.assertEqual(self.calls, ["called"])
        self.assertIs(signal.getsignal(signal.SIGHUP), before)
