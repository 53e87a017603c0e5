"""Log lines that would repeat."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.support.throttled_log import INTERVAL, ThrottledLog
from tests.protocols.logs import Events


class ClockTests(SynchronousTestCase):
    """With a clock a line is logged once per interval."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = Events()
        self.log = ThrottledLog(self.events.log(), self.clock, max_keys=2)

    def test_once_per_interval(self) -> None:
        """The line that is logged is the first of an interval, and the interval begins with it."""
        for number in range(3):
            self.log.warn("a", "line {number}", number=number)
        self.clock.advance(INTERVAL - 1)
        self.log.warn("a", "line 3")
        self.clock.advance(1)
        self.log.warn("a", "line 4")
        self.assertEqual(self.events.texts(), ["line 0", "line 4"])

    def test_keys_are_independent(self) -> None:
        """One key does not silence another."""
        for key in ("a", ("b", 1), "a", ("b", 1)):
            self.log.error(key, "{key}", key=key)
        self.assertEqual(self.events.texts(), ["a", "('b', 1)"])

    def test_too_many_keys(self) -> None:
        """New keys are left out until the interval of an old one is over."""
        for key in "abcc":
            self.log.warn(key, key)
        self.assertEqual(self.events.texts(), ["a", "b"])
        self.clock.advance(INTERVAL)
        for key in "cba":
            self.log.warn(key, key)
        self.assertEqual(self.events.texts(), ["a", "b", "c", "b"])
        self.assertEqual(len(self.log._logged), 2)

    def test_another_reason(self) -> None:
        """A new reason is logged at once, an old one after the interval."""
        for why in ("refused", "refused", "timeout", "refused"):
            self.log.warn_of("a", why, "away: {why}")
        self.clock.advance(INTERVAL)
        self.log.warn_of("a", "refused", "away: {why}")
        texts = ["away: refused", "away: timeout", "away: refused", "away: refused"]
        self.assertEqual(self.events.texts(), texts)


class NoClockTests(SynchronousTestCase):
    """Without a clock a line is logged once until it is reset."""

    def setUp(self) -> None:
        self.events = Events()
        self.log = ThrottledLog(self.events.log())

    def levels(self) -> list[str]:
        """The levels of what was logged."""
        return [event["log_level"].name for event in self.events]

    def test_once_until_reset(self) -> None:
        """`reset` returns whether a line was logged."""
        self.assertFalse(self.log.reset("a"))
        self.log.warn("a", "first")
        self.log.warn("a", "second")
        self.assertTrue(self.log.reset("a"))
        self.assertFalse(self.log.reset("a"))
        self.log.warn("a", "third")
        self.assertEqual(self.events.texts(), ["first", "third"])

    def test_recovered(self) -> None:
        """The end of a trouble is logged once, and only if its begin was."""
        self.log.recovered("a", "never logged")
        self.log.error("a", "away")
        self.log.recovered("a", "{what} is back", what="it")
        self.log.recovered("a", "it is back")
        self.log.debug("a", "away")
        self.assertEqual(self.events.texts(), ["away", "it is back", "away"])
        self.assertEqual(self.levels(), ["error", "info", "debug"])

    def test_each_new_reason_once(self) -> None:
        """A reason is new if it is not the last one, or after a reset."""
        for why in ("refused", "refused", "timeout"):
            self.log.warn_of("a", why, "{peer}: {why}", peer="b")
        self.log.reset("a")
        self.log.warn_of("a", "timeout", "{peer}: {why}", peer="b")
        self.assertEqual(self.events.texts(), ["b: refused", "b: timeout", "b: timeout"])

    def test_an_empty_reason(self) -> None:
        """A line without a reason is logged the first time too."""
        self.log.warn_of("a", "", "away")
        self.log.warn_of("a", "", "away")
        self.assertEqual(self.events.texts(), ["away"])
