"""The lag of a slave."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.storage.replication.slaves import Slave


class LagTests(SynchronousTestCase):
    """The lag of a slave in bytes and seconds."""

    def test_a_slave_that_keeps_up(self) -> None:
        """A slave that keeps up lags only by the time since its last report."""
        slave = Slave("10.0.0.2:1")
        self.assertEqual(slave.lag_seconds(5.0), 0)
        for now in range(10):
            slave.note(100 * (now + 1), float(now))
            self.assertEqual(slave.lag_seconds(now + 0.5), 0.5)
            slave.durable = 100 * (now + 1)
            self.assertEqual(slave.lag_seconds(now + 0.5), 0)

    def test_a_slave_that_says_nothing(self) -> None:
        """A slave of the Go server, which does not report, lags by what was not sent to it yet."""
        slave = Slave("10.0.0.2:1")
        slave.sent = 500
        slave.note(700, 1.0)
        self.assertEqual((slave.lag_bytes(700), slave.lag_seconds(3.0)), (200, 2.0))
        slave.sent = 700
        slave.note(700, 4.0)
        self.assertEqual((slave.lag_bytes(700), slave.lag_seconds(5.0)), (0, 0.0))
        slave.note(900, 6.0)
        self.assertEqual(slave.lag_seconds(7.0), 1.0)
