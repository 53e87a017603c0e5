"""The pieces that a master sends and a slave stores: in the end their files are equal."""

import contextlib
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError, WireError
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.storage.format.records import FIRST_OFFSET, pack_message
from gobelieve.storage.index.scan import scan
from gobelieve.storage.queues.commit import GroupCommit
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication import reader as feeding
from gobelieve.storage.replication.follower import Follower
from gobelieve.storage.replication.reader import (
    RECORDS_PER_BATCH,
    Batch,
    BoundaryCheck,
    Bytes,
    ReplicationReader,
    Tail,
    check_tail,
    id_of,
    is_boundary,
    place_of,
    tail_of,
)
from gobelieve.wire.message import Message
from gobelieve.wire.replication import StorageSyncBytes, StorageSyncMessage, StorageSyncMessageBatch
from gobelieve.wire.storage import SaveItem
from tests.fakes.world import FakeThread, FakeTurn, Lines, world
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

SIZE = 2048
CASES = Path(__file__).parents[2] / "vectors" / "storage"


def blocks(root: str) -> dict[str, bytes]:
    """Return the content of the block files."""
    return {path.name: path.read_bytes() for path in Path(root).glob("message_*")}


def as_sent(piece: Batch | Bytes) -> Message:
    """Return the messages on the wire for a piece."""
    if isinstance(piece, Batch):
        first, last, count, frames = piece
        sent: Message = StorageSyncMessageBatch(
            first_id=first, last_id=last, count=count, frames=frames
        )
    else:
        sent = StorageSyncBytes(ended=piece.ended, first_id=piece.first, content=piece.data)
    return type(sent).decode(sent.encode())


class Slave:
    """A slave without a network."""

    def __init__(self, root: str, size: int = SIZE) -> None:
        self.root = root
        self.size = size
        self.log = Lines()
        self.open()

    def open(self, resyncable_bytes: int = 0) -> None:
        files = QuickFiles()
        if resyncable_bytes:
            # Without a mark, as a directory of an earlier version.
            Path(self.root, "durable").unlink(missing_ok=True)
        self.store = Store(
            self.root,
            world=world(log=self.log),
            block_size=self.size,
            files=files,
            is_slave=True,
        )
        self.store.blocks.resyncable_bytes = resyncable_bytes
        self.store.open()
        self.follower = Follower(self.store.blocks, self.log)

    def take(self, sent: Message) -> None:
        """Store a sent piece durably."""
        self.store.copy(*self.follower.piece(sent))
        self.store.flush()
        self.store.begin_sync()()
        self.store.synced()

    def ask(self, master: Store) -> ReplicationReader:
        """Connect, and return the reader of the master."""
        place = place_of(master, self.follower.end)
        check_tail(master, tail_of(self.store), self.follower.end)
        return ReplicationReader(master, place)

    def follow(self, master: Store, pieces: int = 1 << 30) -> None:
        """Connect and take a number of pieces."""
        feed = self.ask(master)
        while pieces and (piece := feed.next()) is not None:
            self.take(as_sent(piece))
            pieces -= 1


class ReplicationCase(SynchronousTestCase):
    """Has a master with small blocks, and a slave."""

    size = SIZE

    def setUp(self) -> None:
        self.root, self.slave_root = self.mktemp(), self.mktemp()
        self.master = open_store(self.root, block_size=self.size)
        self.addCleanup(lambda: self.master.close())
        self.slave = Slave(self.slave_root, self.size)
        self.addCleanup(lambda: self.slave.store.close())
        self.count = 0

    def save(self, count: int = 1) -> None:
        """Save messages for 101, 102 and a super group."""
        for _ in range(count):
            self.count += 1
            body = b"message %d" % self.count
            save(self.master, to_users(101, 102, body=body), to_group(500, body))

    def restart_master(self) -> None:
        self.master.close()
        self.master = open_store(self.root, block_size=self.size)

    def restart_slave(self) -> None:
        self.slave.store.close()
        self.slave.open()

    def assertEqualFiles(self) -> None:
        self.assertEqual(blocks(self.slave_root), blocks(self.root))

    def assertSameReads(self) -> None:
        def read(store: Store, uid: int) -> list[Page]:
            return list(pages(lambda after: store.reader.fetch(User(APPID, uid), after, 7)))

        for uid in (101, 102):
            self.assertEqual(read(self.slave.store, uid), read(self.master, uid))

    def refused(self, cursor: int) -> str:
        """Return the reason why a cursor is refused."""
        with self.assertRaises(StorageError) as caught:
            place_of(self.master, cursor)
        return str(caught.exception)


