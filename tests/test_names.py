"""Names, statuses, shards, and the counters."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, shard, status_name, was_not_stored


class ShardTests(SynchronousTestCase):
    """The instance that has an id."""

    def test_as_upstream_shards(self) -> None:
        """The absolute value decides, as in the Go server, also for the one that has none in 64
        bits."""
        self.assertEqual([shard(id_, 4) for id_ in (0, 5, -5, 8)], [0, 1, 1, 0])
        self.assertEqual([shard(-(1 << 63), n) for n in (1, 3, 7)], [0, 2, 1])


class StatusTests(SynchronousTestCase):
    """The statuses of an ack."""

    def test_not_stored(self) -> None:
        """Exactly the statuses from 100 to 109 mean "not stored"."""
        again = [status for status in AckStatus if was_not_stored(status)]
        self.assertEqual(
            again,
            [
                AckStatus.STORAGE_AWAY,
                AckStatus.TOO_LARGE,
                AckStatus.STORAGE_FULL,
                AckStatus.STORAGE_FAILED,
                AckStatus.READ_ONLY,
                AckStatus.GROUPS_AWAY,
                AckStatus.RELATIONS_AWAY,
            ],
        )

    def test_names(self) -> None:
        """A status has a name for people; a status that we do not know is shown as its number."""
        self.assertEqual(status_name(64), "NOT_GROUP_MEMBER")
        self.assertEqual(status_name(250), "250")

    def test_they_fit_the_byte(self) -> None:
        """Every status fits the byte of an ack, which the Go server's client libraries read as
        signed."""
        self.assertTrue(all(0 <= status < 128 for status in AckStatus))


class CountersTests(SynchronousTestCase):
    """Counters that are found by their names."""

    def test_counting(self) -> None:
        """A counter that never moved is 0 and does not appear."""
        counters = Counters()
        counters.add("acks")
        counters.add("acks", 4)
        self.assertEqual(
            (counters["acks"], counters["drops"], counters.counts), (5, 0, {"acks": 5})
        )
