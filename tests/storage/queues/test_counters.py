"""The counters of storage: each message is counted once, by its result."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus, User
from gobelieve.storage.format.records import BODY_LIMIT
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import FakeThread, FakeTurn, world
from tests.storage.support import APPID, BadDisk, to_group, to_users

TAKES = 0.003
"""The duration of a sync in seconds."""


class Counting(SynchronousTestCase):
    """A storage whose disk fails when the test says so."""

    fsync = "commit"

    def setUp(self) -> None:
        self.disk = BadDisk()
        self.make()

    def make(self, **options: Any) -> None:
        """Open a storage with these options."""
        self.turn, self.thread, self.clock = FakeTurn(), FakeThread(), Clock()
        self.statuses: list[int] = []
        self.storage = Storage(
            self.mktemp(),
            world=world(turn=self.turn, time=self.clock),
            in_thread=self.thread,
            fsync=self.fsync,
            **options,
        )
        store = self.storage.store
        store.blocks._files = store.blocks._open_blocks._files = self.disk
        self.storage.open()
        self.addCleanup(store.close)
        self.counters = self.storage.counters

    def save(self, *items: Any) -> None:
        """Save these messages with one request."""
        self.storage.save(items, self.answered, None)

    def answered(self, argument: None, results: list[tuple[int, int, tuple[int, ...]]]) -> None:
        self.statuses += [status for status, _, _ in results]

    def sync(self) -> None:
        """Finish the running sync."""
        self.clock.advance(TAKES)
        self.thread.run()

    def counted(self) -> tuple[int, dict[int, int]]:
        """Return the number of stored messages, and the numbers of the others by status."""
        return self.counters.stored, {s: n for s, n in self.counters.not_stored.items() if n}

    def check(self) -> None:
        """Check that the answers agree with the counters."""
        answers = {s: self.statuses.count(s) for s in set(self.statuses)}
        self.assertEqual(self.counted(), (answers.pop(0, 0), answers))


class CountersTests(Counting):
    """Counters of messages, syncs and reads."""

    def test_stored(self) -> None:
        """A message counts as stored when it is answered as stored, not before."""
        self.save(to_users(102), to_users(103))
        self.save(to_group(3))
        self.turn.end()
        self.assertEqual((self.counters.appends, self.counters.group_appends), (3, 1))
        self.assertEqual(self.counted(), (0, {}))
        self.assertGreater(self.storage.store.blocks.written, 0)
        self.sync()
        self.assertEqual(self.counted(), (3, {}))
        self.check()

    def test_groups_that_share_a_sync(self) -> None:
        """The size of a sync and its duration are counted; later saves count for the next one."""
        self.save(to_users(102))
        self.turn.end()
        for _ in range(3):
            self.save(to_users(102))
            self.turn.end()
        self.sync()
        self.assertEqual((len(self.counters.group_sizes), self.counters.group_sizes.total), (1, 1))
        self.sync()
        self.assertEqual((len(self.counters.group_sizes), self.counters.group_sizes.total), (2, 4))
        self.assertEqual(len(self.counters.sync_seconds), 2)
        self.assertAlmostEqual(self.counters.sync_seconds.total, 2 * TAKES)
        self.check()

    def test_a_clock_that_is_set_back(self) -> None:
        """A sync has no negative duration if the clock is set back."""
        self.save(to_users(102))
        self.turn.end()
        self.clock.rightNow -= 3600
        self.thread.run()
        self.assertEqual(
            (len(self.counters.sync_seconds), self.counters.sync_seconds.total), (1, 0.0)
        )

    def test_too_large(self) -> None:
        """If one message of a request is refused, the other is stored."""
        self.save(to_users(102, body=b"x" * (BODY_LIMIT + 1)), to_users(102))
        self.turn.end()
        self.sync()
        self.assertEqual(self.counted(), (1, {AckStatus.TOO_LARGE: 1}))
        self.assertEqual(self.counters.appends, 1)
        self.assertEqual(self.storage.trouble, "")
        self.check()

    def test_no_space(self) -> None:
        """On a full disk all messages of the turn count as failed, and later ones as stored."""
        self.disk.room = 10
        self.save(to_users(102), to_users(103))
        self.save(to_group(3))
        self.turn.end()
        self.assertEqual(self.counted(), (0, {AckStatus.STORAGE_FULL: 3}))
        self.assertEqual(self.counters.writes_failed, 1)
        self.assertIn("messages cannot be stored: No space left", self.storage.trouble)
        self.disk.room = None
        self.save(to_users(102))
        self.turn.end()
        self.sync()
        self.assertEqual(self.counted(), (1, {AckStatus.STORAGE_FULL: 3}))
        self.assertEqual(self.storage.trouble, "")
        self.check()

    def test_a_sync_that_fails(self) -> None:
        """After a failed sync, written and appended messages are counted as failed too."""
        self.save(to_users(102))
        self.turn.end()
        self.save(to_users(102), to_users(103))
        self.turn.end()
        self.save(to_users(102), to_users(103, body=b"x" * (BODY_LIMIT + 1)))
        self.disk.broken = True
        self.sync()
        expected = {AckStatus.STORAGE_FAILED: 4, AckStatus.TOO_LARGE: 1}
        self.assertEqual(self.counted(), (0, expected))
        self.assertEqual(self.counters.appends, 4)
        self.assertEqual((self.counters.syncs_failed, len(self.counters.sync_seconds)), (1, 0))
        self.assertNotEqual(self.storage.trouble, "")
        self.disk.broken = False
        self.save(to_users(104))
        self.turn.end()
        self.sync()
        self.assertEqual(self.counted(), (1, expected))
        self.assertEqual(self.storage.trouble, "")
        self.check()

    def test_after_the_end(self) -> None:
        """Messages after the end are counted as such, and storage is not ready."""
        self.storage.close(lambda: None)
        self.assertEqual(self.storage.trouble, "storage ends")
        self.save(to_users(102))
        self.turn.end()
        self.assertEqual(self.counted(), (0, {AckStatus.STORAGE_AWAY: 1}))
        self.check()

    def test_a_slave(self) -> None:
        """A slave refuses messages, and counts them."""
        self.make(slave=True)
        self.save(to_users(102), to_users(103))
        self.turn.end()
        self.assertEqual(self.counted(), (0, {AckStatus.READ_ONLY: 2}))
        self.assertEqual(self.storage.trouble, "")
        self.check()

    def test_not_open(self) -> None:
        """A storage that is not open reports this as its trouble."""
        storage = Storage(self.mktemp(), world=world(turn=self.turn), in_thread=self.thread)
        self.assertEqual(storage.trouble, "storage is not open")

    def test_reads(self) -> None:
        """Reads and the messages in their answers are counted, but not a read that fails."""
        for _ in range(3):
            self.save(to_users(102))
        self.turn.end()
        self.sync()
        user = User(APPID, 102)
        self.storage.fetch(user, 0)
        self.storage.fetch_latest(user, 2)
        self.storage.count_new(user, 0)
        self.storage.fetch_group(user, 0)
        self.assertEqual((self.counters.reads, self.counters.messages_read), (4, 5))
        self.disk.unreadable = True
        self.assertRaises(StorageError, self.storage.fetch, user, 0)
        self.assertEqual((self.counters.reads, self.counters.messages_read), (4, 5))

    def test_queues(self) -> None:
        """The queues of each kind are counted over all apps."""
        self.save(to_users(102), to_users(103), to_users(102), to_group(3), to_group(3))
        index = self.storage.store.index
        self.assertEqual((index.count(USERS), index.count(SUPER_GROUPS)), (2, 1))


class IntervalTests(Counting):
    """Counters with a policy that answers before the sync."""

    fsync = "interval"

    def test_stored_when_written(self) -> None:
        """A message counts as stored when it is written, and a failed sync does not change that."""
        self.save(to_users(102), to_users(103))
        self.turn.end()
        self.assertEqual(self.counted(), (2, {}))
        self.clock.advance(1)
        self.disk.broken = True
        self.sync()
        self.assertEqual((self.counted(), self.counters.syncs_failed), ((2, {}), 1))
        self.assertNotEqual(self.storage.trouble, "")
        self.disk.broken = False
        self.save(to_users(102))
        self.turn.end()
        self.clock.advance(1)
        self.sync()
        self.assertEqual(self.counted(), (3, {}))
        self.assertEqual(self.counters.group_sizes.total, 1)
        self.assertEqual(self.storage.trouble, "")
        self.check()
