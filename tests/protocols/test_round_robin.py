"""Work of several: each its turn, none for long, none forgotten."""

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.round_robin import RoundRobin
from gobelieve.protocols.turn import ReactorTurn


class Pieces:
    """Pieces of work that take a second each."""

    def __init__(self, name: str, count: int, done: Callable[[str], None]) -> None:
        self.name = name
        self.left = count
        self._done = done

    def work(self) -> bool:
        self.left -= 1
        self._done(self.name)
        return self.left > 0


class RoundRobinTests(SynchronousTestCase):
    """A turn has two seconds for it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.robin = RoundRobin(ReactorTurn(self.clock), self.clock, budget=2.0)
        self.done = ""

    def piece(self, name: str) -> None:
        self.done += name
        self.clock.rightNow += 1

    def join(self, name: str, count: int) -> None:
        self.robin.join(Pieces(name, count, self.piece))

    def test_at_once(self) -> None:
        """Who comes alone is served at once, as far as there is time; the rest follows."""
        self.join("a", 5)
        self.assertEqual(self.done, "aa")
        self.clock.advance(0)
        self.assertEqual(self.done, "aaaaa")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_turn(self) -> None:
        """Those who wait get one piece each."""
        for name, count in (("a", 5), ("b", 1), ("c", 3)):
            self.join(name, count)
        self.clock.advance(0)
        self.assertEqual(self.done, "aa" + "abc" + "ac" + "ac")

    def test_next_turn(self) -> None:
        """A new turn has new time."""
        for name in "abc":
            self.join(name, 1)
            self.clock.advance(0)
        self.assertEqual(self.done, "abc")

    def test_piece_that_raises(self) -> None:
        """The others are served nevertheless."""
        self.join("a", 3)

        def bug(name: str) -> None:
            raise RuntimeError("a bug")

        self.robin.join(Pieces("b", 1, bug))
        self.join("c", 2)
        self.assertRaises(RuntimeError, self.clock.advance, 0)
        self.clock.advance(0)
        self.assertEqual(self.done, "aaacc")
