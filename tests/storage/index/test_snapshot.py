"""The snapshot of the index: the start gives the same result with it, only faster."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import User
from gobelieve.storage.files.files import Files
from gobelieve.storage.format.records import (
    ENTRIES_PER_BATCH,
    FIRST_OFFSET,
    pack_entry,
    pack_message,
)
from gobelieve.storage.index.heads import LAST_BATCH
from gobelieve.storage.queues.store import Store
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import FakeThread, FakeTurn, Lines, world
from tests.storage.support import (
    APPID,
    BadDisk,
    QuickFiles,
    bodies,
    pages,
    save,
    to_group,
    to_users,
)

SMALL = 1024
"""The length of a block that is full after a few saves."""
NEVER = 1 << 60
USER_IDS, GROUPS = (101, 102, 103), (500, 501)
Seen = dict[tuple[int, int], list[bytes]]


def started(
    root: Path,
    thread: FakeThread | None = None,
    *,
    every: int = NEVER,
    files: Files | None = None,
    log: Lines | None = None,
) -> Store:
    """Return an opened store."""
    store = Store(
        str(root),
        world=world(log=log),
        block_size=SMALL,
        files=files or QuickFiles(),
        in_thread=thread or FakeThread(),
        snapshot_every=every,
    )
    store.open()
    return store


def left(store: Store, thread: FakeThread) -> None:
    """Close a store with a last snapshot."""
    ended: list[int] = []
    store.close_with_snapshot(lambda: ended.append(1))
    while thread.waiting:
        assert not ended
        thread.run()
    assert ended == [1]


def seen(store: Store) -> Seen:
    """Return everything that readers get."""
    found: Seen = {}
    for uid in USER_IDS:
        user = User(APPID, uid)
        parts = [bodies(p) for p in pages(lambda after: store.reader.fetch(user, after, 3))]  # noqa: B023
        found[USERS, uid] = [body for part in parts for body in part]
    for gid in GROUPS:
        group = User(APPID, gid)
        fetch = store.reader.fetch_group
        parts = [bodies(p) for p in pages(lambda after: fetch(group, after, 0, 3))]  # noqa: B023
        found[SUPER_GROUPS, gid] = [body for part in parts for body in part]
    return found


def heads(store: Store) -> object:
    """Return the whole index."""
    names = [(USERS, APPID, uid) for uid in USER_IDS]
    names += [(SUPER_GROUPS, APPID, gid) for gid in GROUPS]
    return {name: store.head(*name) for name in names}


def rebuilt(root: Path) -> tuple[object, dict[int, int], Seen, object]:
    """Return what a start without a snapshot finds in a directory, without changing it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("heads*"))
        return facts(copy)


def facts(root: Path) -> tuple[object, dict[int, int], Seen, object]:
    """Return what a start finds in a directory."""
    store = started(root)
    try:
        return heads(store), store.reader.bridges, seen(store), store.blocks.end
    finally:
        store.close()


def position(root: Path) -> int:
    """Return the id up to which the snapshot is right; 0 if there is none."""
    path = root / "heads"
    if not path.exists():
        return 0
    number, offset = Struct("=2q").unpack_from(path.read_bytes(), 24)
    return int(number * SMALL + offset)