class FilesTests(ReplicationCase):
    """The files of the slave equal those of the master, byte for byte."""

    def test_blocks_and_reads_are_equal(self) -> None:
        """Several blocks are equal, and the slave's reads give what the master's give."""
        self.save(40)
        self.slave.follow(self.master)
        self.assertGreater(len(blocks(self.root)), 3)
        self.assertEqualFiles()
        self.assertSameReads()

    def test_the_slave_skips_the_blocks_that_its_master_skipped(self) -> None:
        """It follows over the jump, and catches up over it."""
        other = Slave(self.mktemp(), self.size)
        self.addCleanup(lambda: other.store.close())
        self.save(10)
        self.slave.follow(self.master)
        self.master.jump(self.master.blocks.end[0] + 50)
        self.save(10)
        self.slave.follow(self.master)
        self.assertEqualFiles()
        self.assertSameReads()
        self.restart_slave()
        self.assertEqual(self.slave.log.of("warn", "error"), [])
        other.follow(self.master)
        self.assertEqual(blocks(other.root), blocks(self.root))

    def test_nothing_that_could_be_taken_back_is_sent(self) -> None:
        """A message that is written but not durable is sent only when it is durable."""
        self.save()
        feed = self.slave.ask(self.master)
        self.assertIsInstance(feed.next(), Batch)
        self.master.append(to_users(101))
        self.assertIsNone(feed.next())
        self.master.flush()
        work = self.master.begin_sync()
        self.assertIsNone(feed.next())
        work()
        self.assertIsNone(feed.next())
        self.master.synced()
        self.assertIsInstance(feed.next(), Batch)

    def test_the_watchers_are_called(self) -> None:
        """The watchers of a store are called whenever more may be sent."""
        settled: list[tuple[int, int]] = []
        self.master.watchers.append(lambda: settled.append(self.master.settled))
        self.save()
        self.assertEqual(settled[-1], self.master.blocks.end)

    def test_a_batch_is_of_one_block_and_short(self) -> None:
        """A batch has at most a thousand records."""
        self.master.close()
        root = self.mktemp()
        store = open_store(root)
        self.addCleanup(store.close)
        for _ in range(RECORDS_PER_BATCH):
            store.append(to_users(101))
        store.flush()
        store.begin_sync()()
        store.synced()
        feed = ReplicationReader(store, (0, FIRST_OFFSET))
        first, second = feed.next(), feed.next()
        assert isinstance(first, Batch) and isinstance(second, Batch)
        self.assertEqual((first.records, second.records), (RECORDS_PER_BATCH, RECORDS_PER_BATCH))
        self.assertEqual(first.first, FIRST_OFFSET)
        self.assertGreater(second.first, first.last)
        self.assertIsNone(feed.next())

    def test_batches_are_cut_by_bytes(self) -> None:
        """Records of 32 KB are sent in batches of at most 1 MiB."""
        root = self.mktemp()
        store = open_store(root)
        self.addCleanup(store.close)
        for _ in range(100):
            save(store, to_users(101, body=bytes(32767)))
        slave = Slave(self.mktemp(), store.blocks.size)
        self.addCleanup(slave.store.close)
        feed = slave.ask(store)
        while (piece := feed.next()) is not None:
            assert isinstance(piece, Batch)
            self.assertLessEqual(len(piece.frames), feeding.BATCH_BYTES)
            slave.take(as_sent(piece))
        self.assertEqual(blocks(slave.root), blocks(root))

    def damage(self, seed: int) -> None:
        """Return the blocks of forty messages, with a few wrong bytes."""
        self.save(40)
        self.master.close()
        chance = random.Random(seed)
        for number in (1, 2, 3):
            path = Path(self.root, f"message_{number}")
            data = bytearray(path.read_bytes())
            for _ in range(4):
                data[chance.randrange(len(data))] ^= 0xFF
            path.write_bytes(data)
        self.master = open_store(self.root, block_size=SIZE)

    def test_damage_is_copied_as_it_is(self) -> None:
        """Damaged lengths, heads and block headers are copied as they are, and reads are equal."""
        for seed in range(8):
            self.damage(seed)
            self.slave.follow(self.master)
            self.assertEqualFiles()
            self.assertSameReads()
            self.restart_slave()
            self.assertSameReads()
            self.doCleanups()
            self.setUp()

    def test_damage_and_a_slave_that_restarts_all_the_time(self) -> None:
        """A slave that restarts often cuts off ends with damage, and fetches them again."""
        for seed in range(8):
            self.damage(seed)
            pieces = 1
            while self.slave.store.blocks.end != self.master.blocks.end:
                self.slave.follow(self.master, pieces)
                self.restart_slave()
                pieces += 1
            self.assertEqualFiles()
            self.assertSameReads()
            self.doCleanups()
            self.setUp()

    def test_a_hole_that_a_power_cut_left(self) -> None:
        """Unsynced bytes are fetched again from the first hole on, even far from the end."""
        self.patch(feeding, "TAIL_BYTES", 100)
        self.save(10)
        self.slave.follow(self.master, 1)
        self.slave.store.close()
        path = Path(self.slave_root, "message_0")
        data = path.read_bytes()
        path.write_bytes(data[:500] + bytes(300) + data[800:])
        self.slave.open(resyncable_bytes=SIZE)
        self.assertLess(self.slave.follower.end, 500)
        (line,) = self.slave.log.of("warn", "error")
        self.assertIn(f"{len(data) - self.slave.follower.end} bytes was cut off", line)
        self.slave.follow(self.master)
        self.assertEqualFiles()
        self.assertSameReads()

    def test_damage_that_the_master_has_too(self) -> None:
        """A slave that starts anew fetches damage of the master again."""
        self.damage(3)
        self.slave.follow(self.master)
        for resyncable_bytes in (100, 1000, SIZE):
            self.slave.store.close()
            self.slave.open(resyncable_bytes)
            self.slave.follow(self.master)
            self.assertEqualFiles()
            self.assertSameReads()

    def test_directories_of_all_years(self) -> None:
        """The Go server's records are sent as they are, with obsolete kinds and old layouts."""
        for case in ("seed", "master_noindex"):
            root = self.mktemp()
            os.mkdir(root)
            for path in (CASES / case).glob("message_*"):
                Path(root, path.name).write_bytes(path.read_bytes())
            store = open_store(root)
            slave = Slave(self.mktemp(), store.blocks.size)
            slave.follow(store)
            self.assertEqual(blocks(slave.root), blocks(root))
            for uid in (101, 102, 103):
                asked = (User(APPID, uid), 0, 3000)
                self.assertEqual(slave.store.reader.fetch(*asked), store.reader.fetch(*asked))
            slave.store.close()
            store.close()

    def test_a_missing_block_stays_missing(self) -> None:
        """A block that is missing on the master is missing on the slave too."""
        self.save(40)
        self.master.close()
        os.unlink(Path(self.root, "message_2"))
        self.master = open_store(self.root, block_size=SIZE)
        self.slave.follow(self.master)
        self.assertEqualFiles()

    def test_a_failed_write_is_asked_for_again(self) -> None:
        """After a failed write the slave asks again for these bytes. No reader saw them."""
        self.save(3)
        feed = self.slave.ask(self.master)
        piece = feed.next()
        assert piece is not None
        end = self.slave.follower.end
        self.slave.store.copy(*self.slave.follower.piece(as_sent(piece)))
        self.slave.store.flush()
        self.assertEqual(self.slave.store.reader.fetch(User(APPID, 101), 0, 10).messages, ())
        self.slave.store.begin_sync()
        self.slave.store.take_back()
        self.assertEqual(self.slave.follower.end, end)
        self.slave.follow(self.master)
        self.assertEqualFiles()
        self.assertSameReads()

    def test_a_block_that_is_too_long(self) -> None:
        """Bytes after the largest length of a block are ignored on both sides."""
        self.save(40)
        self.slave.follow(self.master)
        for store, root in ((self.master, self.root), (self.slave.store, self.slave_root)):
            newest = store.blocks.numbers[-1]
            store.close()
            Path(root, f"message_{newest}").unlink()
            with open(Path(root, f"message_{newest - 1}"), "ab") as file:
                file.write(bytes(3 * SIZE))
        self.restart_master()
        self.restart_slave()
        self.slave.follow(self.master)
        self.save(20)
        self.slave.follow(self.master)
        last = self.slave
        self.slave = Slave(self.mktemp())
        self.addCleanup(last.store.close)
        self.slave.follow(self.master)
        self.assertSameReads()

    def test_a_block_without_a_header(self) -> None:
        """A block that lost its header counts as missing."""
        self.save(40)
        self.master.close()
        os.truncate(Path(self.root, "message_2"), 5)
        self.master = open_store(self.root, block_size=SIZE)
        self.slave.follow(self.master)
        mine = blocks(self.root)
        del mine["message_2"]
        self.assertEqual(blocks(self.slave_root), mine)
        self.assertSameReads()
        self.restart_slave()
        self.save(10)
        self.slave.follow(self.master)
        self.assertSameReads()

    def test_long_damage_is_looked_through_once(self) -> None:
        """Long damage is sent in pieces, and its end is searched for only once."""
        self.patch(feeding, "MAX_PIECE_BYTES", 100)
        searches: list[int] = []

        def counted(read: Any, start: int, end: int) -> Any:
            searches.append(start)
            return scan(read, start, end)

        self.patch(feeding, "scan", counted)
        self.save(40)
        self.master.close()
        with open(Path(self.root, "message_1"), "r+b") as file:
            file.seek(FIRST_OFFSET)
            file.write(bytes(1000))
        self.master = open_store(self.root, block_size=SIZE)
        self.slave.follow(self.master)
        self.assertEqualFiles()
        self.assertSameReads()
        self.assertEqual(len(searches), 1)

    def test_a_slave_of_a_slave(self) -> None:
        """A slave can send its files to another slave."""
        self.save(30)
        last = Slave(self.mktemp())
        self.addCleanup(last.store.close)
        self.slave.follow(self.master, 3)
        last.follow(self.slave.store)
        self.slave.follow(self.master)
        last.follow(self.slave.store)
        self.assertEqual(blocks(last.root), blocks(self.root))

    def test_a_promoted_slave_goes_on(self) -> None:
        """After a promotion, the next entries are linked to the copied ones."""
        self.save(10)
        self.slave.follow(self.master)
        save(self.slave.store, to_users(101, body=b"after"))
        got = [
            body
            for page in pages(
                lambda after: self.slave.store.reader.fetch(User(APPID, 101), after, 4)
            )
            for body in bodies(page)
        ]
        self.assertEqual(got, [b"message %d" % n for n in range(1, 11)] + [b"after"])


