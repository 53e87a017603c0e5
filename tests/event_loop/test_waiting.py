"""Waiting for a call."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.event_loop.waiting import called_back, called_within


class CalledBackTests(SynchronousTestCase):
    """A callback becomes a Deferred."""

    def setUp(self) -> None:
        self.callbacks: list[Callable[[int], None]] = []

    def test_a_call_later(self) -> None:
        """The Deferred fires with what the callback is called with; a second call is ignored."""
        result = called_back(self.callbacks.append)
        self.assertNoResult(result)
        self.callbacks[0](1)
        self.callbacks[0](2)
        self.assertEqual(self.successResultOf(result), (1,))

    def test_a_call_at_once(self) -> None:
        """The callback may be called before `begin` returns."""

        def divide(number: int, by: int, done: Callable[[int, int], None]) -> None:
            done(number // by, number % by)

        self.assertEqual(self.successResultOf(called_back(divide, 17, 5)), (3, 2))

    def test_a_call_after_a_cancel(self) -> None:
        """The one who waits gave up; the call finds nobody."""
        result = called_back(self.callbacks.append)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.callbacks[0](1)

    def test_an_error(self) -> None:
        """The caller sees an error of `begin`."""

        def begin(done: Callable[[], None]) -> None:
            raise ValueError

        self.assertRaises(ValueError, called_back, begin)


class CalledWithinTests(SynchronousTestCase):
    """Waiting has an end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.callbacks: list[Callable[[], None]] = []
        waiting = called_within(2.0, self.clock, self.callbacks.append)
        self.result = Deferred.fromCoroutine(waiting)

    def test_in_time(self) -> None:
        """Nothing is left on the clock."""
        self.clock.advance(1.9)
        self.assertNoResult(self.result)
        self.callbacks[0]()
        self.assertTrue(self.successResultOf(self.result))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """A call after the end is ignored."""
        self.clock.advance(2)
        self.assertFalse(self.successResultOf(self.result))
        self.callbacks[0]()
