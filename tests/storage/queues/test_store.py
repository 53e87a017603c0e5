"""Saving: the records that are written, the ids, and the files after the disk fails."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus, User
from gobelieve.storage.files.blocks import Blocks
from gobelieve.storage.format.records import FIRST_OFFSET, Entry, pack_message, read_entry
from gobelieve.storage.index.heads import Index
from gobelieve.storage.queues.store import Store
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import Lines
from tests.storage.support import (
    APPID,
    BadDisk,
    QuickFiles,
    bodies,
    ids,
    open_store,
    save,
    to_group,
    to_users,
)

ALICE, BOB = User(APPID, 101), User(APPID, 102)


class StoreCase(SynchronousTestCase):
    """A store on a disk that can fail."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.disk = BadDisk()
        self.log = Lines()
        self.store = self.open()
        self.addCleanup(lambda: self.store.close())

    def open(self, block_size: int = 1 << 27) -> Store:
        return open_store(self.root, files=self.disk, log=self.log, block_size=block_size)

    def reopen(self, block_size: int = 1 << 27) -> None:
        self.store.close()
        self.store = self.open(block_size)

    def file(self, number: int = 0) -> Path:
        return Path(self.root) / f"message_{number}"

    def entry(self, id_: int) -> Entry:
        entry = read_entry(self.store.blocks.read(id_, 84))
        assert entry is not None
        return entry

    def read(self, user: User = BOB) -> list[bytes]:
        return bodies(self.store.reader.fetch(user, 0, 3000))