class OlderMasterTests(ReplicationCase):
    """A master of the Go server, which reports neither full blocks nor damage."""

    def test_single_records(self) -> None:
        """The message 221, which nobody sends, has a single record."""
        self.save(2)
        feed = ReplicationReader(self.master, (0, FIRST_OFFSET))
        piece = feed.next()
        assert isinstance(piece, Batch)
        at, id_ = 0, piece.first
        while at < len(piece.frames):
            end = at + 12 + int.from_bytes(piece.frames[at : at + 4], "big")
            inner = piece.frames[at:end]
            self.slave.take(StorageSyncMessage(msgid=id_, device_id=3, inner=inner))
            id_ += end - at + 8
            at = end
        self.assertEqualFiles()

    def test_batches_alone(self) -> None:
        """A record that does not fit in a block shows that the block is full."""
        self.save(40)
        feed = ReplicationReader(self.master, (0, FIRST_OFFSET))
        while (piece := feed.next()) is not None:
            if isinstance(piece, Batch):
                self.slave.take(as_sent(piece))
        self.assertEqualFiles()

    def test_a_block_that_is_not_full_is_a_gap(self) -> None:
        """A slave does not follow a master that lost a batch at the end of a block."""
        self.save(40)
        feed = ReplicationReader(self.master, (0, FIRST_OFFSET))
        feed.next()
        feed.next()
        piece = feed.next()
        assert piece is not None
        with self.assertRaises(WireError):
            self.slave.take(as_sent(piece))