class SnapshotCase(SynchronousTestCase):
    """A directory of small blocks."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.thread, self.log = FakeThread(), Lines()

    def start(self, every: int = NEVER, files: Files | None = None) -> Store:
        self.log = Lines()
        store = started(self.root, self.thread, every=every, files=files, log=self.log)
        self.addCleanup(store.close)
        return store

    def filled(self) -> Store:
        """Return a store with some messages in several blocks."""
        store = self.start()
        for n in range(20):
            save(store, to_users(101, 102, body=b"to users %d" % n), to_group(500, b"%d" % n))
        return store

    def damage(self, id_: int) -> None:
        number, offset = divmod(id_, SMALL)
        with (self.root / f"message_{number}").open("r+b") as file:
            file.seek(offset)
            old = file.read(1)
            file.seek(offset)
            file.write(bytes([old[0] ^ 0xFF]))


class CleanEndTests(SnapshotCase):
    """A daemon that was stopped and started again."""

    def test_nothing_is_read_again(self) -> None:
        """All messages are there, and nothing before the snapshot is read."""
        store = self.filled()
        before = (heads(store), seen(store))
        left(store, self.thread)
        self.assertEqual(position(self.root), store.blocks.end[0] * SMALL + store.blocks.end[1])
        self.damage(FIRST_OFFSET + 17)
        store = self.start()
        self.assertEqual(self.log.of("warn", "error"), [])
        self.assertEqual(heads(store), before[0])
        save(store, to_users(101, body=b"more"))
        store.close()
        store = self.start()
        self.assertEqual(seen(store)[USERS, 101][-1], b"more")

    def test_not_an_unknown_file(self) -> None:
        """The snapshot is not an unknown file, and neither is an unfinished one."""
        left(self.filled(), self.thread)
        (self.root / "heads.new").write_bytes(b"half of")
        self.start()
        self.assertEqual(self.log.of("warn", "error"), [])

    def test_only_when_there_is_news(self) -> None:
        """A daemon that stored nothing leaves the snapshot as it is."""
        left(self.filled(), self.thread)
        before = (self.root / "heads").stat().st_ino
        left(self.start(), self.thread)
        self.assertEqual((self.root / "heads").stat().st_ino, before)

    def test_by_storage(self) -> None:
        """Closing storage writes a snapshot, and ends when it is on disk."""
        turn = FakeTurn()
        calls: list[object] = []
        for _ in range(2):
            storage = Storage(
                str(self.root), world=world(turn=turn, log=self.log), in_thread=self.thread
            )
            storage.open()
            storage.save([to_users(101)], lambda *args: calls.append(args), None)
            storage.close(lambda: calls.append(self.root.joinpath("heads").exists()))
            turn.end()
            while self.thread.waiting:
                self.thread.run()
                turn.end()
        self.assertEqual(calls[1], True)
        self.assertEqual(len(calls), 4)
        self.assertNotIn("all blocks are read", "".join(self.log.of("info")))

    def test_asked_twice(self) -> None:
        """Every caller of `close_with_snapshot` is called when the store is closed."""
        store = self.filled()
        calls: list[int] = []
        store.close_with_snapshot(lambda: calls.append(1))
        store.close_with_snapshot(lambda: calls.append(2))
        while self.thread.waiting:
            self.thread.run()
        self.assertEqual(calls, [1, 2])
        self.assertEqual(facts(self.root), rebuilt(self.root))

    def test_all_kinds(self) -> None:
        """Queues of several apps and kinds with the same owners are kept apart."""
        store = self.start()
        for appid in (7, 8):
            for kind in (USERS, SUPER_GROUPS):
                for owner in (1, -1, 1 << 62):
                    save(store, to_users(1)._replace(kind=kind, queues=(appid, owner)))
        expected = list(store.index.values)
        left(store, self.thread)
        index = self.start().index
        self.assertEqual(list(index.values), expected)
        self.assertEqual(index.place(SUPER_GROUPS, 8, -1), 10 * 5)
        self.assertEqual(index.place(SUPER_GROUPS, 9, 1), 12 * 5)


class RefusalTests(SnapshotCase):
    """A refused snapshot: all blocks are read, and the log says why."""

    def refused(self, why: str) -> None:
        expected = rebuilt(self.root)
        store = self.start()
        found = (heads(store), store.reader.bridges, seen(store), store.blocks.end)
        self.assertEqual(found, expected)
        store.close()
        self.assertIn(why, self.log.of("info")[0])
        self.assertIn("all blocks are read", self.log.of("info")[0])
        self.assertFalse((self.root / "heads").exists())

    def test_every_byte(self) -> None:
        """A snapshot with any wrong byte, or that is cut off anywhere, is refused."""
        left(self.filled(), self.thread)
        path = self.root / "heads"
        whole = path.read_bytes()
        expected = rebuilt(self.root)
        for place in range(len(whole)):
            for data in (
                whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :],
                whole[:place],
            ):
                path.write_bytes(data)
                store = self.start()
                self.assertIn("of no use", self.log.of("info")[0])
                self.assertEqual(heads(store), expected[0])
                store.close()
        path.write_bytes(whole + b"\0")
        self.refused("its checksum is wrong")

    def test_none(self) -> None:
        """All blocks are read if there is no snapshot, as after the Go server or an early kill."""
        self.filled().close()
        self.refused("there is no snapshot")

    def test_later_version(self) -> None:
        """A snapshot of a later version, or of blocks of another length, is refused."""
        for offset, why in ((8, "has another format"), (16, "of blocks of 1025 bytes")):
            left(self.filled(), self.thread)
            path = self.root / "heads"
            data = bytearray(path.read_bytes())
            data[offset] += 1
            path.write_bytes(data[:-4] + crc32(data[:-4]).to_bytes(4, sys.byteorder))
            self.refused(why)
            shutil.rmtree(self.root)

    def test_another_directory(self) -> None:
        """A snapshot of other blocks is refused, longer and shorter ones."""
        left(self.filled(), self.thread)
        data = (self.root / "heads").read_bytes()
        shutil.rmtree(self.root)
        for count, why in ((1, "is not there"), (40, "has other records")):
            store = self.start()
            for n in range(count):
                save(store, to_users(103, 101, body=b"of another %d" % n))
                save(store, to_users(102, body=b"of another %d" % n))
            left(store, self.thread)
            (self.root / "heads").write_bytes(data)
            self.refused(why)
            shutil.rmtree(self.root)

    def test_other_records(self) -> None:
        """A snapshot is refused if blocks were replaced by others of the same length."""
        store = self.filled()
        left(store, self.thread)
        self.damage(position(self.root) - 30)
        self.refused("has other records")

    def test_shorter(self) -> None:
        """A snapshot is refused if the block of its position, or the one before, was cut."""
        for back, why in ((0, "is shorter"), (1, "has other records")):
            store = self.filled()
            left(store, self.thread)
            number, _ = store.blocks.end
            path = self.root / f"message_{number - back}"
            os.truncate(path, path.stat().st_size - 1)
            self.refused(why)
            shutil.rmtree(self.root)

    def test_missing_blocks(self) -> None:
        """A snapshot is refused if the oldest or the newest blocks were removed."""
        for newest in (False, True):
            store = self.filled()
            left(store, self.thread)
            numbers = store.blocks.numbers
            (self.root / f"message_{numbers[-1 if newest else 0]}").unlink()
            self.refused("is not there" if newest else "there were other blocks")
            shutil.rmtree(self.root)


class RunningTests(SnapshotCase):
    """Snapshots that are written while saves go on."""

    def crash(self, store: Store) -> None:
        store.close()
        self.thread.waiting = []

    def test_of_its_moment(self) -> None:
        """A snapshot has what was durable when it began, whatever is saved while it is written."""
        store = self.start(every=300)
        save(store, to_users(101, 102, body=b"one"))
        self.assertEqual(self.thread.waiting, [])
        save(store, to_group(500, b"two"))
        moment = store.blocks.end
        store.append(to_users(102, 103, body=b"three"))
        self.thread.run()
        store.flush()
        store.append(to_users(103, 101, body=b"four"))
        self.thread.run()
        self.assertEqual(divmod(position(self.root), SMALL), moment)
        store.flush()
        self.crash(store)
        self.assertEqual(facts(self.root), rebuilt(self.root))

    def test_what_was_taken_back(self) -> None:
        """Saves that failed while the snapshot was written are not in it."""
        disk = BadDisk()
        store = self.start(every=100, files=disk)
        save(store, to_users(101, body=b"one"))
        store.append(to_users(101, 102, body=b"two"))
        store.flush()
        store.begin_sync()
        store.append(to_users(101, 103, body=b"three"))
        self.thread.run()
        store.take_back()
        self.thread.run()
        self.crash(store)
        self.assertEqual(facts(self.root)[2][USERS, 101], [b"one"])
        self.assertEqual(facts(self.root), rebuilt(self.root))

    def test_not_before_it_is_durable(self) -> None:
        """A sync that fails does not cause a snapshot."""
        store = self.start(every=100)
        store.append(to_users(101))
        store.flush()
        store.begin_sync()
        self.assertEqual(self.thread.waiting, [])
        store.take_back()
        save(store, to_users(102))
        self.thread.run()
        self.thread.run()
        self.crash(store)
        self.assertEqual(facts(self.root), rebuilt(self.root))

    def test_after_a_failed_sync_that_was_answered(self) -> None:
        """After a failed sync of answered saves no snapshot is written, not even at the end."""
        store = self.start(every=100)
        store.append(to_users(101))
        store.flush()
        store.show_written()
        store.begin_sync()
        save(store, to_users(102))
        left(store, self.thread)
        self.assertFalse((self.root / "heads").exists())

    def test_none_will_be_taken(self) -> None:
        """Old heads are not kept if no snapshot will be written.

        Otherwise all would be kept in the end.
        """
        store = self.start(every=100)
        for _ in range(3):
            store.append(to_users(101))
            store.flush()
            store.show_written()
            store.begin_sync()
        self.assertIsNone(store.snapshots._overwritten)

    def test_no_space(self) -> None:
        """A snapshot that fails is logged once, the old one stays, and a later one is tried."""
        disk = BadDisk()
        store = self.start(every=300, files=disk)
        save(store, to_users(101, 102))
        save(store, to_users(101, 102))
        self.thread.run()
        disk.room = 0
        self.thread.run()
        self.assertEqual(len(self.log.of("error")), 1)
        self.assertIn("No space left on device", self.log.of("error")[0])
        self.assertEqual(sorted(os.listdir(self.root)), ["durable", "lock", "message_0"])
        disk.room = None
        save(store, to_users(101, 102))
        self.assertEqual(self.thread.waiting, [])
        left(store, self.thread)
        self.assertEqual(facts(self.root), rebuilt(self.root))
        self.assertEqual(disk.opened, set())

    def test_what_there_is(self) -> None:
        """The status names the snapshot that is on disk, also when the next one fails."""
        left(self.filled(), self.thread)
        disk = BadDisk()
        store = self.start(every=1, files=disk)
        self.assertEqual(store.snapshots.stated, position(self.root))
        save(store, to_users(101))
        disk.room = 0
        while self.thread.waiting:
            self.thread.run()
        self.assertEqual(len(self.log.of("error")), 1)
        self.assertEqual(store.snapshots.stated, position(self.root))
        store.snapshots.distrust(FIRST_OFFSET)
        self.assertEqual((store.snapshots.stated, position(self.root)), (None, 0))

    def test_end_while_one_is_written(self) -> None:
        """The end waits for the running snapshot, and writes another if more was saved."""
        store = self.start(every=100)
        save(store, to_users(101, 102))
        save(store, to_users(101, 103))
        left(store, self.thread)
        self.assertEqual(self.thread.worked, 4)
        self.assertEqual(facts(self.root), rebuilt(self.root))

    def test_after_a_long_rebuild(self) -> None:
        """When much was read at the start, a snapshot is written at once."""
        self.filled().close()
        store = self.start(every=SMALL)
        self.thread.run()
        self.thread.run()
        self.crash(store)
        self.assertEqual(facts(self.root), rebuilt(self.root))


class Killed(BaseException):
    """The daemon was killed."""


class DoomedFiles(QuickFiles):
    """Files that fail at one step of writing a snapshot, with OSError or by a kill."""

    STEPS = ("open", "pwrite", "fsync", "fdatasync", "rename", "unlink", "sync_folder")

    def __init__(self, step: int, deadly: bool) -> None:
        super().__init__()
        self.left: int = -1
        self.step = step
        self.deadly = deadly
        for name in self.STEPS:
            setattr(self, name, self._counted(getattr(self, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if self.left >= 0:
                if self.left == 0 and self.deadly:
                    raise Killed
                self.left -= 1
                if self.left < 0:
                    raise OSError(errno.EIO, "Input/output error")
            return call(*arguments)

        return counted

    def begin(self) -> None:
        """Count the steps from now on."""
        self.left = self.step


class InterruptedTests(SnapshotCase):
    """Writing a snapshot ends at every one of its steps."""

    def write(self, step: int, deadly: bool) -> bool:
        """Write a second snapshot. Return whether it was completed."""
        files = DoomedFiles(step, deadly)
        store = self.start(files=files)
        save(store, to_users(101, 102, body=b"one"))
        left(store, self.thread)
        store = self.start(files=files)
        save(store, to_users(102, 103, body=b"two"), to_group(500, b"three"))
        files.begin()
        done: list[int] = []
        try:
            store.close_with_snapshot(lambda: done.append(1))
            while self.thread.waiting:
                self.thread.run()
        except Killed:
            self.thread.waiting = []
            files.left = -1
            store.blocks.close()
        else:
            self.assertEqual(done, [1])
        return files.left >= 0

    def test_killed(self) -> None:
        """After a kill the old or the new snapshot is there, and the start is right with either."""
        for step in range(100):
            ended = self.write(step, deadly=True)
            self.assertGreater(position(self.root), 0)
            self.assertEqual(facts(self.root), rebuilt(self.root))
            shutil.rmtree(self.root)
            if ended:
                break
        self.assertIn(step, range(8, 50))

    def test_an_error(self) -> None:
        """After an error the daemon ends in order, and nothing half-written is left."""
        errors = []
        for step in range(100):
            ended = self.write(step, deadly=False)
            if ended:
                break
            errors.append(len(self.log.of("error")))
            names = ["durable", "heads", "lock", "message_0"]
            self.assertEqual(sorted(os.listdir(self.root)), names)
            self.assertEqual(facts(self.root), rebuilt(self.root))
            shutil.rmtree(self.root)
        self.assertIn(step, range(8, 50))
        # An error in writing or syncing the mark is not worth a line.
        self.assertEqual(errors, [1] * (step - 2) + [0, 0])


class DamageTests(SnapshotCase):
    """Damage that the start did not see."""

    def test_bridged_at_the_next_start(self) -> None:
        """A damaged entry that a reader finds is skipped from the next start on."""
        store = self.filled()
        msgid = store.reader.fetch(User(APPID, 101), 0, 3).messages[2].msgid
        left(store, self.thread)
        self.damage(msgid + 20 + len(b"to users 2") + 30)
        store = self.start()
        self.assertEqual(seen(store)[USERS, 101], [b"to users %d" % n for n in range(3, 20)])
        self.assertIn("the next start will read all blocks", self.log.of("warn")[0])
        left(store, self.thread)
        self.assertFalse((self.root / "heads").exists())
        store = self.start()
        rest = [b"to users %d" % n for n in range(20) if n != 2]
        self.assertEqual(seen(store)[USERS, 101], rest)
        # The bridge is in the next snapshot. The mark says that there is damage.
        left(store, self.thread)
        store = self.start()
        (error,) = self.log.of("error")
        self.assertIn("has damage in what was on disk", error)
        self.assertEqual(seen(store)[USERS, 101], rest)

    def test_a_damaged_entry_that_others_are_linked_to(self) -> None:
        """An entry to which others are linked is found damaged again and again.

        One full start is enough.
        """
        store = self.start()
        for _ in range(ENTRIES_PER_BATCH + 200):
            store.append(to_users(101))
        store.flush()
        store.begin_sync()()
        store.synced()
        head = store.head(USERS, APPID, 101)
        assert head is not None
        left(store, self.thread)
        self.damage(head[LAST_BATCH] + 30)
        for believed in (True, False, True, True):
            self.assertEqual((self.root / "heads").exists(), believed)
            store = self.start()
            store.reader.fetch(User(APPID, 101), 0, 9999)
            left(store, self.thread)


class AnyHistory:
    """A directory to which everything happens, for hypothesis."""

    def __init__(self, folder: str, every: int) -> None:
        self.root = Path(folder) / "storage"
        self.thread = FakeThread()
        self.every = every
        self.kept: list[bytes] = []
        self.saved = 0
        self.store = started(self.root, self.thread, every=every)
        self.durable = self.store.blocks.end

    def save(self, kind: int, choice: int) -> None:
        self.saved += 1
        body = b"%d " % self.saved + bytes(choice % 90)
        one, two = USER_IDS[choice % 3], USER_IDS[choice // 3 % 3]
        items = (
            to_users(one, two, body=body),
            to_users(*USER_IDS, body=body, cmd=8),
            to_group(GROUPS[choice % 2], body),
        )
        self.store.append(items[kind])

    def sync(self) -> None:
        self.store.flush()
        self.store.begin_sync()()
        self.store.synced()
        self.durable = self.store.blocks.end

    def fail(self) -> None:
        self.store.flush()
        self.store.begin_sync()
        self.store.take_back()

    def work(self) -> None:
        if self.thread.waiting:
            self.thread.run()
            self.keep()

    def keep(self) -> None:
        if position(self.root) and (data := (self.root / "heads").read_bytes()) not in self.kept:
            self.kept.append(data)

    def reopen(self, clean: bool, cut: int) -> None:
        if clean:
            self.sync()
            left(self.store, self.thread)
            self.keep()
        else:
            self.store.flush()
            self.store.close()
            self.tear(cut)
        self.start()

    def start(self) -> None:
        self.thread.waiting = []
        self.check()
        self.store = started(self.root, self.thread, every=self.every)
        self.durable = self.store.blocks.end

    def tear(self, cut: int) -> None:
        """Remove some bytes of what was not durable."""
        number, offset = self.store.blocks.end
        path = self.root / f"message_{number}"
        least = self.durable[1] if number == self.durable[0] else 0
        os.truncate(path, max(least, offset - cut))
        if cut % 7 == 0:
            with path.open("ab") as file:
                file.write(b"IMIM\0\0\0\x30 a torn write")

    def older(self, choice: int) -> None:
        """Let the next start find an older snapshot."""
        if self.kept and not self.thread.waiting:
            (self.root / "heads").write_bytes(self.kept[choice % len(self.kept)])

    def remove_oldest(self) -> None:
        self.reopen(True, 0)
        if len(self.store.blocks.numbers) > 2:
            self.store.close()
            (self.root / f"message_{self.store.blocks.numbers[0]}").unlink()
            self.start()

    def lose_chain(self, choice: int) -> None:
        """Begin a chain anew, as a daemon of the Go server that has lost its index does."""
        self.reopen(True, 0)
        number, offset = self.store.blocks.end
        self.store.close()
        uid, flag = USER_IDS[choice % 3], 4 * (choice & 1)
        data = pack_message(4, b"anew")
        if offset + len(data) + 84 <= SMALL:
            msgid = number * SMALL + offset
            data += pack_entry(USERS, APPID, uid, msgid, 0, 1, 0, 0, 0, flag)
            with (self.root / f"message_{number}").open("ab") as file:
                file.write(data)
        self.start()

    def check(self) -> None:
        """Check that the start is the same with and without the snapshot."""
        snapshot = (self.root / "heads").read_bytes() if position(self.root) else None
        assert rebuilt(self.root) == facts(self.root)
        if snapshot is not None:
            (self.root / "heads").write_bytes(snapshot)

    def damage(self, place: float, behind: bool) -> None:
        """Damage a byte before the snapshot's position or after it, at the end."""
        self.store.close()
        start = position(self.root) if behind else FIRST_OFFSET
        number, offset = self.store.blocks.end
        id_ = start + int(place * (number * SMALL + offset - start))
        path = self.root / f"message_{id_ // SMALL}"
        data = bytearray(path.read_bytes() if path.exists() else b"")
        if id_ % SMALL >= len(data):
            return
        data[id_ % SMALL] ^= 0x5A
        path.write_bytes(data)
        if id_ >= position(self.root):
            self.check()
        else:
            # The start does not notice that. Reads give nothing else than before.
            known = {b"%d" % n for n in range(1, self.saved + 1)} | {b"anew"}
            for found in facts(self.root)[2].values():
                texts = [body.split(b" ")[0] for body in found]
                assert len(set(texts) - {b"anew"}) == len([t for t in texts if t != b"anew"])
                assert set(texts) <= known


