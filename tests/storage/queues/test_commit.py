"""Group commit: when each save is answered, and with which results."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import AckStatus, User
from gobelieve.storage.format.records import BLOCK_SIZE, FIRST_OFFSET
from gobelieve.storage.queues.commit import GroupCommit, Policy, Result
from gobelieve.storage.queues.store import Store
from tests.fakes.world import FakeThread, FakeTurn, Lines, world
from tests.storage.support import APPID, BadDisk, bodies, open_store, to_users

BOB = User(APPID, 102)


class CommitCase(SynchronousTestCase):
    """A store with its group commit. Turns and syncs happen when the test says so."""

    policy = Policy.COMMIT
    block_size = BLOCK_SIZE

    def setUp(self) -> None:
        self.disk = BadDisk()
        self.log = Lines()
        self.root = self.mktemp()
        self.store = self.open()
        self.addCleanup(lambda: self.store.close())
        self.turn, self.thread, self.clock = FakeTurn(), FakeThread(), Clock()
        self.commits = GroupCommit(
            self.store,
            world=world(turn=self.turn, time=self.clock, log=self.log),
            in_thread=self.thread,
            policy=self.policy,
            interval=1.0,
        )
        self.answers: list[tuple[Any, list[Result]]] = []

    def open(self) -> Store:
        return open_store(self.root, files=self.disk, log=self.log, block_size=self.block_size)

    def save(self, *messages: bytes, argument: Any = None) -> None:
        items = [to_users(102, body=message) for message in messages]
        self.commits.save(items, self.done, argument or messages[0])

    def done(self, argument: Any, results: list[Result]) -> None:
        self.answers.append((argument, results))

    def statuses(self) -> dict[Any, list[int]]:
        return {argument: [r[0] for r in results] for argument, results in self.answers}

    def read(self) -> list[bytes]:
        return bodies(self.store.reader.fetch(BOB, 0, 3000))


class CommitTests(CommitCase):
    """The default policy: no save is answered before it is on disk."""

    def test_order(self) -> None:
        """Saves are written at the turn's end, synced in the thread, and answered in order."""
        self.save(b"one", b"two")
        self.save(b"three")
        self.assertEqual(self.thread.waiting, [])
        self.turn.end()
        self.assertEqual((len(self.thread.waiting), self.answers, self.read()), (1, [], []))
        self.thread.run()
        msgids = [m.msgid for m in self.store.reader.fetch(BOB, 0, 9).messages]
        self.assertEqual(
            self.answers,
            [
                (b"one", [(0, msgids[0], (0,)), (0, msgids[1], (msgids[0],))]),
                (b"three", [(0, msgids[2], (msgids[1],))]),
            ],
        )

    def test_one_sync_at_a_time(self) -> None:
        """Saves that come during a sync are written at once, and share the next sync."""
        self.save(b"one")
        self.turn.end()
        for message in (b"two", b"three"):
            self.save(message)
            self.turn.end()
            self.assertEqual(len(self.thread.waiting), 1)
        self.save(b"four")
        self.thread.run()
        self.assertEqual(list(self.statuses()), [b"one"])
        self.assertEqual(self.read(), [b"one"])
        self.thread.run()
        self.assertEqual(list(self.statuses()), [b"one", b"two", b"three"])
        self.assertEqual(self.thread.waiting, [])
        self.turn.end()
        self.thread.run()
        self.assertEqual(self.thread.worked, 3)
        self.assertEqual(list(self.statuses()), [b"one", b"two", b"three", b"four"])

    def test_one_write_a_turn(self) -> None:
        """All saves of a turn are one write."""
        writes = []
        real = self.disk.pwrite
        self.disk.pwrite = lambda *args: writes.append(args) or real(*args)  # type: ignore
        for n in range(50):
            self.save(b"%d" % n)
        self.turn.end()
        self.assertEqual(len(writes), 1)

    def test_too_large(self) -> None:
        """A refused save does not affect the others, and is answered at the turn's end."""
        self.save(b"one", bytes(32768), b"two", argument="mixed")
        self.turn.end()
        self.thread.run()
        self.assertEqual(self.statuses(), {"mixed": [0, AckStatus.TOO_LARGE, 0]})
        self.save(bytes(32768), argument="alone")
        self.turn.end()
        self.assertEqual(self.statuses()["alone"], [AckStatus.TOO_LARGE])
        self.assertEqual(self.thread.waiting, [])

    def test_nothing(self) -> None:
        """A save without items is answered too."""
        self.commits.save([], self.done, "empty")
        self.turn.end()
        self.assertEqual(self.answers, [("empty", [])])

    def test_nothing_is_answered_when_all_before_is_there_to_be_read(self) -> None:
        """A save without items waits for the sync of earlier saves, and causes no sync."""
        self.save(b"one")
        self.turn.end()
        self.commits.save([], self.done, "behind one")
        self.turn.end()
        self.save(b"two")
        self.turn.end()
        self.commits.save([], self.done, "behind two")
        self.turn.end()
        self.assertEqual(self.answers, [])
        self.thread.run()
        self.assertEqual(list(self.statuses()), [b"one", "behind one"])
        self.thread.run()
        self.assertEqual(list(self.statuses()), [b"one", "behind one", b"two", "behind two"])
        self.assertEqual((self.thread.waiting, self.read()), ([], [b"one", b"two"]))

    def test_nothing_is_answered_too_if_what_was_before_is_taken_back(self) -> None:
        """A save without items is answered when earlier saves are taken back."""
        self.save(b"one")
        self.turn.end()
        self.commits.save([], self.done, "behind")
        self.turn.end()
        self.disk.broken = True
        self.thread.run()
        self.assertEqual(self.answers[1:], [("behind", [])])
        self.assertEqual(self.read(), [])

    def test_disk_full(self) -> None:
        """On a full disk only the saves of that turn fail. Later ones succeed when it has space."""
        self.save(b"one")
        self.turn.end()
        self.disk.room = 30
        for message in (b"two", b"three"):
            self.save(message)
            self.turn.end()
        full = [AckStatus.STORAGE_FULL]
        self.assertEqual(self.statuses(), {b"two": full, b"three": full})
        self.thread.run()
        self.assertEqual(self.statuses()[b"one"], [0])
        self.assertNotIn("messages are stored again", self.log.of("info"))
        self.disk.room = None
        self.save(b"four")
        self.turn.end()
        self.thread.run()
        self.assertEqual(self.statuses()[b"four"], [0])
        self.assertEqual(self.read(), [b"one", b"four"])
        self.assertEqual(
            self.log.of("error"), ["messages cannot be stored: No space left on device"]
        )
        self.assertEqual(self.log.of("info")[-1], "messages are stored again")

    def test_failed_sync(self) -> None:
        """After a failed sync all saves since the last good one fail, also those of this turn."""
        self.save(b"zero")
        self.turn.end()
        self.thread.run()
        self.save(b"one")
        self.turn.end()
        self.save(b"two")
        self.turn.end()
        self.save(b"three", bytes(32768))
        self.disk.broken = True
        self.thread.run()
        failed = AckStatus.STORAGE_FAILED
        self.assertEqual(self.statuses(), {b"zero": [0], b"one": [failed], b"two": [failed]})
        self.disk.broken = False
        self.save(b"four")
        self.turn.end()
        self.thread.run()
        self.assertEqual(self.statuses()[b"three"], [failed, AckStatus.TOO_LARGE])
        self.assertEqual(self.statuses()[b"four"], [0])
        self.assertEqual(self.read(), [b"zero", b"four"])
        # The ids of the failed saves are given again.
        self.assertEqual(self.answers[-1][1], [(0, FIRST_OFFSET + 24 + 84, (FIRST_OFFSET,))])

    def test_callback_that_raises(self) -> None:
        """A bug in one callback does not leave the other saves without an answer."""

        def bad(argument: Any, results: list[Result]) -> None:
            raise RuntimeError("a bug")

        self.commits.save([to_users(102)], bad, None)
        self.save(b"two")
        self.turn.end()
        self.assertRaises(RuntimeError, self.thread.run)
        self.assertEqual(self.statuses(), {b"two": [0]})
        self.save(b"three")
        self.commits.save([to_users(102)], bad, None)
        closed: list[str] = []
        self.commits.close(lambda: closed.append("closed"))
        self.turn.end()
        self.assertRaises(RuntimeError, self.thread.run)
        self.assertEqual(self.statuses()[b"three"], [0])
        self.assertEqual(closed, ["closed"])