class AppendTests(StoreCase):
    """Ids, previous ids, and the records themselves."""

    def test_body_once(self) -> None:
        """A message for two users is stored once, with an entry in each queue."""
        ((msgid, prevs),) = save(self.store, to_users(102, 101, body=b"hello"))
        self.assertEqual((msgid, prevs), (FIRST_OFFSET, (0, 0)))
        self.assertEqual(self.file().stat().st_size, FIRST_OFFSET + 25 + 2 * 84)
        self.assertEqual(self.entry(57), Entry(USERS, APPID, 102, 32, 11, 1, 0, 0, 0, True))
        self.assertEqual(self.entry(141), Entry(USERS, APPID, 101, 32, 11, 1, 0, 0, 0, True))

    def test_previous_ids(self) -> None:
        """The previous id of each queue is returned, also within one turn."""
        saved = [self.store.append(item) for item in (to_users(102), to_users(101, 102, 103))]
        self.assertEqual(saved[1][1], (0, saved[0][0], 0))
        self.assertEqual(self.store.append(to_users(103))[1], (saved[1][0],))

    def test_one_queue_named_twice(self) -> None:
        """A message to oneself is entered once, and returns the previous id twice."""
        first, second, third = save(
            self.store, to_users(102), to_users(102, 102), to_users(102, 101, 102)
        )
        self.assertEqual(second[1], (first[0], first[0]))
        self.assertEqual(third[1], (second[0], 0, second[0]))
        self.assertEqual(len(self.read()), 3)

    def test_same_uid_of_another_app(self) -> None:
        """A uid that is used in two apps has two queues."""
        item = to_users(102)._replace(queues=(7, 102, 8, 102))
        save(self.store, item, to_users(102))
        self.assertEqual(len(self.read(User(8, 102))), 1)
        self.assertEqual(len(self.read()), 2)

    def test_user_and_group_of_one_id(self) -> None:
        """A user and a super group with the same id have two queues."""
        save(self.store, to_users(102), to_group(102), to_group(102))
        self.assertEqual(len(self.read()), 1)
        self.assertEqual(len(self.store.reader.fetch_group(BOB, 0, 0, 10).messages), 2)

    def test_peer_chain(self) -> None:
        """GROUP_IM has flag 4, and the peer chain leaves it out. Notifications count as peers."""
        kinds = [4, 8, 7, 8, 8, 4]
        save(self.store, *(to_users(102, cmd=cmd, body=b"") for cmd in kinds))
        entries = [self.entry(FIRST_OFFSET + 20 + 104 * n) for n in range(6)]
        at = [FIRST_OFFSET + 20 + 104 * n for n in range(6)]
        self.assertEqual([e.peer for e in entries], [True, False, True, False, False, True])
        self.assertEqual([e.prev for e in entries], [0, *at[:5]])
        self.assertEqual([e.prev_peer for e in entries], [0, at[0], at[0], at[2], at[2], at[2]])
        self.assertEqual([e.seq for e in entries], [1, 2, 3, 4, 5, 6])

    def test_group_entries(self) -> None:
        """Super groups have neither flag nor peer chain."""
        save(self.store, to_group(500, b""), to_group(500, b"", cmd=7))
        entry = self.entry(FIRST_OFFSET + 20 + 104)
        self.assertEqual(
            entry, Entry(SUPER_GROUPS, APPID, 500, 136, 11, 2, FIRST_OFFSET + 20, 0, 0, True)
        )

    def test_batches(self) -> None:
        """Entries point to the last entry whose seq is a multiple of 1000."""
        for _ in range(2002):
            self.store.append(to_users(102, body=b""))
        self.store.flush()
        at = [FIRST_OFFSET + 20 + 104 * n for n in range(2002)]
        for number, batch in [(1, 0), (1000, 0), (1001, 1000), (2000, 1000), (2001, 2000)]:
            expected = at[batch - 1] if batch else 0
            self.assertEqual(self.entry(at[number - 1]).prev_batch, expected)

    def test_restart_continues(self) -> None:
        """After a restart the next record is what it would be without a restart."""
        count = 1003
        for cmd in [4, 8] * (count // 2):
            self.store.append(to_users(102, cmd=cmd))
        self.store.flush()
        head = self.store.index.head(0)
        self.reopen()
        self.assertEqual(self.store.index.head(0), head)

    def test_longest_body(self) -> None:
        """A body of 32767 bytes is stored. A longer one is refused, and nothing is written."""
        save(self.store, to_users(102, body=bytes(32767)))
        size = self.file().stat().st_size
        error = self.assertRaises(StorageError, self.store.append, to_users(102, body=bytes(32768)))
        self.assertEqual(error.status, AckStatus.TOO_LARGE)
        self.store.flush()
        self.assertEqual(self.file().stat().st_size, size)
        self.assertEqual(self.read(), [bytes(32767)])

    def test_no_queue_records(self) -> None:
        """A number of queue records cannot be saved as a message."""
        for cmd in (247, 248, 249, 250, 252, 254):
            item = to_users(102, body=bytes(64), cmd=cmd)
            self.assertRaises(StorageError, self.store.append, item)
        self.assertFalse(self.store.unwritten)


class RollOverTests(StoreCase):
    """A block that is full, and the next one."""

    def test_exact_fit(self) -> None:
        """A record that ends at the end of the block fits in it.

        One byte more begins the next block.
        """
        for length, block in [(100, 0), (101, 1)]:
            root = self.mktemp()
            blocks = Blocks(root, Lines(), size=FIRST_OFFSET + 20 + 20 + 100, files=QuickFiles())
            blocks.open()
            self.addCleanup(blocks.close)
            self.assertEqual(blocks.append(pack_message(4, b"")), FIRST_OFFSET)
            id_ = blocks.append(pack_message(4, bytes(length)))
            self.assertEqual(id_ // blocks.size, block)
            self.assertEqual(id_ % blocks.size, FIRST_OFFSET if block else FIRST_OFFSET + 20)
            blocks.flush()
            self.assertEqual(len(blocks.read(id_, 999)), length + 20)

    def test_many_blocks_in_one_write(self) -> None:
        """The saves of one turn may fill several blocks. All are read, also after a restart."""
        self.reopen(block_size=500)
        messages = [b"%d" % n for n in range(50)]
        for message in messages:
            self.store.append(to_users(102, 101, body=message))
        self.store.flush()
        self.store.show_written()
        for _ in range(2):
            self.assertEqual(self.read(), messages)
            self.assertEqual(self.read(ALICE), messages)
            self.reopen(block_size=500)
        self.assertGreater(len(self.store.blocks.numbers), 20)

    def test_full_blocks_are_synced_too(self) -> None:
        """A sync covers every block written to since the last sync, and closes full ones."""
        self.reopen(block_size=500)
        for _ in range(10):
            self.store.append(to_users(102))
        self.store.flush()
        self.disk.synced.clear()
        work = self.store.begin_sync()
        written = len(self.store.blocks.numbers)
        work()
        self.assertEqual(len(set(self.disk.synced)), written + 1, "the blocks and the mark")
        self.store.synced()
        self.disk.synced.clear()
        save(self.store, to_users(102))
        self.assertLessEqual(len(self.disk.synced), 2)

    def test_append_during_a_sync(self) -> None:
        """A block that is filled before and during a sync is written before it is closed."""
        self.reopen(block_size=500)
        self.store.append(to_users(102))
        self.store.flush()
        for _ in range(5):
            self.store.append(to_users(102))
        work = self.store.begin_sync()
        for _ in range(4):
            self.store.append(to_users(102))
        work()
        self.store.synced()
        self.store.flush()
        self.store.begin_sync()()
        self.store.synced()
        self.assertEqual(len(self.read()), 10)

    def test_new_files_are_synced_in_the_folder(self) -> None:
        """The sync after a new block covers the directory. If it fails, the next one does."""
        self.reopen(block_size=500)
        for count, folders in ((1, 0), (9, 1), (1, 0)):
            self.disk.folders.clear()
            save(self.store, *[to_users(102)] * count)
            self.assertEqual(len(self.disk.folders), folders)
        for _ in range(9):
            self.store.append(to_users(102))
        self.store.flush()
        self.store.show_written()
        self.disk.broken = True
        self.assertRaises(OSError, self.store.begin_sync())
        self.disk.broken = False
        self.disk.folders.clear()
        self.store.begin_sync()()
        self.assertEqual(len(self.disk.folders), 1)

    def test_start_syncs(self) -> None:
        """The start syncs what a killed daemon left unsynced, before readers see it."""
        self.reopen(block_size=500)
        save(self.store, *[to_users(102)] * 20)
        self.disk.synced.clear()
        self.disk.folders.clear()
        self.reopen(block_size=500)
        blocks = len(self.store.blocks.numbers)
        self.assertGreater(blocks, 2)
        # The mark is synced as well.
        self.assertEqual((len(self.disk.synced), len(self.disk.folders)), (blocks + 1, 2))

    def test_descriptors(self) -> None:
        """Few blocks are open, however many are read. Closing leaves none open."""
        blocks = Blocks(self.mktemp(), Lines(), size=60, files=self.disk, max_open_blocks=3)
        blocks.open()
        made = [blocks.append(pack_message(4, b"")) for _ in range(20)]
        blocks.flush()
        blocks.sync_work()()
        blocks.synced(blocks.end)
        before = len(self.disk.opened)
        for _ in range(2):
            for id_ in made:
                self.assertEqual(blocks.read(id_, 20), pack_message(4, b""))
        self.assertLessEqual(len(self.disk.opened), before + 3)
        blocks.close()
        self.store.close()
        self.assertEqual(self.disk.opened, set())


class FailureTests(StoreCase):
    """A disk that is full or broken."""

    def flush_fails(self) -> StorageError:
        error: StorageError = self.assertRaises(StorageError, self.store.flush)
        return error

    def test_disk_full(self) -> None:
        """Wherever the write stops, nothing of it is left, and earlier messages are read."""
        save(self.store, to_users(102, body=b"before"))
        content = self.file().read_bytes()
        head = self.store.index.head(0)
        for room in range(0, 193, 7):
            self.disk.room = room
            self.store.append(to_users(102, 101, body=b"lost?"))
            self.assertEqual(self.flush_fails().status, AckStatus.STORAGE_FULL)
            self.assertEqual(self.file().read_bytes(), content)
            self.assertEqual(self.store.index.head(0), head)
            self.assertEqual(self.read(), [b"before"])
            self.assertEqual(self.read(ALICE), [])
        self.disk.room = None
        ((_, prevs),) = save(self.store, to_users(102, 101, body=b"after"))
        self.assertEqual(prevs, (FIRST_OFFSET, 0))
        self.reopen()
        self.assertEqual(self.read(), [b"before", b"after"])

    def test_disk_full_at_roll_over(self) -> None:
        """If the write begins new blocks and stops, their files are removed."""
        self.reopen(block_size=500)
        save(self.store, to_users(102, body=b"before"))
        for room in range(0, 2000, 90):
            self.disk.room = room
            for _ in range(10):
                self.store.append(to_users(102, 101))
            self.assertEqual(self.flush_fails().status, AckStatus.STORAGE_FULL)
            self.assertEqual(self.store.blocks.numbers, [0])
            self.assertFalse(self.file(1).exists())
        self.disk.room = None
        save(self.store, *[to_users(102, body=b"after")] * 10)
        self.reopen(block_size=500)
        self.assertEqual(self.read(), [b"before"] + [b"after"] * 10)

    def test_full_block_and_full_disk(self) -> None:
        """A completely full block stays as it is when the next block cannot be begun."""
        self.reopen(block_size=FIRST_OFFSET + 25 + 84)
        save(self.store, to_users(102))
        self.disk.room = 0
        self.store.append(to_users(102))
        self.flush_fails()
        self.disk.room = None
        self.assertEqual(self.file().stat().st_size, FIRST_OFFSET + 25 + 84)
        save(self.store, to_users(102))
        self.reopen(block_size=FIRST_OFFSET + 25 + 84)
        self.assertEqual(len(self.read()), 2)

    def test_cut_back_fails(self) -> None:
        """If cutting back fails, it is done before the next write, and no records are mixed."""
        save(self.store, to_users(102, body=b"before"))
        self.disk.room, self.disk.stuck = 100, True
        self.store.append(to_users(102, body=b"x" * 500))
        self.flush_fails()
        self.disk.room = None
        self.store.append(to_users(102, body=b"y"))
        self.assertEqual(self.flush_fails().status, AckStatus.STORAGE_FAILED)
        self.disk.stuck = False
        save(self.store, to_users(102, body=b"after"))
        self.reopen()
        self.assertEqual(self.read(), [b"before", b"after"])
        self.assertEqual(self.log.of("warn"), [])

    def test_cut_back_at_the_end(self) -> None:
        """If cutting back failed, it is done at a clean end, and failed saves do not come back."""
        save(self.store, to_users(102, body=b"before"))
        self.disk.broken = self.disk.stuck = True
        self.store.append(to_users(102, body=b"failed"))
        self.store.flush()
        self.store.take_back()
        self.store.append(to_users(102, body=b"failed too"))
        self.flush_fails()
        self.disk.broken = self.disk.stuck = False
        self.reopen()
        self.assertEqual(self.read(), [b"before"])
        self.assertEqual(
            self.log.of("warn", "error"), [f"{self.file()} cannot be cut back: Input/output error"]
        )

    def test_cut_back_is_synced(self) -> None:
        """Failed saves and their files are durably removed before their ids are given again."""
        self.reopen(block_size=500)
        save(self.store, to_users(102, body=b"before"))
        for _ in range(10):
            self.store.append(to_users(102, body=b"failed"))
        self.store.flush()
        self.assertTrue(self.file(2).exists())
        steps: list[str] = []
        for name in ("unlink", "truncate", "fdatasync", "fsync", "pwrite"):
            setattr(self.disk, name, partial(self.noted, steps, name, getattr(self.disk, name)))
        self.store.take_back()
        save(self.store, to_users(102, body=b"after"))
        cut = ["unlink", "unlink", "truncate", "fdatasync", "fsync"]
        self.assertEqual(steps[:6], [*cut, "pwrite"])
        self.assertEqual(self.read(), [b"before", b"after"])

    def noted(self, steps: list[str], name: str, call: Callable[..., Any], *args: Any) -> Any:
        steps.append(name)
        return call(*args)

    def test_failed_sync(self) -> None:
        """After a failed sync, the saves that it covered and all later ones are gone."""
        self.reopen(block_size=500)
        save(self.store, to_users(102, body=b"before"))
        self.disk.broken = True
        for _ in range(5):
            self.store.append(to_users(102, 101, body=b"syncing"))
        self.store.flush()
        work = self.store.begin_sync()
        self.store.append(to_users(102, body=b"written"))
        self.store.flush()
        self.store.append(to_users(101, body=b"appended"))
        self.assertRaises(OSError, work)
        self.store.take_back()
        self.assertEqual(self.store.blocks.numbers, [0])
        self.assertEqual(self.read(), [b"before"])
        self.assertEqual(self.read(ALICE), [])
        self.disk.broken = False
        ((_, prevs),) = save(self.store, to_users(102, 101, body=b"after"))
        self.assertEqual(prevs, (FIRST_OFFSET, 0))
        self.reopen(block_size=500)
        self.assertEqual(self.read(), [b"before", b"after"])
        self.assertEqual(self.read(ALICE), [b"after"])

    def test_failed_write_during_a_sync(self) -> None:
        """A write that fails takes nothing from the running sync."""
        self.store.append(to_users(102, body=b"syncing"))
        self.store.flush()
        work = self.store.begin_sync()
        self.store.append(to_users(102, body=b"written"))
        self.store.flush()
        self.disk.room = 10
        self.store.append(to_users(102, 101, body=b"lost"))
        self.flush_fails()
        work()
        self.store.synced()
        self.assertEqual(self.read(), [b"syncing"])
        self.store.begin_sync()()
        self.store.synced()
        self.assertEqual(self.read(), [b"syncing", b"written"])

    def test_unreadable_disk(self) -> None:
        """A read that fails is an error and not an empty page, so that the client asks again."""
        save(self.store, to_users(102))
        self.disk.unreadable = True
        for ask in (
            lambda: self.store.reader.fetch(BOB, 0, 10),
            lambda: self.store.reader.fetch_latest(BOB, 10),
            lambda: self.store.reader.count_new(BOB, 0),
        ):
            error = self.assertRaises(StorageError, ask)
            self.assertEqual(error.status, AckStatus.STORAGE_FAILED)


class VisibilityTests(StoreCase):
    """Readers see only durable messages."""

    def counts(self) -> tuple[int, int, int, int]:
        reader = self.store.reader
        page = reader.fetch(BOB, 0, 3000)
        latest = reader.fetch_latest(BOB, 3000)
        self.assertEqual(page.newest, latest.newest)
        newest = page.messages[-1].msgid if page.messages else 0
        self.assertEqual(page.newest, newest)
        return len(page.messages), len(latest.messages), reader.count_new(BOB, 0), page.more

    def test_steps(self) -> None:
        """No reader sees a message before the sync that covers it is done."""
        self.assertEqual(self.counts(), (0, 0, 0, False))
        self.store.append(to_users(102, 101))
        self.assertEqual(self.counts(), (0, 0, 0, False))
        self.store.flush()
        self.assertEqual(self.counts(), (0, 0, 0, False))
        work = self.store.begin_sync()
        self.store.append(to_users(102))
        self.store.flush()
        self.store.append(to_users(102))
        work()
        self.assertEqual(self.counts(), (0, 0, 0, False))
        self.store.synced()
        self.assertEqual(self.counts(), (1, 1, 1, False))
        self.store.flush()
        self.store.begin_sync()()
        self.store.synced()
        self.assertEqual(self.counts(), (3, 3, 3, False))

    def test_written_is_enough(self) -> None:
        """Without waiting for the disk, readers see a message when it is written."""
        self.store.append(to_users(102))
        self.store.flush()
        self.store.show_written()
        self.assertEqual(self.counts(), (1, 1, 1, False))


class IndexTests(SynchronousTestCase):
    """The heads of the queues."""

    def test_places(self) -> None:
        """A queue keeps its place, and queues of different kinds and apps are apart."""
        index = Index()
        names = [(k, a, o) for k in (USERS, SUPER_GROUPS) for a in (7, 8) for o in (1, -1)]
        places = [index.place(*name) for name in names]
        self.assertEqual(len(set(places)), 8)
        self.assertEqual([index.find(*name) for name in names], places)
        self.assertEqual(len(index), 8)
        self.assertEqual(index.find(USERS, 7, 2), -1)
        self.assertEqual(index.find(USERS, 9, 2), -1)

    def test_layouts_without_numbers(self) -> None:
        """Old entries without a seq continue the count, and new entries have their own seq."""
        index = Index()

        def apply(id_: int, seq: int, batch: int = 0) -> list[int]:
            index.apply(id_, Entry(USERS, 7, 1, id_ - 1, 0, seq, 0, 0, batch, id_ % 2 == 0))
            return list(index.head(0))

        self.assertEqual(apply(100, 0), [99, 100, 100, 0, 1])
        self.assertEqual(apply(201, 0), [200, 201, 100, 0, 2])
        self.assertEqual(apply(300, 999, batch=50), [299, 300, 300, 50, 999])
        self.assertEqual(apply(400, 0), [399, 400, 400, 400, 1000])
        self.assertEqual(apply(500, 7), [499, 500, 500, 400, 7])


class LogTests(StoreCase):
    """The log lines of the start for an operator."""

    def test_summary(self) -> None:
        """One line has the numbers of queues and blocks."""
        self.assertEqual(self.log.of("info"), [f"{self.root}: 0 queues in 1 blocks"])
        self.assertEqual(ids(save(self.store, to_users(102, 101))), [FIRST_OFFSET])
        self.reopen()
        self.assertEqual(self.log.of("info")[-1], f"{self.root}: 2 queues in 1 blocks")