STEPS = st.one_of(
    st.tuples(st.just("save"), st.integers(0, 2), st.integers(0, 200)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("work")),
    st.tuples(st.just("save"), st.integers(0, 2), st.integers(0, 200)),
    st.tuples(st.just("fail")),
    st.tuples(st.just("reopen"), st.booleans(), st.integers(0, 300)),
    st.tuples(st.just("older"), st.integers(0, 9)),
    st.tuples(st.just("remove_oldest")),
    st.tuples(st.just("lose_chain"), st.integers(0, 5)),
)


class AnyHistoryTests(SynchronousTestCase):
    """Any history of a directory."""

    @given(
        st.integers(1, 2000),
        st.lists(STEPS, min_size=4, max_size=40),
        st.none() | st.tuples(st.floats(0, 1, exclude_max=True), st.booleans()),
    )
    def test_as_without(
        self, every: int, steps: list[tuple[str, int]], damage: tuple[float, bool] | None
    ) -> None:
        """A start with the snapshot is equal to one that reads everything."""
        with tempfile.TemporaryDirectory() as folder:
            world = AnyHistory(folder, every)
            try:
                for name, *arguments in steps:
                    getattr(world, name)(*arguments)
                world.reopen(False, 0)
                if damage is not None:
                    world.damage(*damage)
            finally:
                world.store.close()