class SmallBlocksTests(CommitCase):
    """Saves that begin new blocks."""

    block_size = 300

    def test_failed_close(self) -> None:
        """A full block whose file closes with an error is on disk, and its saves are stored."""
        self.disk.sour = True
        for message in (b"one", b"two" * 30, b"three"):
            self.save(message)
            self.turn.end()
        while self.thread.waiting:
            self.thread.run()
        self.assertEqual(list(self.statuses().values()), [[0], [0], [0]])
        closed: list[str] = []
        self.commits.close(lambda: closed.append("closed"))
        self.turn.end()
        self.store.close()
        self.assertEqual((closed, self.disk.opened), (["closed"], set()))

    def test_file_that_is_cut_off_during_a_sync(self) -> None:
        """A file that is removed late, during a sync, does not let good saves fail."""
        self.save(b"one")
        self.turn.end()
        self.save(b"two")
        self.turn.end()
        real = self.disk.unlink
        self.disk.room, self.disk.unlink = 100, self.disk.fails
        self.save(b"lost", b"lost", b"lost")
        self.turn.end()
        self.thread.run()
        # Now it is removed, but the sync has begun, and the disk is still full.
        self.disk.room, self.disk.unlink = 0, real
        self.save(b"three")
        self.turn.end()
        self.thread.run()
        self.assertEqual(self.statuses()[b"two"], [0])
        self.disk.room = None
        self.save(b"four")
        self.turn.end()
        self.thread.run()
        self.store.close()
        self.store = self.open()
        self.assertEqual(self.read(), [b"one", b"two", b"four"])


