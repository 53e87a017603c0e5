"""Waiting until a router has taken what it was told."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.protocols.router.confirmations import MARK_TIMEOUT, Confirmations
from gobelieve.protocols.turn import ReactorTurn
from tests.fakes.world import world


class MarksTests(SynchronousTestCase):
    """However many wait."""

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
        """Send a MARK."""
        self.sent += 1
        self.confirmations.sent()

    def unanswered(self) -> None:
        """An answer is overdue."""
        self.overdue += 1

    def wait(self, *numbers: int, said: bool = True) -> None:
        """These wait, behind something that was said."""
        self.confirmations.is_needed |= said
        for number in numbers:
            self.confirmations.wait(lambda number=number: self.known.append(number))  # type: ignore[misc]

    def answer(self) -> None:
        """The oldest MARK is answered."""
        self.confirmations.answered()
        self.clock.advance(0)

    def test_one_mark_a_turn_whatever_the_number_of_logins(self) -> None:
        """And one timer."""
        self.wait(*range(1000))
        self.clock.advance(0)
        self.assertEqual(self.sent, 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.answer()
        self.assertEqual(self.known, list(range(1000)))

    def test_answers_come_in_order(self) -> None:
        """Each for those who waited when its MARK was sent."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2)
        self.clock.advance(0)
        self.answer()
        self.assertEqual(self.known, [1])
        self.answer()
        self.assertEqual(self.known, [1, 2])

    def test_who_said_nothing_new_waits_for_the_mark_under_way(self) -> None:
        """A second session of a user who has just come."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2, said=False)
        self.clock.advance(0)
        self.assertEqual((self.sent, self.known), (1, []))
        self.answer()
        self.assertEqual(self.known, [1, 2])
        self.wait(3, said=False)
        self.assertEqual(self.known, [1, 2, 3])

    def test_one_that_fails_keeps_nobody_waiting(self) -> None:
        """An error of ours, which the reactor logs."""

        def fails() -> None:
            raise ValueError("a bug")

        self.confirmations.is_needed = True
        self.confirmations.wait(fails)
        self.wait(2)
        self.clock.advance(0)
        self.assertRaises(ValueError, self.answer)
        self.clock.advance(0)
        self.assertEqual(self.known, [2])

    def test_a_late_answer_releases_all_and_ends_the_patience(self) -> None:
        """Those behind it too; said once."""
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

    def test_nobody_waits_longer_because_others_were_answered(self) -> None:
        """The timer is one for all, and looks at the oldest."""
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

    def test_who_waits_for_a_mark_that_cannot_be_sent_is_released_too(self) -> None:
        """The resubscription before it stands still, since the router does not read."""
        self.patch(self.confirmations, "_due", lambda: None)
        self.wait(1)
        self.clock.advance(MARK_TIMEOUT)
        self.clock.advance(0)
        self.assertEqual(self.known, [1])

    def test_one_that_waits_for_a_certain_mark(self) -> None:
        """However patient we are otherwise."""
        self.confirmations.is_prompt = False
        self.confirmations.sent(lambda: self.known.append(1))
        self.clock.advance(0)
        self.assertEqual(self.known, [])
        self.answer()
        self.assertEqual((self.known, self.confirmations.is_prompt), ([1], True))

    def test_an_answer_that_nobody_asked_for(self) -> None:
        """Makes no sense."""
        self.assertRaises(BodyError, self.confirmations.answered)

    def test_lost(self) -> None:
        """Nothing is left behind."""
        self.wait(1)
        self.clock.advance(0)
        self.wait(2)
        self.confirmations.disconnected()
        self.clock.advance(0)
        self.assertEqual(self.known, [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertRaises(BodyError, self.confirmations.answered)
