"""The defects of the Go server with stored messages, each as a test that passes here.

The numbers are those of the table in docs/defects.md. It also names tests in other modules that are
exactly such a case. `TableTests` checks that the table is complete.
"""

import os
import tracemalloc
from pathlib import Path
from random import Random

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import ImsConfig
from gobelieve.errors import StorageError
from gobelieve.names import AckStatus, User, shard
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import (
    BODY_LIMIT,
    FIRST_OFFSET,
    HEAD,
    MAGIC,
    QUEUE_KINDS,
    pack_entry,
    pack_message,
)
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.scan import CHUNK_BYTES
from gobelieve.storage.queues.commit import GroupCommit
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication.reader import BATCH_BYTES, Batch, ReplicationReader
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire.frames import encode_frame
from gobelieve.wire.storage import USERS
from tests import defect_table
from tests.fakes.world import FakeThread, FakeTurn, Lines, world
from tests.protocols.replication.test_replication import ReplicationCase
from tests.storage.index.test_snapshot import left, started
from tests.storage.power import PowerCut, PowerDisk
from tests.storage.replication.test_replication import Slave, as_sent, blocks
from tests.storage.support import (
    APPID,
    BadDisk,
    bodies,
    ids,
    im,
    open_store,
    pages,
    save,
    to_group,
    to_users,
)

ALICE, BOB = User(APPID, 101), User(APPID, 102)
GROUP = User(APPID, 500)
SIZE = 2048
"""The length of a block that is full after a few messages."""


