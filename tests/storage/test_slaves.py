"""How far a slave is behind."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.storage.slaves import Slave


class LagTests(SynchronousTestCase):
    """How long a slave is behind."""

    def test_a_slave_that_keeps_up(self) -> None:
        """Is behind by what its last report took, not since the beginning."""
        slave = Slave("10.0.0.2:1")
        self.assertEqual(slave.lag_seconds(5.0), 0)
        for now in range(10):
            slave.note(100 * (now + 1), float(now))
            self.assertEqual(slave.lag_seconds(now + 0.5), 0.5)
            slave.durable = 100 * (now + 1)
            self.assertEqual(slave.lag_seconds(now + 0.5), 0)
