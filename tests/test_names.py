"""Names, statuses, shards, and the counters."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, shard, status_name, was_not_stored


class ShardTests(SynchronousTestCase):
    """Which instance has an id."""

    def test_as_upstream_shards(self) -> None:
        """By the absolute value, also for the one that has none in 64 bits."""
        self.assertEqual([shard(id_, 4) for id_ in (0, 5, -5, 8)], [0, 1, 1, 0])
        self.assertEqual([shard(-(1 << 63), n) for n in (1, 3, 7)], [0, 2, 1])


class StatusTests(SynchronousTestCase):
    """Which refusals are not refusals."""

    def test_not_stored(self) -> None:
        """Exactly those from 100 to 109."""
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
        """For people; a status that is newer than we are is its number."""
        self.assertEqual(status_name(64), "NOT_GROUP_MEMBER")
        self.assertEqual(status_name(250), "250")

    def test_they_fit_the_byte(self) -> None:
        """That an ack has for them; upstream's client libraries read it as signed."""
        self.assertTrue(all(0 <= status < 128 for status in AckStatus))


class TallyTests(SynchronousTestCase):
    """Counters."""

    def test_counting(self) -> None:
        """One that never moved is 0 and does not appear."""
        counters = Counters()
        counters.add("acks")
        counters.add("acks", 4)
        self.assertEqual(
            (counters["acks"], counters["drops"], counters.counts), (5, 0, {"acks": 5})
        )
