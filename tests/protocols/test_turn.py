"""The end of a turn."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.turn import ReactorTurn


class ReactorTurnTests(SynchronousTestCase):
    """One delayed call a turn, shared by all."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = ReactorTurn(self.clock)
        self.made: list[str] = []

    def call(self, name: str) -> None:
        """Ask for a call that notes its name."""
        self.turn.at_end(lambda: self.made.append(name))

    def test_not_at_once_but_in_order(self) -> None:
        """However many ask, the reactor is asked once."""
        self.call("a")
        self.call("b")
        self.assertEqual(self.made, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(self.made, ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_every_turn_anew(self) -> None:
        """Calls of the turn before are not made again."""
        self.call("a")
        self.clock.advance(0)
        self.call("b")
        self.clock.advance(0)
        self.assertEqual(self.made, ["a", "b"])

    def test_what_a_call_asks_for_belongs_to_the_same_turn(self) -> None:
        """An ask that a flush causes is sent before the loop sleeps."""
        self.turn.at_end(lambda: self.call("second"))
        self.call("first")
        self.clock.advance(0)
        self.assertEqual(self.made, ["first", "second"])

    def test_a_call_that_raises(self) -> None:
        """Is the reactor's to log; the others are made all the same, in a call of their own."""

        def broken() -> None:
            raise ValueError("a bug")

        self.call("before")
        self.turn.at_end(broken)
        self.call("after")
        with self.assertRaises(ValueError):
            self.clock.advance(0)
        self.assertEqual(self.made, ["before"])
        self.call("later")
        self.clock.advance(0)
        self.assertEqual(self.made, ["before", "after", "later"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