class RefusalTests(ReplicationCase):
    """Cursors and tails that a master refuses."""

    def test_places_that_are_none(self) -> None:
        """A cursor below 0, in a header, or beyond the master's end is refused."""
        self.save()
        end = self.master.blocks.end[1]
        for cursor in (-(1 << 63), -1, 0, 31):
            self.assertIn("no place of a record", self.refused(cursor))
        for cursor in (end + 1, SIZE - 1, SIZE, (1 << 63) - 1):
            self.assertRegex(self.refused(cursor), "beyond ours|no place")
        self.assertEqual(place_of(self.master, end), (0, end))

    def test_removed_blocks(self) -> None:
        """A cursor in a removed or missing block, or behind a block's end, is refused."""
        self.save(40)
        self.master.close()
        os.unlink(Path(self.root, "message_0"))
        os.unlink(Path(self.root, "message_2"))
        self.master = open_store(self.root, block_size=SIZE)
        self.assertIn("before our oldest block, message_1", self.refused(32))
        self.assertIn("which we do not have", self.refused(2 * SIZE + 32))
        length = self.master.blocks.length(1)
        self.assertIn("behind the end of message_1", self.refused(SIZE + length + 1))

    def test_a_full_block(self) -> None:
        """The end of a full block has the id at which the next block begins."""
        first = pack_message(4, b"")
        self.master.blocks.append(pack_message(4, bytes(SIZE - FIRST_OFFSET - 3 * len(first) - 2)))
        self.master.blocks.append(first)
        self.master.blocks.append(pack_message(4, bytes(2)))
        self.assertEqual(self.master.blocks.end, (0, SIZE))
        self.master.flush()
        self.master.begin_sync()()
        self.master.synced()
        self.slave.follow(self.master)
        self.assertEqual(self.slave.follower.end, SIZE)
        self.save(3)
        self.slave.follow(self.master)
        self.assertEqualFiles()

    def test_another_history(self) -> None:
        """A slave that took messages itself is refused, even if it is as long as the master."""
        self.save(3)
        self.slave.follow(self.master)
        save(self.slave.store, to_users(101, body=b"here"))
        save(self.master, to_users(101, body=b"else"))
        with self.assertRaises(StorageError) as caught:
            self.slave.ask(self.master)
        self.assertIn("another history", str(caught.exception))

    def test_another_history_in_a_new_block(self) -> None:
        """A slave whose newest block is empty is compared by the block before it."""
        self.save(40)
        self.slave.follow(self.master)
        while self.slave.follower.end % SIZE != FIRST_OFFSET:
            self.slave = Slave(self.mktemp())
            self.addCleanup(self.slave.store.close)
            feed = self.slave.ask(self.master)
            while not isinstance(piece := feed.next(), Bytes):
                assert piece is not None
                self.slave.take(as_sent(piece))
            self.slave.take(as_sent(piece))
        first, end, _ = tail_of(self.slave.store)
        self.assertEqual((first, end // SIZE), (FIRST_OFFSET, 0))
        self.slave.ask(self.master)
        with self.assertRaises(StorageError):
            check_tail(self.master, Tail(first, end, 1), self.slave.follower.end)

    def test_a_tail_in_a_block_that_was_removed(self) -> None:
        """The reason names a tail in a removed block, which cannot be compared."""
        self.save(40)
        with self.assertRaises(StorageError) as caught:
            check_tail(self.master, Tail(90 * SIZE + 32, 90 * SIZE + 64, 1), 90 * SIZE + 64)
        self.assertIn("message_90, which we do not have", str(caught.exception))

    def test_tails_that_cannot_be(self) -> None:
        """Tails that cannot be are refused without being read."""
        self.save()
        for first, end in ((64, 32), (-1, 5), (0, 1 << 40), (SIZE - 1, SIZE + 1), (-(1 << 63), 0)):
            with self.assertRaises(StorageError):
                check_tail(self.master, Tail(first, end, 0), end)

    def test_a_tail_that_is_not_at_the_end(self) -> None:
        """A tail that is not at the end is refused, since it does not prove anything."""
        self.save(40)
        tail = Tail(0, 0, 0)
        for cursor in (FIRST_OFFSET, SIZE + FIRST_OFFSET):
            check_tail(self.master, tail, cursor)
        for cursor in (
            FIRST_OFFSET + 1,
            self.master.blocks.length(0),
            SIZE,
            SIZE + FIRST_OFFSET + 100,
        ):
            with self.assertRaises(StorageError) as caught:
                check_tail(self.master, tail, cursor)
            self.assertIn("its tail ends at 0", str(caught.exception))

    def test_a_glance_at_a_border(self) -> None:
        """A look at the magics finds all borders, and few other places."""
        self.save(40)
        data = Path(self.root, "message_1").read_bytes()
        borders, at = [FIRST_OFFSET], FIRST_OFFSET
        while at < len(data):
            at += 20 + int.from_bytes(data[at + 4 : at + 8], "big")
            borders.append(at)
        offsets = range(FIRST_OFFSET, len(data) + 1)
        found = [offset for offset in offsets if is_boundary(self.master, (1, offset))]
        self.assertEqual(found, borders)

    def test_an_end_inside_a_record(self) -> None:
        """An end inside a record is refused, of a slave of the Go server, which sends no tail."""
        self.save(40)
        number, end = 1, self.master.blocks.length(1)
        borders = []
        for offset in range(FIRST_OFFSET, end + 1):
            border = BoundaryCheck(self.master, (number, offset))
            try:
                while not border.found():
                    pass
                borders.append(offset)
            except StorageError as why:
                self.assertIn("inside a record", str(why))
        data = Path(self.root, "message_1").read_bytes()
        wanted, at = [FIRST_OFFSET], FIRST_OFFSET
        while at < end:
            at += 20 + int.from_bytes(data[at + 4 : at + 8], "big")
            wanted.append(at)
        self.assertEqual(borders, wanted)

    def test_what_a_master_cannot_mean(self) -> None:
        """Impossible lengths, counts and places are errors of the wire, and nothing is stored."""
        frame = pack_message(4, b"hello")[4:-4]
        bad: list[Message] = [
            StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=b""),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=0, frames=b""),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=-1, frames=frame),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=2, frames=frame),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=frame[:5]),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=frame[:-1]),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=b"\xff" * 40),
            StorageSyncMessageBatch(first_id=33, last_id=33, count=1, frames=frame),
            StorageSyncMessageBatch(first_id=-32, last_id=33, count=1, frames=frame),
            StorageSyncMessageBatch(first_id=32, last_id=32, count=100, frames=frame * 100),
            StorageSyncMessage(msgid=32, device_id=0, inner=b""),
            StorageSyncMessage(msgid=-(1 << 63), device_id=0, inner=frame),
            StorageSyncMessage(msgid=SIZE + 32, device_id=0, inner=frame),
            StorageSyncBytes(ended=32, first_id=32, content=bytes(SIZE)),
            StorageSyncBytes(ended=31, first_id=32, content=bytes(1)),
            StorageSyncBytes(ended=32, first_id=0, content=bytes(32)),
            StorageSyncBytes(ended=32, first_id=SIZE, content=bytes(31)),
            StorageSyncBytes(ended=32, first_id=-SIZE, content=bytes(32)),
            StorageSyncBytes(ended=32, first_id=(1 << 62), content=bytes(32)),
        ]
        for sent in bad:
            with self.assertRaises(WireError, msg=str(sent)):
                self.slave.follower.piece(sent)
        self.assertEqual(self.slave.follower.end, FIRST_OFFSET)

    def test_queue_records_that_cannot_be(self) -> None:
        """Impossible queue records are stored as the master has them, and enter no queue."""
        frame = pack_message(248, bytes(64))[4:-4]
        batch = StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=frame)
        self.slave.take(batch)
        self.assertEqual(len(self.slave.log.of("error")), 1)
        self.assertEqual(len(self.slave.store.index), 0)


