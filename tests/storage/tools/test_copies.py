"""Copies of a directory: equal byte for byte, updated, and refused for another directory."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import User
from gobelieve.storage.files.files import Files
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.queues.store import Store
from gobelieve.storage.tools import copies
from gobelieve.storage.tools.contents import DamagedBytes, queue, records
from gobelieve.storage.tools.copies import LockedFolder, bring_up_to_date, copy_all
from gobelieve.storage.tools.repair import Repair
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import Lines
from tests.storage.support import (
    APPID,
    BadDisk,
    QuickFiles,
    bodies,
    open_store,
    pages,
    save,
    to_group,
    to_users,
)

SIZE = 4096


def blocks(root: str | Path) -> dict[str, bytes]:
    """Return the content of the block files."""
    return {path.name: path.read_bytes() for path in Path(root).glob("message_*")}


class CopyCase(SynchronousTestCase):
    """Has a store in use, with small blocks, and the name of a copy."""

    def setUp(self) -> None:
        self.root, self.target = self.mktemp(), self.mktemp()
        self.store = self.open(self.root)
        self.saved: list[bytes] = []

    def open(self, root: str, log: Lines | None = None) -> Store:
        store = open_store(root, block_size=SIZE, log=log)
        self.addCleanup(store.close)
        return store

    def save(self, count: int = 1) -> None:
        """Save messages for 101."""
        for _ in range(count):
            self.saved.append(b"message %d" % len(self.saved))
            save(self.store, to_users(101, 102, body=self.saved[-1]), to_group(500))

    def update(self, files: Files | None = None) -> tuple[tuple[int, int], tuple[int, int]]:
        """Back up the source once."""
        done: list[int] = []
        held = LockedFolder(self.target, SIZE, files or QuickFiles())
        try:
            with ReadOnlyFolder(self.root, SIZE) as source:
                found = bring_up_to_date(source, held, done.append)
                self.assertEqual(done, sorted(done))
        finally:
            held.close()
        return found

    def refused(self, text: str) -> None:
        """Check that the copy is refused and left as it is."""
        before = blocks(self.target)
        with self.assertRaisesRegex(StorageError, text):
            self.update()
        self.assertEqual(blocks(self.target), before)

    def same(self) -> None:
        """Check that the copy is equal, and opens with all saved messages."""
        self.assertEqual(blocks(self.target), blocks(self.root))
        log = Lines()
        copy = self.open(self.target, log)
        self.assertEqual(log.of("warn", "error"), [])
        found = [
            body
            for page in pages(lambda after: copy.reader.fetch(User(APPID, 101), after, 50))
            for body in bodies(page)
        ]
        self.assertEqual(found, self.saved)
        copy.close()


class BackupTests(CopyCase):
    """A copy of a directory in use."""

    def test_a_first_one(self) -> None:
        """The first backup has all blocks and can be opened."""
        self.save(60)
        self.assertEqual(self.update(), ((0, 0), self.store.blocks.end))
        self.same()

    def test_the_next_ones(self) -> None:
        """The next backups append what is new, and write nothing else."""
        self.update()
        for count in (1, 0, 60, 2, 0, 1, 100):
            before = self.update()[1]
            self.save(count)
            files = BadDisk()
            written: list[tuple[int, int]] = []
            files.pwrite = lambda fd, data, at, pwrite=files.pwrite, written=written: (  # type: ignore[misc]
                written.append((at, len(data))) or pwrite(fd, data, at)
            )
            begin, end = self.update(files)
            self.assertEqual((begin, end), (before, self.store.blocks.end))
            lengths = {int(name[8:]): len(data) for name, data in blocks(self.root).items()}
            new = sum(n for number, n in lengths.items() if number >= begin[0]) - begin[1]
            self.assertEqual(sum(length for _, length in written), new)
            self.assertFalse(files.opened)
        self.same()

    def test_it_is_synced(self) -> None:
        """Every written file is synced, and so is the directory."""
        self.save(60)
        files = BadDisk()
        synced: list[int] = []
        files.fsync = synced.append
        self.update(files)
        self.assertGreater(len(synced), len(blocks(self.root)))

    def test_a_write_that_is_under_way(self) -> None:
        """An unfinished write is left for the next backup."""
        self.save(5)
        end = self.store.blocks.end
        with open(self.store.blocks.path(0), "ab") as file:
            file.write(b"IMIM\0\0\0\7\0\0")
        self.assertEqual(self.update()[1], end)
        os.truncate(self.store.blocks.path(0), end[1])
        self.save(5)
        self.assertEqual(self.update()[0], end)
        self.same()

    def test_cut_short_anywhere(self) -> None:
        """A backup completes one that ended in the middle of anything."""
        self.save(40)
        self.update()
        whole = blocks(self.target)
        newest = max(whole, key=lambda name: int(name[8:]))
        for length in (0, 1, 31, 32, 33, 60, len(whole[newest]) - 1):
            os.truncate(os.path.join(self.target, newest), length)
            begin, _ = self.update()
            self.assertEqual(begin, (int(newest[8:]), length))
            self.assertEqual(blocks(self.target), whole)
        os.unlink(os.path.join(self.target, newest))
        self.update()
        self.same()

    def test_the_oldest_blocks_were_removed(self) -> None:
        """A backup keeps old blocks that were removed from the source."""
        self.save(60)
        self.update()
        self.store.close()
        os.unlink(os.path.join(self.root, "message_0"))
        self.store = self.open(self.root)
        self.save(60)
        self.update()
        self.assertIn("message_0", blocks(self.target))
        self.assertEqual({**blocks(self.target), **blocks(self.root)}, blocks(self.target))

    def test_damage_is_copied_as_it_is(self) -> None:
        """Damage is copied as it is, since the records after it must stay in place."""
        self.save(10)
        with open(self.store.blocks.path(0), "r+b") as file:
            file.seek(100)
            file.write(b"????")
        self.update()
        self.assertEqual(blocks(self.target), blocks(self.root))

    def test_a_full_disk(self) -> None:
        """The error on a full disk names the file, and the next backup continues."""
        self.save(60)
        files = BadDisk()
        files.room = 5000
        with self.assertRaisesRegex(OSError, "No space left") as raised:
            self.update(files)
        self.assertEqual(raised.exception.filename, os.path.join(self.target, "message_1"))
        self.assertFalse(files.opened)
        self.assertEqual(self.update()[0], (1, 5000 - len(blocks(self.root)["message_0"])))
        self.same()


class RefusedTests(CopyCase):
    """Targets that are not the beginning of the source."""

    def setUp(self) -> None:
        super().setUp()
        self.save(60)
        self.update()

    def test_written_to_since(self) -> None:
        """A backup to which a daemon has written is refused."""
        copy = self.open(self.target)
        save(copy, to_users(101))
        copy.close()
        self.refused(r"message_\d+ is not from the same directory: it has \d+ bytes, .* has \d+")

    def test_both_were_written_to(self) -> None:
        """A target with other bytes is refused, even if it is shorter."""
        copy = self.open(self.target)
        number = copy.blocks.end[0]
        save(copy, to_users(109))
        copy.close()
        self.save(10)
        self.refused(f"message_{number} is not from the same directory: .*")

    def test_another_newest_byte(self) -> None:
        """The reason names the place of a differing newest byte."""
        number, end = self.store.blocks.end
        with open(os.path.join(self.target, f"message_{number}"), "r+b") as file:
            file.seek(end - 9)
            file.write(b"\xff")
        self.save(1)
        self.refused(f"message_{number} is not .*: other bytes from {end - 9} on")

    def test_an_older_block_of_another_length(self) -> None:
        """An older block that is missing or has another length is refused."""
        os.truncate(os.path.join(self.target, "message_1"), 500)
        self.refused("message_1 is not from the same directory: it has 500 bytes")
        os.unlink(os.path.join(self.target, "message_1"))
        self.refused("message_1 is not .*: only one of the two directories has this block")

    def test_all_of_it_was_removed(self) -> None:
        """A backup is refused if all its blocks were removed from the source."""
        self.store.close()
        number = self.store.blocks.end[0]
        os.rename(
            os.path.join(self.root, f"message_{number}"),
            os.path.join(self.root, f"message_{number + 5}"),
        )
        for name in blocks(self.root):
            if name != f"message_{number + 5}":
                os.unlink(os.path.join(self.root, name))
        self.refused(f"message_{number} is not .* is not there any more")

    def test_in_use(self) -> None:
        """A backup that a daemon or another backup uses is refused."""
        self.open(self.target)
        self.refused("is in use")

    def test_something_else(self) -> None:
        """A directory that is not empty and has no blocks is refused."""
        self.target = self.mktemp()
        os.mkdir(self.target)
        Path(self.target, "thesis.doc").write_text("precious")
        self.refused("is not empty, and not a backup")


class CopyAllTests(CopyCase):
    """A copy in a new directory."""

    def test_equal(self) -> None:
        """Several blocks are copied equally, with more than one read per block."""
        self.patch(copies, "CHUNK_BYTES", 1000)
        self.save(60)
        self.store.close()
        held = LockedFolder(self.target + ".new", SIZE, QuickFiles())
        done: list[int] = []
        with ReadOnlyFolder(self.root, SIZE) as source:
            copy_all(source, held, done.append)
            self.assertEqual((done[-1], done), (source.total, sorted(done)))
        held.rename(self.target)
        held.close()
        self.same()

    def test_a_source_that_becomes_shorter(self) -> None:
        """A source that becomes shorter is an error, and the copy does not look complete."""
        self.save(60)
        held = LockedFolder(self.target, SIZE, QuickFiles())
        self.addCleanup(held.close)
        with ReadOnlyFolder(self.root, SIZE) as source:
            os.truncate(self.store.blocks.path(1), 40)
            with self.assertRaisesRegex(StorageError, "message_1 became shorter"):
                copy_all(source, held, lambda done: None)


class RepairTests(CopyCase):
    """Torn ends are moved into files of their own."""

    def tear(self, number: int, garbage: bytes) -> int:
        """Append bytes to a block. Return the place."""
        with open(self.store.blocks.path(number), "ab") as file:
            at = file.tell()
            file.write(garbage)
        return at

    def repair(self, change: bool) -> list[str]:
        """Repair, and return the names of the new files."""
        with Repair(self.root, change, SIZE, QuickFiles()) as work:
            verification = Verification(work.folder, lambda done: None)
            self.found = [str(finding) for finding in verification.findings()]
            return [work.cut(torn) for torn in verification.torn] if change else []

    def test_every_block(self) -> None:
        """Torn ends of older blocks are moved and kept too, and sound records stay."""
        self.save(60)
        self.store.close()
        whole = blocks(self.root)
        first, last = self.tear(0, b"IMIM"), self.tear(max(map(int, (n[8:] for n in whole))), b"?")
        made = self.repair(True)
        number = self.store.blocks.end[0]
        self.assertEqual(
            made,
            [f"{self.root}/torn_0_{first}", f"{self.root}/torn_{number}_{last}"],
        )
        self.assertEqual([Path(name).read_bytes() for name in made], [b"IMIM", b"?"])
        self.assertEqual(blocks(self.root), whole)
        self.assertEqual(self.repair(True), [])
        self.tear(0, b"again")
        self.assertEqual(self.repair(True), [f"{self.root}/torn_0_{first}.1"])

    def test_a_block_without_a_header(self) -> None:
        """A block without a header gets one."""
        self.store.close()
        Path(self.root, "message_1").write_bytes(b"IMIM\0")
        self.repair(True)
        self.assertEqual(Path(self.root, "torn_1_0").read_bytes(), b"IMIM\0")
        self.assertEqual(self.repair(False), [])
        self.assertEqual(self.found, [])

    def test_in_use(self) -> None:
        """A directory in use is refused, even without a change."""
        for change in (False, True):
            with self.assertRaisesRegex(StorageError, "in use: stop its daemon first"):
                Repair(self.root, change)


class ContentsTests(CopyCase):
    """The content of a directory."""

    def test_records_after_an_id(self) -> None:
        """Records after an id come in order, over several blocks, with damage between them."""
        self.save(60)
        with open(self.store.blocks.path(0), "r+b") as file:
            file.seek(32 + 20)
            file.write(b"?")
        with ReadOnlyFolder(self.root, SIZE) as folder:
            items = list(records(folder, 0))
            self.assertIsInstance(items[0], DamagedBytes)
            self.assertEqual([item.id for item in items], sorted(item.id for item in items))
            self.assertEqual(len(items), 60 * 5)
            for place in (0, 1, 50, 299):
                self.assertEqual(list(records(folder, items[place].id)), items[place + 1 :])

    def test_a_queue_after_an_id(self) -> None:
        """The queue of a user or a group is read after an id, and that of nobody is empty."""
        self.save(60)
        with ReadOnlyFolder(self.root, SIZE) as folder:
            items = list(queue(folder, USERS, APPID, 101, 0))
            self.assertEqual([item.record.body for item in items if item.record], self.saved)
            msgid = items[30].entry.msgid if items[30].entry else 0
            self.assertEqual(list(queue(folder, USERS, APPID, 101, msgid)), items[31:])
            self.assertEqual(len(list(queue(folder, SUPER_GROUPS, APPID, 500, 0))), 60)
            self.assertEqual(list(queue(folder, SUPER_GROUPS, APPID, 101, 0)), [])

    def test_a_message_that_is_damaged(self) -> None:
        """The entry of a damaged message is still shown."""
        self.save(2)
        with open(self.store.blocks.path(0), "r+b") as file:
            file.seek(32 + 20)
            file.write(b"?")
        with ReadOnlyFolder(self.root, SIZE) as folder:
            first, second = queue(folder, USERS, APPID, 101, 0)
        self.assertIsNone(first.record)
        self.assertIsNotNone(second.record)
