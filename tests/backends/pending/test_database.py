"""The messages of ordinary groups on disk: kept, done, found again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.pending.database import FILE_NAME, Left, PendingDatabase
from gobelieve.errors import BackendError
from gobelieve.interfaces import PendingMessage
from tests.protocols.logs import Events

Work = Callable[[], None]
Done = Callable[[BaseException | None], None]


class Thread:
    """`InThread` that works when it is told to."""

    def __init__(self) -> None:
        self.rounds = 0
        self._waiting: list[tuple[Work, Done]] = []

    def __call__(self, work: Work, done: Done) -> None:
        assert not self._waiting, "one at a time"
        self._waiting.append((work, done))

    def run(self, failure: BaseException | None = None) -> None:
        """Work until nothing is left; or let the next piece fail."""
        while self._waiting:
            work, done = self._waiting.pop()
            self.rounds += 1
            why = failure
            if failure is None:
                try:
                    work()
                except Exception as error:
                    why = error
            failure = None
            done(why)


def message(body: bytes = b"hello", members: tuple[int, ...] = (1, 2, 3)) -> PendingMessage:
    """User 1 to a group."""
    return PendingMessage(7, 100, 1, 5, 8, body, members, (4096, 0))


class PendingTests(SynchronousTestCase):
    """`PendingDatabase`."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.kept: list[int] = []
        self.left = self.start()

    def start(self) -> list[Left]:
        """Open it, as a daemon that starts."""
        self.thread = Thread()
        self.events = Events()
        self.pending = PendingDatabase(self.root, self.thread, self.events.log())
        return self.pending.open()

    def stop(self) -> None:
        """Close it in good order."""
        closed: list[bool] = []
        self.pending.close(lambda: closed.append(True))
        self.thread.run()
        self.assertEqual(closed, [True])

    def crash(self) -> list[Left]:
        """What another process finds in the files as they are now, after a kill."""
        copy = self.root.with_name(self.root.name + "-copy")
        copy.mkdir()
        for file in self.root.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        other = PendingDatabase(copy, Thread(), Events().log())
        left = other.open()
        other.close(lambda: None)
        for file in copy.iterdir():
            file.unlink()
        copy.rmdir()
        return left

    def keep(self, *messages: PendingMessage) -> None:
        """Keep these."""
        for one in messages:
            self.pending.keep(one, self.kept.append)

    def test_a_new_folder_is_made_and_has_nothing(self) -> None:
        """Nobody has to make it first."""
        self.assertEqual(self.left, [])
        self.assertTrue((self.root / FILE_NAME).exists())
        self.stop()

    def test_a_message_is_there_after_a_kill_once_it_was_said_to_be_kept(self) -> None:
        """With all that is known of it; and nothing is said before."""
        said = message("héllo".encode() + bytes(range(256)), members=(-5, 1, 1 << 62))
        self.keep(said)
        self.assertEqual(self.kept, [])
        self.thread.run()
        self.assertEqual(self.kept, [1])
        self.assertEqual(self.crash(), [Left(1, said, frozenset())])
        self.stop()

    def test_one_that_was_never_open_is_closed_at_once(self) -> None:
        """A daemon that could not start ends all the same."""
        closed: list[bool] = []
        PendingDatabase(self.mktemp(), Thread(), Events().log()).close(lambda: closed.append(True))
        self.assertEqual(closed, [True])
        self.stop()

    def test_a_record_that_makes_no_sense_is_left_alone_and_the_others_go_on(self) -> None:
        """The log names it; it stays in the file, and its number is not given again."""
        self.keep(message(b"a", (1, 2)), message(b"b", (3,)), message(b"c"), message(b"d"))
        self.thread.run()
        self.stop()
        with closing(sqlite3.connect(self.root / FILE_NAME)) as db, db:
            db.execute("UPDATE members SET uids = x'000000' WHERE length(uids) = 16")
            db.execute("DELETE FROM members WHERE length(uids) = 8")
            db.execute("UPDATE message SET known = x'00' WHERE number = 4")
        self.assertEqual([left.number for left in self.start()], [3])
        self.assertEqual(len(self.events.texts()), 3)
        self.keep(message(b"e"))
        self.thread.run()
        self.assertEqual(self.kept[-1], 5)
        self.stop()

    def test_what_came_meanwhile_is_written_all_together(self) -> None:
        """One sync of the disk for many; in order."""
        self.keep(message(b"first"))
        self.keep(*[message(b"%d" % number) for number in range(100)])
        self.thread.run()
        self.assertEqual(self.thread.rounds, 2)
        self.assertEqual(self.kept, list(range(1, 102)))
        bodies = [left.message.body for left in self.crash()]
        self.assertEqual(bodies, [b"first", *[b"%d" % number for number in range(100)]])
        self.stop()

    def test_parts_that_are_done_are_remembered_and_finished_messages_forgotten(self) -> None:
        """Also over a kill."""
        self.keep(message(b"one"), message(b"two"))
        self.thread.run()
        self.pending.batch_done(1, 0)
        self.pending.batch_done(1, 2)
        self.pending.batch_done(2, 0)
        self.pending.finished(2)
        self.thread.run()
        self.assertEqual(self.crash(), [Left(1, message(b"one"), frozenset({0, 2}))])
        self.stop()

    def test_numbers_go_on_behind_what_is_left(self) -> None:
        """A new message is never taken for an old one."""
        self.keep(message(), message())
        self.thread.run()
        self.stop()
        self.assertEqual([left.number for left in self.start()], [1, 2])
        self.keep(message())
        self.thread.run()
        self.assertEqual(self.kept, [1, 2, 3])
        self.stop()

    def test_a_list_of_members_is_kept_once_and_goes_with_its_last_message(self) -> None:
        """A big group that speaks a lot does not fill the disk with its members."""
        many = tuple(range(20_000))
        self.keep(*[message(members=many) for _ in range(50)])
        self.thread.run()
        self.assertLess(sum(file.stat().st_size for file in self.root.iterdir()), 1 << 20)
        for number in range(1, 51):
            self.pending.finished(number)
        self.stop()
        self.start()
        self.stop()
        with closing(sqlite3.connect(self.root / FILE_NAME)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM members").fetchone(), (0,))

    def test_a_full_disk_is_told_to_the_sender_and_to_the_log_once(self) -> None:
        """And when there is room again the next message is kept; what was done is not forgotten."""
        self.keep(message(b"before"))
        self.thread.run()
        self.pending.finished(1)
        full = sqlite3.OperationalError("database or disk is full")
        self.thread.run(full)
        self.keep(message(b"lost"))
        self.thread.run(full)
        self.assertEqual(self.kept, [1, 0])
        self.assertEqual(len(self.events.texts()), 1)
        self.assertIn("full", self.events.texts()[0])
        self.keep(message(b"after"))
        self.thread.run()
        self.assertEqual(len(self.events.texts()), 2)
        self.assertEqual([left.message.body for left in self.crash()], [b"after"])
        self.stop()

    def test_a_failed_write_leaves_nothing_of_itself(self) -> None:
        """All of a transaction, or none: here one message of it cannot be written."""
        impossible = message()._replace(device=1 << 70)
        self.keep(message(b"a"))
        self.keep(message(b"b"), impossible)  # these two go together
        self.thread.run()
        self.assertEqual(self.kept, [1, 0, 0])
        self.assertEqual([left.message.body for left in self.crash()], [b"a"])

    def test_a_stop_writes_what_was_asked_for_and_refuses_the_rest(self) -> None:
        """Nobody waits for an answer that never comes."""
        self.keep(message(b"kept"))
        closed: list[bool] = []
        self.pending.close(lambda: closed.append(True))
        self.keep(message(b"late"))
        self.assertEqual(self.kept, [0])
        self.thread.run()
        self.assertEqual((self.kept, closed), ([0, 1], [True]))
        self.assertEqual([left.message.body for left in self.start()], [b"kept"])
        self.stop()

    def test_a_stop_with_a_full_disk_comes_to_its_end(self) -> None:
        """What could not be written is found to be done the next time."""
        self.keep(message())
        self.thread.run()
        self.pending.finished(1)
        closed: list[bool] = []
        self.pending.close(lambda: closed.append(True))
        self.thread.run(sqlite3.OperationalError("database or disk is full"))
        self.assertEqual(closed, [True])

    def test_two_gateways_cannot_use_one_folder(self) -> None:
        """Each would send what the other sends."""
        other = PendingDatabase(self.root, Thread(), Events().log())
        with self.assertRaises(BackendError) as refused:
            other.open()
        self.assertIn("in use by another gateway", str(refused.exception))
        self.stop()

    def test_a_file_that_is_something_else_is_named(self) -> None:
        """And left as it is."""
        self.stop()
        path = self.root / FILE_NAME
        path.write_bytes(b"no database" * 1000)
        with self.assertRaises(BackendError) as refused:
            self.start()
        self.assertIn(FILE_NAME, str(refused.exception))
        self.assertTrue(path.read_bytes().startswith(b"no database"))

    def test_a_file_of_a_later_version_is_not_touched(self) -> None:
        """Who goes back a version learns why it does not start."""
        self.stop()
        with closing(sqlite3.connect(self.root / FILE_NAME)) as db:
            db.execute("PRAGMA user_version = 99")
        with self.assertRaises(BackendError) as refused:
            self.start()
        self.assertIn("later version", str(refused.exception))