class CommitTests(ReplicationCase):
    """The pieces of a slave share syncs as saves do, and fail together."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = BadDisk()
        self.store = open_store(self.mktemp(), block_size=SIZE, files=self.disk)
        self.addCleanup(self.store.close)
        self.follower = Follower(self.store.blocks, Lines())
        self.turn, self.thread = FakeTurn(), FakeThread()
        self.commits = GroupCommit(self.store, world=world(turn=self.turn), in_thread=self.thread)
        self.answers: list[tuple[int, int]] = []
        self.save(12)
        self.feed = ReplicationReader(self.master, (0, FIRST_OFFSET))

    def copy(self) -> None:
        """Take the next piece. Its answer comes later, with the settled end."""
        piece = self.feed.next()
        assert piece is not None

        def done(_: None, results: list[tuple[int, int, tuple[int, ...]]]) -> None:
            ((status, _id, _prevs),) = results
            self.answers.append((status, id_of(self.store, self.store.settled)))

        self.commits.copy(self.follower.piece(as_sent(piece)), done, None)

    def test_one_sync_for_all_of_a_turn(self) -> None:
        """All pieces of a turn share one sync, and are settled when they are answered."""
        for _ in range(3):
            self.copy()
        self.turn.end()
        self.assertEqual(self.answers, [])
        self.thread.run()
        self.assertEqual(self.answers, [(0, self.feed.id)] * 3)
        self.assertEqual(self.thread.worked, 1)

    def test_a_sync_that_fails(self) -> None:
        """A failed sync takes back all later pieces too, and they get the error."""
        self.copy()
        self.turn.end()
        self.thread.run()
        before = self.follower.end
        self.copy()
        self.turn.end()
        self.copy()
        self.disk.broken = True
        self.thread.run()
        self.turn.end()
        self.assertEqual(self.answers[1:], [(AckStatus.STORAGE_FAILED, before)] * 2)
        self.assertEqual(self.follower.end, before)
        self.disk.broken = False

    def test_a_block_that_is_taken_back_and_begun_again(self) -> None:
        """A block that was taken back and begun again is read from its new file."""
        self.patch(feeding, "RECORDS_PER_BATCH", 5)
        self.copy()
        self.turn.end()
        while self.store.blocks.numbers == [0]:
            self.thread.run()
            self.copy()
            self.turn.end()
        self.copy()
        self.turn.end()
        tail_of(self.store)
        self.disk.broken = True
        self.thread.run()
        self.disk.broken = False
        self.assertEqual(self.store.blocks.numbers, [0])
        self.feed = ReplicationReader(self.master, place_of(self.master, self.follower.end))
        while self.follower.end != id_of(self.master, self.master.settled):
            self.copy()
            self.turn.end()
            self.thread.run()
        asked = (User(APPID, 101), 0, 3000)
        self.assertEqual(self.store.reader.fetch(*asked), self.master.reader.fetch(*asked))
        check_tail(self.master, tail_of(self.store), self.follower.end)

    def test_a_bridge_over_damage_is_taken_back_too(self) -> None:
        """A bridge over damage is taken back too, so that no queue leads into another record."""
        self.save(4)
        self.master.close()
        path = Path(self.root, "message_0")
        data = bytearray(path.read_bytes())
        # The entry of message 2 in the queue of 101.
        data[data.index(b"message 2") + 60] ^= 0xFF
        path.write_bytes(data)
        self.master = open_store(self.root, block_size=SIZE)
        bridges = dict(self.master.reader.bridges)
        self.assertEqual(len(bridges), 1)
        feed = self.slave.ask(self.master)
        while (piece := feed.next()) is not None:
            self.slave.store.copy(*self.slave.follower.piece(as_sent(piece)))
        self.slave.store.flush()
        self.assertEqual(self.slave.store.reader.bridges, bridges)
        self.slave.store.begin_sync()
        self.slave.store.take_back()
        self.assertEqual(self.slave.store.reader.bridges, {})

    def test_at_the_end(self) -> None:
        """A piece that comes while storage closes is not stored."""
        closed: list[None] = []
        self.commits.close(lambda: closed.append(None))
        self.copy()
        self.turn.end()
        self.assertEqual(self.answers, [(AckStatus.STORAGE_AWAY, FIRST_OFFSET)])
        self.assertEqual((self.follower.end, closed), (FIRST_OFFSET, [None]))


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), st.lists(st.integers(0, 700), min_size=1, max_size=12)),
        st.tuples(st.just("follow"), st.integers(1, 9)),
        st.tuples(st.just("master_fails"), st.integers(1, 9)),
        st.tuples(st.just("master_restarts"), st.just(0)),
        st.tuples(st.just("slave_fails"), st.integers(1, 9)),
        st.tuples(st.just("slave_restarts"), st.just(0)),
        st.tuples(st.just("slave_loses_its_end"), st.integers(1, 900)),
        st.tuples(st.just("slave_has_a_hole"), st.integers(1, 900)),
    ),
    max_size=25,
)


class Pair:
    """A master and a slave, to which things happen."""

    def __init__(self, folder: str) -> None:
        self.root, self.slave_root = os.path.join(folder, "master"), os.path.join(folder, "slave")
        self.master, self.slave = open_store(self.root, block_size=SIZE), Slave(self.slave_root)
        self.count = 0

    def close(self) -> None:
        self.slave.store.close()
        self.master.close()

    def items(self, lengths: Iterable[int]) -> Iterator[SaveItem]:
        for length in lengths:
            self.count += 1
            yield to_users(101 + self.count % 3, 105, body=b"%d" % self.count + bytes(length))

    def save(self, lengths: list[int]) -> None:
        """Save, each message with a write of its own."""
        save(self.master, *self.items(lengths))

    def follow(self, pieces: int) -> None:
        self.slave.follow(self.master, pieces)

    def master_fails(self, count: int) -> None:
        """Let the master take back unsynced writes, also while the slave asks."""
        for item in self.items([300] * count):
            self.master.append(item)
            self.master.flush()
        self.master.begin_sync()
        self.follow(2)
        self.master.take_back()

    def master_restarts(self, _: int) -> None:
        self.master.close()
        self.master = open_store(self.root, block_size=SIZE)

    def slave_fails(self, pieces: int) -> None:
        """Let the slave fail to sync some pieces."""
        store, feed = self.slave.store, self.slave.ask(self.master)
        while pieces and (piece := feed.next()) is not None:
            pieces -= 1
            store.copy(*self.slave.follower.piece(as_sent(piece)))
            if store.unwritten:
                store.flush()
        tail_of(store)
        store.begin_sync()
        store.take_back()

    def slave_restarts(self, resyncable_bytes: int) -> None:
        self.slave.store.close()
        self.slave.open(resyncable_bytes)

    def slave_loses_its_end(self, count: int) -> None:
        """Remove some unsynced bytes at the end of the slave, as a power cut does."""
        os.truncate(self._newest(), max(0, os.path.getsize(self._newest()) - count))
        self.slave_restarts(0)

    def slave_has_a_hole(self, place: int) -> None:
        """Remove only some of the unsynced bytes of the slave, as a power cut may do."""
        with open(self._newest(), "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(FIRST_OFFSET, end - place))
            # Not zeros: from the wrong byte on they would be a record of the years without
            # checksums.
            file.write(b"\xff" * min(40, max(0, end - file.tell())))
        self.slave_restarts(SIZE)

    def _newest(self) -> str:
        return self.slave.store.blocks.path(self.slave.store.blocks.numbers[-1])

    def reads(self, store: Store, uid: int) -> list[tuple[int, bytes]]:
        """Return everything that a user reads."""
        page = store.reader.fetch(User(APPID, uid), 0, 3000)
        return [(message.msgid, message.body) for message in page.messages]


class RandomTests(SynchronousTestCase):
    """Random events between a master and a slave."""

    def setUp(self) -> None:
        self.patch(feeding, "RECORDS_PER_BATCH", 4)

    @given(OPS)
    def test_in_the_end_all_is_equal(self, ops: list[tuple[str, Any]]) -> None:
        """The files are equal in the end. The slave's readers always see what the master's saw."""
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(folder)
            for op, value in [*ops, ("follow", 1 << 30)]:
                before = len(pair.reads(pair.slave.store, 105))
                getattr(pair, op)(value)
                read = pair.reads(pair.slave.store, 105)
                self.assertEqual(read, pair.reads(pair.master, 105)[: len(read)])
                if not op.startswith("slave_"):
                    self.assertGreaterEqual(len(read), before)
            self.assertEqual(blocks(pair.slave_root), blocks(pair.root))
            for uid in (101, 102, 103):
                mine, its = (pair.reads(store, uid) for store in (pair.slave.store, pair.master))
                self.assertEqual(mine, its)
            pair.close()


_IDS = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-1, 2 * SIZE + 33))
_FRAMES = st.lists(
    st.one_of(
        st.binary(max_size=80),
        st.integers(0, 2000).map(lambda length: pack_message(4, bytes(length))[4:-4]),
        st.binary(min_size=64, max_size=64).map(lambda body: pack_message(248, body)[4:-4]),
        st.binary(max_size=64).map(lambda body: pack_message(250, body)[4:-4]),
    ),
    max_size=4,
)


class HostileTests(SynchronousTestCase):
    """A master that sends anything at all."""

    @settings(max_examples=200)
    @given(_IDS, _IDS, st.integers(-2, 5), _FRAMES)
    def test_is_a_piece_that_fits_or_an_error_of_the_wire(
        self, first: int, ended: int, count: int, frames: list[bytes]
    ) -> None:
        """Any message becomes a piece that fits, or an error of the wire."""
        content = b"".join(frames)
        with tempfile.TemporaryDirectory() as folder:
            slave = Slave(folder)
            for sent in (
                StorageSyncMessageBatch(first_id=first, last_id=ended, count=count, frames=content),
                StorageSyncMessage(msgid=first, device_id=ended, inner=content),
                StorageSyncBytes(ended=ended, first_id=first, content=content),
                StorageSyncMessageBatch(
                    first_id=slave.follower.end, last_id=0, count=len(frames), frames=content
                ),
                StorageSyncBytes(
                    ended=slave.follower.end, first_id=slave.follower.end, content=content
                ),
            ):
                with contextlib.suppress(WireError):
                    slave.take(sent)
                    self.assertLessEqual(slave.store.blocks.end[1], SIZE)
            slave.store.close()
            slave.open()
            slave.store.close()