class DirectoryCase(SynchronousTestCase):
    """A directory, and one store after another on it."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.log = Lines()

    def open(self, block_size: int = SIZE) -> Store:
        self.log = Lines()
        store = open_store(str(self.root), block_size=block_size, log=self.log)
        self.addCleanup(store.close)
        return store

    def block(self, number: int = 0) -> Path:
        return self.root / f"message_{number}"

    def read(self, store: Store, user: User = BOB, limit: int = 3000) -> list[bytes]:
        found = pages(lambda after: store.reader.fetch(user, after, limit))
        return [body for page in found for body in bodies(page)]

    def read_group(self, store: Store, limit: int = 3000) -> list[bytes]:
        found = pages(lambda after: store.reader.fetch_group(GROUP, after, 0, limit))
        return [body for page in found for body in bodies(page)]


class StartTests(DirectoryCase):
    """The start after a crash, and the index after it."""

    def test_a_groups_last_messages_are_there_after_a_crash(self) -> None:
        """1. original: after a crash, the index of super groups was read only from the newest
        message of any user on. Earlier messages of groups were lost; ours: one scan from the
        snapshot's position, for both kinds."""
        thread = FakeThread()
        store = started(self.root, thread)
        save(store, to_users(102, body=b"before"), to_group(500, b"before"))
        left(store, thread)
        store = started(self.root)
        texts = [b"%d" % n for n in range(5)]
        save(store, *(to_group(500, text) for text in texts), to_users(102, body=b"a user's"))
        store.close()
        store = started(self.root)
        self.addCleanup(store.close)
        self.assertEqual(self.read_group(store), [b"before", *texts])

    def test_a_stop_before_the_first_message_costs_nothing_later(self) -> None:
        """2. original: a clean stop before the first message, then a crash: everything was lost;
        ours: the snapshot contains a position, and the scan begins after the block header."""
        thread = FakeThread()
        left(started(self.root, thread), thread)
        store = started(self.root)
        saved = save(store, to_users(102, body=b"one"), to_users(102, body=b"two"))
        store.close()
        store = started(self.root)
        self.addCleanup(store.close)
        self.assertEqual(self.read(store), [b"one", b"two"])
        ((_, (prev,)),) = save(store, to_users(102, body=b"three"))
        self.assertEqual(prev, ids(saved)[-1])

    def test_later_blocks_are_found_without_an_index(self) -> None:
        """3. original: a rebuild of the index forgot the block's number. Queues that ended after
        the first block were empty; ours: ids are block and offset everywhere."""
        store = self.open()
        texts = [b"%d" % n + bytes(200) for n in range(30)]
        save(store, *(to_users(102, body=text) for text in texts))
        self.assertGreater(len(store.blocks.numbers), 3)
        store.close()
        self.assertFalse((self.root / "heads").exists())
        self.assertEqual(self.read(self.open()), texts)

    def test_a_torn_write_hides_nothing_that_comes_later(self) -> None:
        """7. original: new records were written after a torn one, and the next rebuild lost
        them; ours: a torn end is cut off at the start, and kept in a file."""
        store = self.open()
        save(store, *(to_users(102, body=b"%d" % n) for n in range(4)))
        store.close()
        with self.block().open("ab") as file:
            file.write(pack_message(4, b"torn")[:-9])
        store = self.open()
        save(store, *(to_users(102, body=b"%d" % n) for n in range(4, 7)))
        store.close()
        self.assertEqual(self.read(self.open()), [b"%d" % n for n in range(7)])

    def test_numbers_go_on_after_restarts_and_without_old_blocks(self) -> None:
        """8. original: the numbers in a queue drifted at restarts. Without the old blocks they
        began at 1 again, so nothing was counted as new; ours: the stored numbers continue."""
        for number in range(1, 9):
            store = self.open(block_size=400)
            save(store, to_group(500, b"%d" % number))
            head = store.head(1, *GROUP)
            assert head is not None
            self.assertEqual(head[4], number)
            save(store, *(to_users(102, body=bytes(60)) for _ in range(2)))
            store.close()
        for path in sorted(self.root.glob("message_*"), key=lambda p: int(p.name[8:]))[:-2]:
            path.unlink()
        store = self.open(block_size=400)
        newest = store.reader.fetch_latest(BOB, 1).last
        save(store, to_users(102), to_users(102))
        self.assertEqual(store.reader.count_new(BOB, newest), 2)

    def test_zeros_in_the_middle_of_what_was_not_synced(self) -> None:
        """19. original: saves were answered before the sync. Zeros that a power cut left in the
        middle were not noticed; ours: answered after the sync. Each body has a checksum, and
        everything that was not synced is read at the start."""
        store = self.open(1 << 20)
        saved = save(store, *(to_users(102, body=b"%d" % n + bytes(300)) for n in range(9)))
        store.close()
        with self.block().open("r+b") as file:
            file.seek(ids(saved)[3] + 20)
            file.write(bytes(512))
        found = [body.rstrip(b"\0") for body in self.read(self.open(1 << 20))]
        self.assertEqual(found, [b"0", b"1", b"2", b"5", b"6", b"7", b"8"])
        self.assertIn("skipped", self.log.of("error")[0])

    def test_a_crash_while_the_snapshot_is_written(self) -> None:
        """23. original: a crash between the writing of two index files had the effect of 1. Two
        writers could use one file; ours: one file, one writer."""
        for step in range(12):
            self.root = Path(self.mktemp())
            disk = PowerDisk(Random(step))
            thread = FakeThread()
            store = started(self.root, thread, files=disk)
            save(store, to_users(102, body=b"one"), to_group(500, b"one"))
            left(store, thread)
            store = started(self.root, thread, files=disk)
            save(store, to_group(500, b"two"), to_users(102, body=b"two"))
            disk.left = step
            try:
                left(store, thread)
            except PowerCut:
                disk.abandon()
                disk.cut_power()
            disk.abandon()
            thread.waiting.clear()
            store = started(self.root)
            self.assertEqual(self.read(store), [b"one", b"two"])
            self.assertEqual(self.read_group(store), [b"one", b"two"])
            store.close()

    def test_a_start_reads_all_once_in_large_pieces(self) -> None:
        """29. original: a start without an index read all data twice, a few bytes at a time;
        ours: once, by the MiB."""
        store = self.open(1 << 27)
        for n in range(300):
            store.append(to_users(102, body=bytes(10_000)) if n % 2 else to_group(500, b"x"))
        store.flush()
        store.close()
        disk = BadDisk()
        reads: list[int] = []

        def pread(fd: int, count: int, offset: int) -> bytes:
            reads.append(count)
            return os.pread(fd, count, offset)

        disk.pread = pread
        open_store(str(self.root), files=disk).close()
        length = self.block().stat().st_size
        self.assertLess(sum(reads), 1.5 * length)
        self.assertLess(len(reads), 2 * length // CHUNK_BYTES + 6)

    def test_blocks_of_another_directory_are_found_out(self) -> None:
        """33. original: blocks of another directory were not noticed; ours: the snapshot is
        refused if the records before its position are different. `verify` names queues that do
        not fit. A start that reads everything reports nothing, since it reads what is there."""
        thread = FakeThread()
        other = Path(self.mktemp())
        for root, text in ((self.root, b"ours"), (other, b"theirs")):
            store = started(root, thread)
            for n in range(20):
                save(store, to_users(101 + n % 3, body=text * (1 + n % 5)))
            left(store, thread)
        number = max(int(path.name[8:]) for path in self.root.glob("message_*"))
        for mixed in (number, number // 2):
            kept = self.block(mixed).read_bytes()
            self.block(mixed).write_bytes((other / f"message_{mixed}").read_bytes())
            folder = ReadOnlyFolder(str(self.root), 1024)
            self.addCleanup(folder.close)
            found = list(Verification(folder, lambda _: None).findings())
            self.assertNotEqual(found, [])
            self.block(mixed).write_bytes(kept)
        self.block(number).write_bytes((other / f"message_{number}").read_bytes())
        log = Lines()
        started(self.root, log=log).close()
        self.assertIn("of no use", log.of("info")[0])


class SaveTests(DirectoryCase):
    """The records and the index of saved messages."""

    def test_a_message_that_is_too_long_hides_nothing(self) -> None:
        """4. original: a body of 32,768 bytes was stored and could not be read. It hid all older
        messages of the queue and the rest of its block; ours: refused with TOO_LARGE before
        anything is written. Skipped in old files."""
        store = self.open(1 << 27)
        save(store, to_users(102, body=b"before"))
        for length in (BODY_LIMIT + 1, 1 << 20):
            error = self.assertRaises(StorageError, store.append, to_users(102, body=bytes(length)))
            self.assertEqual(error.status, AckStatus.TOO_LARGE)
        head = store.head(USERS, *BOB)
        assert head is not None
        store.close()
        poison = HEAD.pack(MAGIC, 32768, 0, 4, 2, 0, 0) + b"x" * 32768 + MAGIC
        with self.block().open("ab") as file:
            msgid = file.tell()
            last = head[1]
            entry = pack_entry(USERS, APPID, 102, msgid, 0, 2, last, last, 0, 0)
            file.write(poison + entry)
        store = self.open(1 << 27)
        save(store, to_users(102, body=b"after"))
        store.close()
        self.assertEqual(self.read(self.open(1 << 27)), [b"before", b"after"])

    def test_both_queues_or_neither(self) -> None:
        """20. original: two saves per message: the receiver could have it and the sender not;
        ours: one save for all queues of a storage, which succeeds or fails as a whole. A client
        that sends again still has the message twice."""
        disk = BadDisk()
        store = open_store(str(self.root), files=disk)
        self.addCleanup(store.close)
        for room in range(0, 25 + 2 * 84, 8):
            disk.room = room
            store.append(to_users(102, 101))
            self.assertRaises(StorageError, store.flush)
            self.assertEqual((self.read(store), self.read(store, ALICE)), ([], []))
        disk.room = None
        # Not promised: a client that sends again after a lost answer has the message twice.
        save(store, to_users(102, 101), to_users(102, 101))
        self.assertEqual(len(self.read(store)), 2)

    def test_a_queue_costs_little_memory(self) -> None:
        """26. original: every queue that was ever used stayed in memory, with 120 to 200 bytes.
        A snapshot copied all at once; ours: they stay, with about 150 bytes. A snapshot copies
        small pieces while saves go on."""
        index, count = Index(), 50_000
        tracemalloc.start()
        try:
            for uid in range(count):
                index.place(USERS, APPID, 10**9 + uid)
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        self.assertLess(taken / count, 250)

    def test_ids_and_times_at_the_ends_of_their_ranges(self) -> None:
        """31. original: a negative user id ended the daemon. Times of 32 bits end in 2038; ours:
        it is an id like any other. The times stay, as the clients' protocol needs them. Storage
        uses them for one thing only: what a member may see of the time before they joined."""
        store = self.open(1 << 27)
        for uid in (-1, -(1 << 63), (1 << 63) - 1):
            save(store, to_users(uid, body=im(uid, 2, "x", when=(1 << 31) - 1)))
            self.assertEqual(len(self.read(store, User(APPID, uid))), 1)
            self.assertIn(shard(uid, 3), (0, 1, 2))

    def test_every_command_is_stored_with_its_body(self) -> None:
        """34. original: master stored bodies of unknown kinds as empty; ours: cannot arise:
        storage does not look into bodies."""
        store = self.open(1 << 27)
        for cmd in set(range(256)) - QUEUE_KINDS:
            ((msgid, _),) = save(store, to_users(102, body=b"of %d" % cmd, cmd=cmd))
            record = store.blocks.read(msgid, 99)
            self.assertTrue(record.startswith(pack_message(cmd, b"of %d" % cmd)))


class ReadTests(DirectoryCase):
    """Pages of queues and groups."""

    def test_a_group_with_a_damaged_message_can_be_read(self) -> None:
        """10. original: an entry whose message could not be read ended the daemon at each sync
        of its group; ours: the entry is left out. The others are read, and the log reports it."""
        store = self.open()
        saved = save(store, *(to_group(500, b"%d" % n) for n in range(3)))
        with self.block().open("r+b") as file:
            file.seek(ids(saved)[1] + 16)
            file.write(b"?")
        for _ in range(2):
            self.assertEqual(self.read_group(store), [b"0", b"2"])
        store.close()
        self.assertEqual(self.read_group(self.open()), [b"0", b"2"])

    def test_small_pages_lose_nothing(self) -> None:
        """21. original: with a `limit` below 1000, messages were left out of syncs; ours: pages
        from old to new, of any size."""
        store = self.open(1 << 27)
        for n in range(1800):
            store.append(to_users(102, body=b"%d" % n))
        store.flush()
        store.show_written()
        self.assertEqual(self.read(store, limit=500), [b"%d" % n for n in range(1800)])

    def test_a_group_gives_more_than_a_hundred(self) -> None:
        """22. original: of a super group only the newest 100 messages came; ours: pages."""
        store = self.open(1 << 27)
        save(store, *(to_group(500, b"%d" % n) for n in range(250)))
        self.assertEqual(self.read_group(store), [b"%d" % n for n in range(250)])
        self.assertEqual(self.read_group(store, 100), [b"%d" % n for n in range(250)])

    def test_a_read_does_not_wait_for_a_sync(self) -> None:
        """27. original: one lock for saves, reads and syncs. Four disk reads per record; ours:
        syncs run in a thread, reads need no lock and one `pread` per record."""
        store = self.open(1 << 27)
        save(store, *(to_users(102, body=b"%d" % n) for n in range(100)))
        thread, turn = FakeThread(), FakeTurn()
        commits = GroupCommit(store, world=world(turn=turn, log=self.log), in_thread=thread)
        commits.save([to_users(102, body=b"under way")], lambda *_: None, None)
        turn.end()
        self.assertEqual(len(thread.waiting), 1)
        reads = []
        read_block = store.blocks.read_block

        def counting(number: int, count: int, offset: int) -> bytes:
            reads.append(count)
            return read_block(number, count, offset)

        store.blocks.read_block = counting
        self.assertEqual(len(store.reader.fetch(BOB, 0, 100).messages), 100)
        self.assertLessEqual(len(reads), 201)
        thread.run()


class SlaveTests(DirectoryCase):
    """Replication, without a network."""

    def setUp(self) -> None:
        super().setUp()
        self.master = self.open()
        self.slave = Slave(self.mktemp(), SIZE)
        self.addCleanup(lambda: self.slave.store.close())
        self.count = 0

    def save(self, count: int = 1, length: int = 0) -> None:
        for _ in range(count):
            self.count += 1
            save(self.master, to_users(101, 102, body=b"%d" % self.count + bytes(length)))

    def same(self) -> None:
        self.assertEqual(blocks(self.slave.root), blocks(str(self.root)))
        texts = self.read(self.master)
        self.assertEqual(len(texts), self.count)
        self.assertEqual(self.read(self.slave.store), texts)

    def test_saves_while_a_slave_catches_up(self) -> None:
        """11. original: messages saved between a slave's catch-up and its following were never
        sent. Zeros took their place; ours: both use one cursor. A slave accepts only what begins
        at its end."""
        self.save(40)
        feed = self.slave.ask(self.master)
        while (piece := feed.next()) is not None:
            self.slave.take(as_sent(piece))
            if self.count < 80:
                self.save(1)
        self.same()

    def test_a_batch_ends_with_its_block(self) -> None:
        """12. original: a batch across the border of two blocks got wrong ids; ours: a batch is
        within one block."""
        feed = self.slave.ask(self.master)
        self.save(30, 100)
        while (piece := feed.next()) is not None:
            if isinstance(piece, Batch):
                self.assertEqual(piece.first // SIZE, piece.last // SIZE)
            self.slave.take(as_sent(piece))
        self.assertLessEqual(max(map(len, blocks(self.slave.root).values())), SIZE)
        self.same()

    def test_a_slave_with_a_torn_end_goes_on(self) -> None:
        """13. original: a slave's torn end counted as stored, and the rest of that block was
        never sent; ours: the torn end is cut off before the slave reports its position. An end
        inside a record is refused."""
        self.save(10)
        self.slave.follow(self.master)
        self.slave.store.close()
        path = self.slave.store.blocks.path(self.slave.store.blocks.numbers[-1])
        os.truncate(path, os.path.getsize(path) - 30)
        self.slave.open()
        self.save(10)
        self.slave.follow(self.master)
        self.same()

    def test_a_block_that_is_shorter_than_where_the_slave_is(self) -> None:
        """14. original: catching up ended at a block that was shorter than the slave's offset in
        another block; ours: the cursor is a block and an offset."""
        self.save(6)
        self.slave.follow(self.master)
        self.assertEqual(self.slave.store.blocks.end[0], 0)
        offset = self.slave.store.blocks.end[1]
        while self.master.blocks.end[0] == 0:
            self.save()
        self.assertLess(self.block(1).stat().st_size, offset)
        self.slave.follow(self.master)
        self.same()

    def test_batches_of_the_longest_messages_are_short(self) -> None:
        """15. original: a batch of long messages was more than a slave accepts. It connected
        again at once, without end; ours: a batch has at most 1 MiB. A slave waits longer before
        each try, up to 3 s."""
        self.master.close()
        self.master = self.open(1 << 27)
        for _ in range(100):
            self.master.append(to_users(102, body=bytes(32_000)))
        self.master.flush()
        self.master.show_written()
        feed = ReplicationReader(self.master, (0, FIRST_OFFSET))
        sizes = []
        while isinstance(piece := feed.next(), Batch):
            sizes.append(len(piece.frames))
        self.assertLessEqual(max(sizes), BATCH_BYTES)
        self.assertGreater(sum(sizes), 3_200_000)


class LinkTests(ReplicationCase):
    """Connections of slaves and of others."""

    def test_a_stalled_slave_and_its_end_stop_nobody(self) -> None:
        """9. original: a slave that did not read froze its master. If the slave then vanished,
        the master stayed frozen; ours: a slave is a cursor over the files. Nothing waits for it."""
        server = self.master.slaves.buildProtocol(None)
        server.makeConnection(StringTransport())
        server.pauseProducing()
        for leaves in (False, True):
            if leaves:
                server.connectionLost()
            statuses = self.master.save(2000)
            self.run_all()
            self.clock.advance(1)
            self.run_all()
            self.assertEqual(statuses, [0] * 2000)
            self.assertTrue(self.master.storage.fetch(ALICE, 0).messages)

    def test_a_slave_takes_no_saves_and_says_what_is_on_its_disk(self) -> None:
        """17. original: a slave synced nothing to disk and accepted saves. Files that differed
        from its master's were not noticed; ours: a slave syncs before it reports, refuses saves,
        and cannot be opened as a master. Ends are compared by checksum. Nothing stops an old
        master that is started again: replication.md."""
        pump = self.connect()
        self.slave.stuck = True
        self.master.save(3)
        self.run_all(pump)
        self.clock.advance(1)
        self.run_all(pump)
        self.assertEqual(self.slave.storage.follower.end, self.master.slaves.end)
        self.assertEqual([slave.durable for slave in self.master.slaves.slaves], [FIRST_OFFSET])
        self.assertFalse(self.slave.storage.fetch(ALICE, 0).messages)
        self.slave.go_on()
        self.run_all(pump)
        end = self.master.slaves.end
        self.assertEqual([slave.durable for slave in self.master.slaves.slaves], [end])
        statuses = self.slave.save()
        self.slave.settle()
        self.assertEqual(statuses, [AckStatus.READ_ONLY])
        self.slave.close()
        self.slave.slave = False
        self.assertIn(
            "is a slave's or a backup", str(self.assertRaises(StorageError, self.slave.open))
        )
        self.slave.slave = True
        self.slave.open()

    def test_a_negative_length_ends_one_connection(self) -> None:
        """24. original: a negative length in a request ended the daemon; ours: the connection is
        cut off, with a line in the log."""
        for length in (-1, -32768):
            link = self.slave.link.buildProtocol(None)
            transport = StringTransport()
            link.makeConnection(transport)
            body = bytes(16) + length.to_bytes(2, "big", signed=True) + bytes(40)
            link.dataReceived(encode_frame(221, body))
            self.run_all()
            self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.texts("is cut off")), 2)
        self.assertEqual(self.slave.storage.follower.end, FIRST_OFFSET)

    def test_ports_for_daemons_are_not_open_to_the_network(self) -> None:
        """30. original: everybody who reached a port could read and write everything; ours: on
        loopback or off unless configured. `cluster.secret` and TLS for the network: cluster.md.
        Without them it is as in the Go server, and the log warns of it."""
        config = ImsConfig()
        self.assertEqual(config.rpc_listen.partition(":")[0], "127.0.0.1")
        self.assertEqual((config.listen, config.sync_listen), ("", ""))


class TableTests(defect_table.DefectTable):
    """The table of the documentation."""

    number = r"\d+"
    numbers = [str(n) for n in range(1, 37)]
    cases = (StartTests, SaveTests, ReadTests, SlaveTests, LinkTests)