class CloseTests(CommitCase):
    """The end of storage."""

    def close(self) -> list[str]:
        closed: list[str] = []
        self.commits.close(lambda: closed.append("closed"))
        return closed

    def test_idle(self) -> None:
        """Without work it closes at the turn's end."""
        closed = self.close()
        self.assertEqual(closed, [])
        self.turn.end()
        self.assertEqual(closed, ["closed"])

    def test_all_is_finished(self) -> None:
        """Running, written and new saves are synced and answered before the end."""
        self.save(b"one")
        self.turn.end()
        self.save(b"two")
        self.turn.end()
        self.save(b"three")
        closed = self.close()
        self.save(b"late")
        self.turn.end()
        self.assertEqual(closed, [])
        self.thread.run()
        self.assertEqual(closed, [])
        self.thread.run()
        self.assertEqual(closed, ["closed"])
        self.assertEqual(
            self.statuses(),
            {b"one": [0], b"two": [0], b"three": [0], b"late": [AckStatus.STORAGE_AWAY]},
        )
        self.assertEqual(self.thread.waiting, [])

    def test_after(self) -> None:
        """Later saves are answered, and a second close is called back too."""
        self.close()
        self.turn.end()
        self.store.close()
        self.save(b"late")
        closed = self.close()
        self.turn.end()
        self.assertEqual(self.statuses(), {b"late": [AckStatus.STORAGE_AWAY]})
        self.assertEqual(closed, ["closed"])

    def test_failing_disk(self) -> None:
        """Storage closes even if the last sync fails, and the saves get the error."""
        self.disk.broken = True
        self.save(b"one")
        closed = self.close()
        self.turn.end()
        self.thread.run()
        self.assertEqual(closed, ["closed"])
        self.assertEqual(self.statuses(), {b"one": [AckStatus.STORAGE_FAILED]})


