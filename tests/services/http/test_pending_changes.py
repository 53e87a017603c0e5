"""Changes that the app's server requests: made in turn, and always completed."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.http.pending_changes import DRAIN_TIMEOUT, PendingChanges


class PendingChangesTests(SynchronousTestCase):
    """Changes that end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pending_changes = PendingChanges(self.clock)
        self.pending_changes.startService()
        self.begun: list[str] = []
        self.ends: dict[str, Deferred[str]] = {}

    def order(self, key: object, name: str) -> Deferred[str]:
        """Request a change that ends when `ends[name]` fires."""

        async def work() -> str:
            self.begun.append(name)
            return await self.ends.setdefault(name, Deferred())

        return Deferred.fromCoroutine(self.pending_changes.do(key, work))

    def test_changes_of_one_group_are_made_one_after_another(self) -> None:
        """Changes of other groups do not wait."""
        first, second, other = self.order(5, "a"), self.order(5, "b"), self.order(6, "c")
        self.assertEqual(self.begun, ["a", "c"])
        self.ends["a"].callback("done")
        self.assertEqual(self.successResultOf(first), "done")
        self.assertEqual(self.begun, ["a", "c", "b"])
        self.ends["b"].errback(ValueError())
        self.failureResultOf(second, ValueError)
        self.ends["c"].callback("too")
        self.assertEqual(self.successResultOf(other), "too")
        self.order(5, "d")
        self.assertEqual(self.begun[-1], "d")

    def test_a_closed_request_does_not_stop_the_change(self) -> None:
        """A change goes on after its request ended, also one that waits for its turn."""
        first, second = self.order(5, "a"), self.order(5, "b")
        first.cancel()
        second.cancel()
        for given_up in (first, second):
            self.failureResultOf(given_up)
        self.assertFalse(self.ends["a"].called)
        self.ends["a"].callback("done")
        self.assertEqual(self.begun, ["a", "b"])
        self.ends["b"].errback(ValueError("nobody hears of this but the log"))

    def test_a_stop_waits_for_changes(self) -> None:
        """The stop waits for changes in progress, and for those that wait for their turn."""
        self.order(5, "a")
        self.order(5, "b")
        stopped = self.pending_changes.stopService()
        for name in ("a", "b"):
            self.assertNoResult(stopped)
            self.ends[name].callback("done")
        self.successResultOf(stopped)

    def test_a_stop_does_not_wait_for_ever(self) -> None:
        """The stop waits at most `DRAIN_TIMEOUT` for a database that hangs."""
        self.order(5, "a")
        stopped = self.pending_changes.stopService()
        self.clock.advance(DRAIN_TIMEOUT - 0.1)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
