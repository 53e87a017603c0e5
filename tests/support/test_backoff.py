"""The delays between attempts."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.support.backoff import Backoff


class BackoffTests(SynchronousTestCase):
    """Each delay is longer than the one before, up to a limit."""

    def test_delays_double(self) -> None:
        """The limit is reached exactly and kept."""
        backoff = Backoff(0.5, 3.0)
        self.assertEqual([backoff.next() for _ in range(5)], [0.5, 1.0, 2.0, 3.0, 3.0])
        self.assertEqual(backoff.failures, 5)

    def test_reset(self) -> None:
        """After a success the delays begin with the first one."""
        backoff = Backoff(1.0, 9.0, factor=3.0)
        delays = [backoff.next(), backoff.next()]
        backoff.reset()
        self.assertEqual([*delays, backoff.next()], [1.0, 3.0, 1.0])
        self.assertEqual(backoff.failures, 1)

    def test_many_failures(self) -> None:
        """Years of failures do not overflow a float."""
        backoff = Backoff(0.1, 5.0)
        self.assertEqual(max(backoff.next() for _ in range(10_000)), 5.0)