class IntervalTests(CommitCase):
    """The policy `interval`: answers after the write, and a sync now and then."""

    policy = Policy.INTERVAL

    def test_answer_then_sync(self) -> None:
        """A save is answered and readable at the turn's end, with at most one sync per interval."""
        for message in (b"one", b"two"):
            self.save(message)
            self.turn.end()
        self.assertEqual(self.statuses(), {b"one": [0], b"two": [0]})
        self.assertEqual(self.read(), [b"one", b"two"])
        self.clock.advance(0.9)
        self.assertEqual(self.thread.waiting, [])
        self.clock.advance(0.2)
        self.thread.run()
        self.clock.advance(5)
        self.assertEqual((self.thread.worked, self.thread.waiting), (1, []))

    def test_slow_sync(self) -> None:
        """If a sync takes longer than the interval, another one follows for new saves."""
        self.save(b"one")
        self.turn.end()
        self.clock.advance(1)
        self.save(b"two")
        self.turn.end()
        self.clock.pump([1, 1, 1])
        self.assertEqual(len(self.thread.waiting), 1)
        self.thread.run()
        self.clock.advance(1)
        self.thread.run()
        self.assertEqual(self.thread.worked, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failed_sync(self) -> None:
        """A failed sync is logged, and the answered saves stay."""
        self.save(b"one")
        self.turn.end()
        self.disk.broken = True
        self.clock.advance(1)
        self.thread.run()
        self.assertEqual(self.log.of("error"), ["messages cannot be stored: Input/output error"])
        self.assertEqual(self.read(), [b"one"])

    def test_close(self) -> None:
        """A clean end syncs, and leaves no timer."""
        self.save(b"one")
        self.turn.end()
        closed: list[str] = []
        self.commits.close(lambda: closed.append("closed"))
        self.turn.end()
        self.assertEqual(closed, [])
        self.thread.run()
        self.assertEqual(closed, ["closed"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_disk_that_only_fails_to_sync(self) -> None:
        """Failing syncs are logged once, and so is the first sync that works again."""
        self.disk.broken = True
        for message in (b"one", b"two", b"three"):
            self.save(message)
            self.turn.end()
            self.clock.advance(1)
            self.thread.run()
        self.assertEqual(len(self.log.of("error")), 1)
        self.assertNotIn("messages are stored again", self.log.of("info"))
        self.disk.broken = False
        self.save(b"four")
        self.turn.end()
        self.assertNotIn("messages are stored again", self.log.of("info"))
        self.clock.advance(1)
        self.thread.run()
        self.assertEqual(self.log.of("info")[-1], "messages are stored again")

    def test_disk_full(self) -> None:
        """The next write ends the trouble of a full disk. A sync of earlier saves does not."""
        self.save(b"one")
        self.turn.end()
        self.disk.room = 30
        self.save(b"two")
        self.turn.end()
        self.clock.advance(1)
        self.thread.run()
        self.assertNotIn("messages are stored again", self.log.of("info"))
        self.disk.room = None
        self.save(b"three")
        self.turn.end()
        self.assertEqual(self.log.of("info")[-1], "messages are stored again")
        self.assertEqual(self.read(), [b"one", b"three"])


class NeverTests(CommitCase):
    """The policy `never`: answers after the write, and a sync only at the end."""

    policy = Policy.NEVER

    def test_no_sync(self) -> None:
        """A save is answered and readable at the turn's end, and is synced only by the close."""
        self.save(b"one")
        self.turn.end()
        self.assertEqual((self.statuses(), self.read()), ({b"one": [0]}, [b"one"]))
        self.clock.advance(100)
        self.assertEqual(self.thread.waiting, [])
        self.commits.close(lambda: None)
        self.turn.end()
        self.thread.run()


class NeverSmallBlocksTests(CommitCase):
    """The policy `never` where new blocks are begun."""

    policy = Policy.NEVER
    block_size = 300

    def test_descriptors(self) -> None:
        """Few blocks are open, however many are filled, and a failed sync is tried again."""
        for number in range(200):
            self.disk.broken = number % 50 < 10
            self.save(b"%03d" % number + bytes(100))
            self.turn.end()
            while self.thread.waiting:
                self.thread.run()
            self.assertLess(len(self.disk.opened), 20)
        self.assertLessEqual(len(self.disk.opened), 5)
        self.assertEqual(len(self.log.of("error")), 4)
        self.assertEqual(self.log.of("info").count("messages are stored again"), 4)
        self.assertEqual({status for (status,) in self.statuses().values()}, {0})
        self.assertEqual(len(self.read()), 200)
