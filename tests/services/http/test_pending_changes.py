"""Changes that an app's server asked for: in turn, and to their end."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.http.pending_changes import DRAIN_TIMEOUT, PendingChanges


class OrdersTests(SynchronousTestCase):
    """Changes that take their time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pending_changes = PendingChanges(self.clock)
        self.pending_changes.startService()
        self.begun: list[str] = []
        self.ends: dict[str, Deferred[str]] = {}

    def order(self, key: object, name: str) -> Deferred[str]:
        """Something that ends when `ends[name]` fires."""

        async def work() -> str:
            self.begun.append(name)
            return await self.ends.setdefault(name, Deferred())

        return Deferred.fromCoroutine(self.pending_changes.do(key, work))

    def test_those_of_one_group_come_one_after_another(self) -> None:
        """Others do not wait for them."""
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

    def test_who_hangs_up_does_not_stop_it(self) -> None:
        """Neither what runs nor what waits for its turn."""
        first, second = self.order(5, "a"), self.order(5, "b")
        first.cancel()
        second.cancel()
        for given_up in (first, second):
            self.failureResultOf(given_up)
        self.assertFalse(self.ends["a"].called)
        self.ends["a"].callback("done")
        self.assertEqual(self.begun, ["a", "b"])
        self.ends["b"].errback(ValueError("nobody hears of this but the log"))

    def test_a_stop_waits_for_what_was_ordered(self) -> None:
        """What waits for its turn too."""
        self.order(5, "a")
        self.order(5, "b")
        stopped = self.pending_changes.stopService()
        for name in ("a", "b"):
            self.assertNoResult(stopped)
            self.ends[name].callback("done")
        self.successResultOf(stopped)

    def test_a_stop_does_not_wait_for_ever(self) -> None:
        """A database may stand still."""
        self.order(5, "a")
        stopped = self.pending_changes.stopService()
        self.clock.advance(DRAIN_TIMEOUT - 0.1)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
