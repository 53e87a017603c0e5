"""Waiting until a router has put into effect what was sent to it."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.protocols.router.confirmations import MARK_TIMEOUT, Confirmations
from gobelieve.protocols.turn import ReactorTurn
from tests.fakes.world import world


class ConfirmationsTests(SynchronousTestCase):
    """The MARKs of one link, and the callbacks that wait for their answers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent = 0
        self.overdue = 0
        self.known: list[int] = []
        self.confirmations = Confirmations(
            world(turn=ReactorTurn(self.clock), time=self.clock),
            due=self.due,
            unanswered=self.unanswered,
        )

    def due(self) -> None:
        """Send a MARK at once."""
        self.sent += 1
        self.confirmations.sent()

    def unanswered(self) -> None:
        """Count an overdue answer."""
        self.overdue += 1

    def wait(self, *numbers: int, said: bool = True) -> None:
        """Let these numbers wait for a MARK; `said`: something was sent before."""
        self.confirmations.is_needed |= said
        for number in numbers:
            self.confirmations.wait(lambda number=number: self.known.append(number))  # type: ignore[misc]

    def answer(self) -> None:
        """Answer the oldest MARK, and end the turn."""
        self.confirmations.answered()
        self.clock.advance(0)

    def test_many_logins_of_a_turn_take_one_mark(self) -> None:
        """There is also only one timer."""
        self.wait(*range(1000))
        self.clock.advance(0)
        self.assertEqual(self.sent, 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.answer()
        self.assertEqual(self.known, list(range(1000)))

    def test_answers_in_order(self) -> None:
        """An answer releases the callbacks that waited when its MARK was sent."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2)
        self.clock.advance(0)
        self.answer()
        self.assertEqual(self.known, [1])
        self.answer()
        self.assertEqual(self.known, [1, 2])

    def test_a_second_session_waits_for_the_unanswered_mark(self) -> None:
        """No new MARK is needed if nothing was sent since the last one."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2, said=False)
        self.clock.advance(0)
        self.assertEqual((self.sent, self.known), (1, []))
        self.answer()
        self.assertEqual(self.known, [1, 2])
        self.wait(3, said=False)
        self.assertEqual(self.known, [1, 2, 3])

    def test_a_callback_that_raises(self) -> None:
        """The reactor logs the exception, and the other callbacks are called."""

        def fails() -> None:
            raise ValueError("a bug")

        self.confirmations.is_needed = True
        self.confirmations.wait(fails)
        self.wait(2)
        self.clock.advance(0)
        self.assertRaises(ValueError, self.answer)
        self.clock.advance(0)
        self.assertEqual(self.known, [2])

    def test_an_overdue_answer_releases_all(self) -> None:
        """Nobody waits any more until the router answers. This is reported once."""
        self.wait(1)
        self.clock.advance(0)
        self.clock.advance(MARK_TIMEOUT / 2)
        self.wait(2)
        self.clock.advance(0)
        self.wait(3)
        self.clock.advance(MARK_TIMEOUT / 2)
        self.clock.advance(0)
        self.assertEqual(sorted(self.known), [1, 2, 3])
        self.wait(4)
        self.assertEqual(self.known[3:], [4])
        self.assertEqual(self.overdue, 1)
        self.answer()
        self.wait(5)
        self.assertEqual(self.known[4:], [])

    def test_the_time_limit_holds_for_each_login(self) -> None:
        """The timer is common to all, and looks at the oldest MARK."""
        for number in range(20):
            self.wait(number)
            self.clock.advance(0)
            self.answer()
            self.clock.advance(MARK_TIMEOUT / 10)
        self.assertEqual((self.overdue, len(self.known)), (0, 20))
        self.wait(100)
        self.clock.advance(0)
        self.clock.advance(MARK_TIMEOUT - 0.01)
        self.assertNotIn(100, self.known)
        self.clock.advance(0.02)
        self.clock.advance(0)
        self.assertIn(100, self.known)

    def test_a_mark_that_cannot_be_sent(self) -> None:
        """The time limit also holds while the router does not read."""
        self.patch(self.confirmations, "_due", lambda: None)
        self.wait(1)
        self.clock.advance(MARK_TIMEOUT)
        self.clock.advance(0)
        self.assertEqual(self.known, [1])

    def test_the_callback_of_a_mark(self) -> None:
        """It waits for its answer, even if the router is not prompt."""
        self.confirmations.is_prompt = False
        self.confirmations.sent(lambda: self.known.append(1))
        self.clock.advance(0)
        self.assertEqual(self.known, [])
        self.answer()
        self.assertEqual((self.known, self.confirmations.is_prompt), ([1], True))

    def test_an_answer_without_a_mark(self) -> None:
        """It is an error of the router."""
        self.assertRaises(BodyError, self.confirmations.answered)

    def test_disconnected(self) -> None:
        """All callbacks are called, and no timer is left."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2)
        self.confirmations.disconnected()
        self.clock.advance(0)
        self.assertEqual(self.known, [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertRaises(BodyError, self.confirmations.answered)
