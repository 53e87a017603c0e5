"""Master and slave over a connection: what is sent when, who is refused, and that nobody waits."""

import errno
from pathlib import Path
from typing import Any
from zlib import crc32

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus, User
from gobelieve.protocols.replication.master import DRAIN_TIMEOUT, SlavesFactory
from gobelieve.protocols.replication.slave import UNSYNCED, MasterConnection, MasterLink
from gobelieve.protocols.replication.slave_connection import (
    ENOUGH_BYTES,
    HANG_UP,
    SlaveConnection,
)
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.storage.files.blocks import Blocks
from gobelieve.storage.index.recovery import recover
from gobelieve.storage.queues import store
from gobelieve.storage.replication import roles
from gobelieve.storage.storage import Storage
from gobelieve.wire.frames import Frame, FrameReader, encode_frame
from gobelieve.wire.message import Message, decode
from gobelieve.wire.replication import (
    StorageSyncBegin,
    StorageSyncBytes,
    StorageSyncMessageBatch,
    StorageSyncPosition,
    StorageSyncRefused,
    StorageSyncTail,
)
from gobelieve.wire.storage import USERS, SaveItem
from tests.fakes.world import world
from tests.protocols.logs import Events

DELAY = 0.05
ALICE = User(7, 101)


def blocks(root: str) -> dict[str, bytes]:
    """What is in the block files."""
    return {path.name: path.read_bytes() for path in Path(root).glob("message_*")}


class Site:
    """One storage, its port for slaves, and its link to a master."""

    def __init__(self, case: SynchronousTestCase, clock: Clock, slave: bool = False) -> None:
        self.root = case.mktemp()
        self.clock = clock
        self.turn = ReactorTurn(clock)
        self.events = Events()
        self.log = self.events.log()
        self.slave = slave
        self.stuck = False
        """Syncs take for ever."""
        self._held: list[Any] = []
        self.open()

    def open(self) -> None:
        self.storage = Storage(
            self.root,
            world=world(turn=self.turn, time=self.clock, log=self.log),
            in_thread=self._in_thread,
            slave=self.slave,
        )
        self.storage.open()
        here = world(turn=self.turn, time=self.clock)
        self.slaves = SlavesFactory(self.storage.store, world=here, delay=DELAY)
        self.link = MasterLink(self.storage, "master:3334", world=here)

    def _in_thread(self, work: Any, done: Any) -> None:
        if self.stuck:
            self._held.append((work, done))
            return
        why: OSError | None = None
        try:
            work()
        except OSError as error:
            why = error
        self.clock.callLater(0, done, why)

    def go_on(self, why: OSError | None = None) -> None:
        """The disk works again; what it was asked for meanwhile is done, or fails."""
        self.stuck = False
        for work, done in self._held:
            if why is None:
                self._in_thread(work, done)
            else:
                self.clock.callLater(0, done, why)
        self._held = []

    def save(self, count: int = 1, body: bytes = b"hello") -> list[int]:
        """Messages for Alice; their statuses, later."""
        statuses: list[int] = []

        def done(_: None, results: list[tuple[int, int, tuple[int, ...]]]) -> None:
            statuses.extend(status for status, _, _ in results)

        item = SaveItem(11, 4, USERS, ALICE, body)
        self.storage.save([item] * count, done, None)
        return statuses

    def settle(self, seconds: float = 0.0) -> None:
        """Let everything happen that is due."""
        for _ in range(6):
            self.clock.advance(0)
        self.clock.advance(seconds)
        for _ in range(6):
            self.clock.advance(0)

    def close(self) -> None:
        closed: list[None] = []
        self.storage.close(lambda: closed.append(None))
        self.settle()
        assert closed


class ReplicationCase(SynchronousTestCase):
    """Has a master and a slave."""

    def setUp(self) -> None:
        self.events = Events()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)
        self.clock = Clock()
        self.master = Site(self, self.clock)
        self.slave = Site(self, self.clock, slave=True)

    def tearDown(self) -> None:
        self.assertEqual(self.flushLoggedErrors(), [])

    def connect(self, master: Site | None = None, slave: Site | None = None) -> iosim.IOPump:
        """A connection of a slave to its master, pumped."""
        master, slave = master or self.master, slave or self.slave
        server: Any = master.slaves.buildProtocol(None)
        client: Any = slave.link.buildProtocol(None)
        pump: iosim.IOPump = iosim.connect(
            server,
            iosim.FakeTransport(server, isServer=True),
            client,
            iosim.FakeTransport(client, isServer=False),
        )
        self.run_all(pump)
        return pump

    def run_all(self, *pumps: iosim.IOPump) -> None:
        """Until nothing more happens at this moment."""
        for _ in range(30):
            self.clock.advance(0)
            for pump in pumps:
                pump.flush()

    def texts(self, word: str) -> list[str]:
        """The lines of the log that have a word."""
        return [text for text in self.events.texts() if word in text]


class FollowingTests(ReplicationCase):
    """A slave that follows."""

    def test_catching_up_and_following(self) -> None:
        """What was there, then what is new, `delay` after it was stored."""
        self.master.save(5)
        self.master.settle()
        pump = self.connect()
        self.assertEqual(blocks(self.slave.root), blocks(self.master.root))
        self.master.save(2)
        self.run_all(pump)
        self.assertNotEqual(blocks(self.slave.root), blocks(self.master.root))
        self.clock.advance(DELAY)
        self.run_all(pump)
        self.assertEqual(blocks(self.slave.root), blocks(self.master.root))
        page = self.slave.storage.fetch(ALICE, 0)
        self.assertEqual((len(page.messages), page), (7, self.master.storage.fetch(ALICE, 0)))

    def test_enough_for_a_batch_is_not_held_back(self) -> None:
        """A thousand records leave at once."""
        pump = self.connect()
        self.master.save(ENOUGH_BYTES // 100)
        self.run_all(pump)
        self.assertEqual(blocks(self.slave.root), blocks(self.master.root))

    def test_what_the_master_knows(self) -> None:
        """Where the slave is, what was sent to it, and how far it is behind."""
        pump = self.connect()
        (known,) = self.master.slaves.slaves
        self.assertEqual((known.sent, known.durable), (32, 32))
        self.slave.stuck = True
        self.master.save()
        self.run_all(pump)
        self.clock.advance(DELAY)
        self.run_all(pump)
        end = self.master.slaves.end
        self.assertEqual((known.sent, known.durable), (end, 32))
        self.clock.advance(3)
        self.assertEqual(known.lag_bytes(end), end - 32)
        self.assertAlmostEqual(known.lag_seconds(self.clock.seconds()), 3 + DELAY)

    def test_the_slave_says_what_is_on_its_disk(self) -> None:
        """And then it lags no more."""
        pump = self.connect()
        self.master.save()
        self.run_all(pump)
        self.clock.advance(DELAY)
        self.run_all(pump)
        (known,) = self.master.slaves.slaves
        self.assertEqual(known.durable, self.master.slaves.end)
        self.assertEqual(known.lag_bytes(self.master.slaves.end), 0)
        self.assertEqual(known.lag_seconds(self.clock.seconds()), 0)

    def test_a_slave_takes_no_saves(self) -> None:
        """Each is answered READ_ONLY, later; nothing is written."""
        statuses = self.slave.save(3)
        self.assertEqual(statuses, [])
        self.slave.settle()
        self.assertEqual(statuses, [AckStatus.READ_ONLY] * 3)
        self.assertEqual(self.slave.storage.follower.end, 32)

    def test_a_slave_of_a_slave(self) -> None:
        """Follows at the same time."""
        last = Site(self, self.clock, slave=True)
        pumps = self.connect(), self.connect(self.slave, last)
        self.master.save(3)
        self.run_all(*pumps)
        for _ in range(2):
            self.clock.advance(DELAY)
            self.run_all(*pumps)
        self.assertEqual(blocks(last.root), blocks(self.master.root))
        self.assertGreater(last.storage.follower.end, 32)

    def test_a_cut_in_every_place(self) -> None:
        """The connection breaks after any number of bytes; the next one goes on without a gap."""
        self.master.save(20)
        self.master.settle()
        for count in range(0, 4000, 211):
            slave = Site(self, self.clock, slave=True)
            link = slave.link.buildProtocol(None)
            server: Any = self.master.slaves.buildProtocol(None)
            near, far = StringTransport(), StringTransport()
            server.makeConnection(near)
            link.makeConnection(far)
            self.run_all()
            server.dataReceived(far.value())
            self.run_all()
            link.dataReceived(near.value()[:count])
            self.run_all()
            for end in (server, link):
                end.connectionLost()
            self.connect(slave=slave)
            self.assertEqual(blocks(slave.root), blocks(self.master.root))

    def test_the_disk_of_the_slave_fails(self) -> None:
        """It hangs up, and gets everything from the next connection."""
        self.master.save(5)
        self.master.settle()
        files: Any = self.slave.storage.store.blocks._files
        write = files.pwrite

        def full(fd: int, data: bytes, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        files.pwrite = full
        self.connect()
        self.assertEqual(self.slave.storage.follower.end, 32)
        self.assertEqual(len(self.texts("not stored: status 102")), 1)
        self.assertTrue(self.slave.link.failed)
        files.pwrite = write
        self.connect()
        self.assertEqual(blocks(self.slave.root), blocks(self.master.root))

    def test_the_files_of_the_slave_cannot_be_read(self) -> None:
        """It asks for nothing, and not again at once."""
        self.master.save()
        self.master.settle()
        self.connect()
        files: Any = self.slave.storage.store.blocks._files

        def sour(fd: int, count: int, offset: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        files.pread = sour
        link = self.slave.link.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        self.run_all()
        self.assertEqual(transport.value(), b"")
        self.assertTrue(self.slave.link.failed)
        self.assertEqual(len(self.texts("our own files cannot be read")), 1)


class GoodbyeTests(ReplicationCase):
    """A master that is stopped in good order."""

    def ended(self, master: Site, *pumps: iosim.IOPump) -> bool:
        """Stop feeding; whether that is done at once."""
        done: list[object] = []
        Deferred.fromCoroutine(master.slaves.close(self.clock)).addCallback(done.append)
        self.run_all(*pumps)
        return bool(done)

    def test_the_rest_is_sent_first(self) -> None:
        """So a slave that takes its place has everything that was acked."""
        pump = self.connect()
        self.master.save(5)
        self.master.settle()
        self.assertNotEqual(blocks(self.slave.root), blocks(self.master.root))
        self.assertTrue(self.ended(self.master, pump))
        self.assertEqual(blocks(self.slave.root), blocks(self.master.root))
        self.assertEqual(self.master.slaves.connections, set())

    def test_until_it_is_on_the_slaves_disk(self) -> None:
        """The connection ends when the slave has said so."""
        pump = self.connect()
        self.slave.stuck = True
        self.master.save()
        self.master.settle()
        self.assertFalse(self.ended(self.master, pump))
        self.slave.go_on()
        self.run_all(pump)
        self.assertEqual(self.master.slaves.connections, set())

    def test_a_stalled_slave_is_not_waited_for(self) -> None:
        """Only for a moment."""
        pump = self.connect()
        self.slave.stuck = True
        self.master.save()
        self.master.settle()
        self.assertFalse(self.ended(self.master, pump))
        self.clock.advance(DRAIN_TIMEOUT)
        self.run_all(pump)
        self.assertEqual(self.master.slaves.connections, set())

    def test_who_has_not_asked_is_not_waited_for(self) -> None:
        """And a slave of upstream's, which says nothing, gets the rest."""
        servers = [self.master.slaves.buildProtocol(None) for _ in range(2)]
        transports = [StringTransport() for _ in servers]
        for server, transport in zip(servers, transports, strict=True):
            server.makeConnection(transport)
        servers[1].dataReceived(StorageSyncBegin(cursor=32).frame(1, 0))
        self.run_all()
        self.master.save()
        self.master.settle()
        self.ended(self.master)
        self.assertEqual([t.disconnecting for t in transports], [True, True])
        (frame,) = FrameReader(1 << 20).feed(transports[1].value())
        self.assertEqual(frame.cmd, StorageSyncMessageBatch.number)


class SlowSlaveTests(ReplicationCase):
    """A slave that does not read, or cannot write."""

    def slow(self) -> tuple[SlaveConnection, StringTransport]:
        """A slave that does not read."""
        server = self.master.slaves.buildProtocol(None)
        transport = StringTransport()
        server.makeConnection(transport)
        server.dataReceived(StorageSyncBegin(cursor=32).frame(1, 0))
        self.run_all()
        server.pauseProducing()
        return server, transport

    def test_costs_nothing(self) -> None:
        """It is sent nothing until it reads, saves go on, and then it gets everything."""
        server, transport = self.slow()
        for _ in range(5):
            statuses = self.master.save(100)
            self.run_all()
            self.assertEqual(statuses, [0] * 100)
            self.clock.advance(DELAY)
        self.run_all()
        self.assertEqual(transport.value(), b"")
        self.assertFalse([call for call in self.clock.getDelayedCalls() if call.active()])
        server.resumeProducing()
        self.run_all()
        sent = FrameReader(1 << 21).feed(transport.value())
        self.assertEqual([frame.cmd for frame in sent], [222])
        self.assertEqual(server.slave.sent, self.master.slaves.end)

    def test_leaves_in_the_middle(self) -> None:
        """Nothing is left of it."""
        server, _ = self.slow()
        server.resumeProducing()
        self.master.save()
        self.master.settle()
        server.connectionLost()
        self.assertEqual(self.master.slaves.connections, set())
        self.assertFalse(self.clock.getDelayedCalls())
        self.master.save()
        self.master.settle(1)

    def test_a_slow_disk_stops_reading(self) -> None:
        """With much that is not on disk the slave does not read on."""
        self.slave.stuck = True
        link = self.slave.link.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        feed_end = 32
        body = encode_frame(4, bytes(32000))
        while feed_end < UNSYNCED - 100_000:
            batch = StorageSyncMessageBatch(
                first_id=feed_end, last_id=feed_end, count=30, frames=body * 30
            )
            self.assertEqual(transport.producerState, "producing")
            link.dataReceived(batch.frame())
            feed_end += 30 * (len(body) + 8)
        self.assertEqual(transport.producerState, "paused")

    def test_a_slow_disk_and_a_link_that_breaks(self) -> None:
        """What came on all connections counts: the next one asks for nothing until it is stored."""
        self.slave.stuck = True
        body = encode_frame(4, bytes(100))
        batch = StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=body)
        first, second = (self.slave.link.buildProtocol(None) for _ in range(2))
        first.makeConnection(StringTransport())
        first.dataReceived(batch.frame())
        self.run_all()
        first.connectionLost()
        transport = StringTransport()
        second.makeConnection(transport)
        self.run_all()
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.slave.link.unsynced, 120)
        self.slave.go_on()
        self.run_all()
        begin, _, position = FrameReader(100).feed(transport.value())
        self.assertEqual(decode(begin), StorageSyncBegin(cursor=32 + 120))
        self.assertEqual(decode(position), StorageSyncPosition(cursor=32 + 120))
        self.assertEqual(self.slave.link.unsynced, 0)

    def test_what_a_broken_link_brought_is_taken_back(self) -> None:
        """The next connection asks for it again."""
        self.slave.stuck = True
        first, second = (self.slave.link.buildProtocol(None) for _ in range(2))
        first.makeConnection(StringTransport())
        body = encode_frame(4, b"hello")
        batch = StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=body)
        first.dataReceived(batch.frame())
        self.run_all()
        first.connectionLost()
        transport = StringTransport()
        second.makeConnection(transport)
        self.slave.go_on(OSError(errno.EIO, "Input/output error"))
        self.run_all()
        begin, _, position = FrameReader(100).feed(transport.value())
        self.assertEqual(decode(begin), StorageSyncBegin(cursor=32))
        self.assertEqual(decode(position), StorageSyncPosition(cursor=32))
        self.assertFalse(transport.disconnecting)

    def test_a_master_that_never_reads(self) -> None:
        """Positions do not pile up for it; it is told the last one when it reads."""
        link = self.slave.link.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        self.run_all()
        link.pauseProducing()
        transport.clear()
        self.master.save(10)
        self.master.settle()
        link._copied(0, [(0, 0, ())])
        self.run_all()
        self.assertEqual(transport.value(), b"")
        link.resumeProducing()
        self.run_all()
        (frame,) = FrameReader(100).feed(transport.value())
        self.assertEqual(decode(frame), StorageSyncPosition(cursor=32))


class RefusalTests(ReplicationCase):
    """Who gets nothing, and is told why."""

    def asks(self, *said: bytes) -> tuple[list[Frame], StringTransport]:
        """What a slave gets for these frames."""
        server = self.master.slaves.buildProtocol(None)
        transport = StringTransport()
        server.makeConnection(transport)
        server.dataReceived(b"".join(said))
        self.run_all()
        return FrameReader(1 << 21).feed(transport.value()), transport

    def test_another_history(self) -> None:
        """One line on either side, nothing is changed, and the link knows that it was refused."""
        self.master.save()
        self.master.settle()
        self.connect()
        stray = self.slave.storage.store
        stray.append(SaveItem(1, 4, USERS, ALICE, b"written here"))
        stray.flush()
        stray.begin_sync()()
        stray.synced()
        self.master.save(4)
        self.master.settle()
        before = blocks(self.slave.root)
        pump = self.connect()
        self.assertEqual(blocks(self.slave.root), before)
        self.assertTrue(pump.server.transport.disconnecting or pump.server.transport.disconnected)
        self.assertEqual(len(self.texts("gets nothing: what it has from 32")), 1)
        self.assertEqual(len(self.texts("gives us nothing, it says of us: what it has")), 1)
        self.assertTrue(self.slave.link.refused)

    def test_a_slave_that_is_ahead(self) -> None:
        """An old master that comes back with messages that the new one does not have."""
        self.master.save(2)
        self.master.settle()
        self.connect()
        fresh = Site(self, self.clock)
        self.connect(master=fresh)
        self.assertEqual(len(self.texts("is beyond ours, which is 32")), 2)

    def test_a_master_gives_larger_ids_than_those_that_a_slave_has_and_it_lost(self) -> None:
        """Clients may hold the ids that only the slave has."""
        self.master.save(2)
        self.master.settle()
        self.connect()
        ahead = self.slave.storage.follower.end
        fresh = Site(self, self.clock)
        for _ in range(2):
            self.connect(master=fresh)
        told = [text for text in fresh.events.texts() if "new ids begin in message_16" in text]
        self.assertEqual(len(told), 1)
        fresh.save(1)
        fresh.settle()
        self.assertEqual(fresh.storage.store.blocks.end[0], 16)
        self.assertGreater(16 * fresh.storage.store.blocks.size, ahead)

    def test_a_slave_whose_end_cannot_be_moves_nothing(self) -> None:
        """Whoever can connect could otherwise use up the ids."""
        begin = StorageSyncBegin(cursor=(1 << 62) + 100)
        tail = StorageSyncTail(first_id=0, end_id=0, checksum=0)
        self.asks(begin.frame(1), tail.frame(2))
        self.master.save(1)
        self.master.settle()
        self.assertEqual(self.master.storage.store.blocks.end[0], 0)

    def test_cursors_that_cannot_be(self) -> None:
        """Our slaves are told, upstream's see the connection close."""
        for cursor in (-(1 << 63), -1, 0, 31, 33, (1 << 63) - 1):
            tail = StorageSyncTail(first_id=0, end_id=0, checksum=0)
            begin = StorageSyncBegin(cursor=cursor)
            (answer,), transport = self.asks(begin.frame(1), tail.frame(2))
            self.assertEqual(answer.cmd, StorageSyncRefused.number)
            self.assertTrue(transport.disconnecting)
            answers, transport = self.asks(begin.frame(1, 0))
            self.assertEqual(answers, [])
            self.assertFalse(transport.disconnecting)
            self.clock.advance(HANG_UP)
            self.assertTrue(transport.disconnecting)

    def asks_behind(self, data: bytes, cursor: int) -> list[Frame]:
        """What a slave of ours gets that has what we have, up to there."""
        tail = StorageSyncTail(first_id=32, end_id=cursor, checksum=crc32(data[32:cursor]))
        return self.asks(StorageSyncBegin(cursor=cursor).frame(1), tail.frame(2))[0]

    def test_an_end_inside_a_record(self) -> None:
        """Is refused, though all before it is the same."""
        self.master.save(3)
        self.master.settle()
        data = Path(self.master.root, "message_0").read_bytes()
        borders = [at for at in range(36, len(data)) if data[at - 4 : at + 4] == b"IMIMIMIM"]
        self.assertEqual(len(borders), 5)
        for cursor in range(33, len(data)):
            (frame,) = self.asks_behind(data, cursor)
            self.assertEqual(frame.cmd, 222 if cursor in borders else StorageSyncRefused.number)

    def test_an_end_within_damage(self) -> None:
        """Is where long damage may be cut: it goes on from there."""
        self.master.save(9)
        self.master.settle()
        self.master.close()
        path = Path(self.master.root, "message_0")
        data = path.read_bytes()
        data = data[:100] + bytes(300) + data[400:]
        path.write_bytes(data)
        self.master.open()
        for cursor in (150, 250, 399):
            frames = self.asks_behind(data, cursor)
            self.assertEqual([frame.cmd for frame in frames], [226, 222])

    def test_a_slave_of_upstream(self) -> None:
        """Gets records only, from any place where one begins."""
        self.master.save(3)
        self.master.settle()
        whole, _ = self.asks(StorageSyncBegin(cursor=32).frame(1, 0))
        (batch,) = [StorageSyncMessageBatch.decode(frame.body) for frame in whole]
        self.assertEqual((batch.first_id, batch.count), (32, 6))
        self.assertEqual(whole[0].version, 0)
        last, _ = self.asks(StorageSyncBegin(cursor=batch.last_id).frame(1, 0))
        (one,) = [StorageSyncMessageBatch.decode(frame.body) for frame in last]
        self.assertEqual((one.first_id, one.last_id, one.count), (batch.last_id, batch.last_id, 1))
        nothing, transport = self.asks(StorageSyncBegin(cursor=40).frame(1, 0))
        self.assertEqual(nothing, [])
        self.clock.advance(HANG_UP)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.texts("is inside a record")), 1)

    def test_damage_for_a_slave_of_upstream(self) -> None:
        """It gets what is before it, and no hole; later the connection closes."""
        for body in (b"one", b"two", b"three"):
            self.master.save(body=body)
            self.master.settle()
        self.master.close()
        path = Path(self.master.root, "message_0")
        path.write_bytes(path.read_bytes().replace(b"two", b"TWO"))
        self.master.open()
        (frame,), transport = self.asks(StorageSyncBegin(cursor=32).frame(1, 0))
        self.assertEqual(StorageSyncMessageBatch.decode(frame.body).count, 2)
        self.assertEqual(len(self.texts("there is damage at")), 1)
        self.master.save()
        self.master.settle(HANG_UP)
        self.assertTrue(transport.disconnecting)

    def test_what_makes_no_sense(self) -> None:
        """One line each, and the connection is closed."""
        begin = StorageSyncBegin(cursor=32)
        tail = StorageSyncTail(first_id=0, end_id=0, checksum=0)
        bad: list[list[bytes]] = [
            [b"\xff" * 12],
            [encode_frame(220, b"short")],
            [encode_frame(4, b"")],
            [encode_frame(220, bytes(32768))],
            [begin.frame(1, 0), begin.frame(2, 0)],
            [begin.frame(1), begin.frame(2)],
            [tail.frame()],
            [begin.frame(1, 0), tail.frame()],
            [begin.frame(1), tail.frame(), tail.frame()],
            [StorageSyncPosition(cursor=32).frame()],
        ]
        for number, said in enumerate(bad, 1):
            _, transport = self.asks(*said)
            self.assertTrue(transport.disconnecting, said)
            self.assertEqual(len(self.texts("is cut off")), number)

    def test_who_does_not_ask(self) -> None:
        """Who connects and sends nothing, or half of what it should, is hung up on."""
        begin = StorageSyncBegin(cursor=32)
        for number, said in enumerate((b"", begin.frame(1)[:15], begin.frame(1)), 1):
            _, transport = self.asks(said)
            self.clock.advance(HANG_UP - 1)
            self.assertFalse(transport.disconnecting)
            self.assertEqual(self.master.slaves.slaves, [])
            self.clock.advance(1)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(len(self.texts("is cut off: it asks for nothing")), number)

    def test_who_asks_in_time(self) -> None:
        """Is not hung up on."""
        pump = self.connect()
        self.clock.advance(2 * HANG_UP)
        self.assertFalse(pump.server.transport.disconnecting)

    def test_positions_that_cannot_be(self) -> None:
        """Nobody has on disk what he was not sent."""
        self.master.save()
        self.master.settle()
        ask = StorageSyncBegin(cursor=32).frame(1)
        ask += StorageSyncTail(first_id=0, end_id=0, checksum=0).frame(2)
        for number, cursor in enumerate((-1, -(1 << 63), (1 << 63) - 1, 1000), 1):
            _, transport = self.asks(ask + StorageSyncPosition(cursor=cursor).frame(3))
            self.assertTrue(transport.disconnecting)
            self.assertEqual(len(self.texts("is cut off: it says that it has")), number)

    def test_our_files_cannot_be_read(self) -> None:
        """The slave is told, and nothing worse happens."""
        self.master.save()
        self.master.settle()

        def sour(fd: int, count: int, offset: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        files: Any = self.master.storage.store.blocks._files
        files.pread = sour
        self.connect()
        self.assertEqual(len(self.texts("Input/output error")), 2)


class BadMasterTests(ReplicationCase):
    """A master that sends what cannot be."""

    def gets(self, *sent: bytes) -> StringTransport:
        """The slave's side of a connection on which this comes."""
        link: MasterConnection = self.slave.link.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        link.dataReceived(b"".join(sent))
        self.run_all()
        return transport

    def test_is_hung_up_on(self) -> None:
        """One line each; the files are as before."""
        good = encode_frame(4, b"hello")

        def batch(first: int, count: int, frames: bytes) -> Message:
            return StorageSyncMessageBatch(
                first_id=first, last_id=first, count=count, frames=frames
            )

        bad = [
            b"\xff" * 12,
            encode_frame(222, b"short"),
            encode_frame(4, b""),
            encode_frame(221, bytes(16) + b"\xff\xff"),
            batch(33, 1, good).frame(),
            batch(32, 2, good).frame(),
            batch(32, 1, b"\x7f" + good[1:]).frame(),
            batch(32, 1, b"\xff" + good[1:]).frame(),
            batch(-1, 1, good).frame(),
            StorageSyncBytes(ended=0, first_id=0, content=b"x").frame(),
        ]
        for number, sent in enumerate(bad, 1):
            self.assertTrue(self.gets(sent).disconnecting, sent)
            self.assertEqual(len(self.texts("is cut off")), number)
            self.assertEqual(self.slave.storage.follower.end, 32)

    def test_what_came_before_counts(self) -> None:
        """Records before those that make no sense are stored."""
        good = encode_frame(4, b"hello")
        batch = StorageSyncMessageBatch(first_id=32, last_id=32, count=1, frames=good)
        self.assertTrue(self.gets(batch.frame(), batch.frame()).disconnecting)
        self.assertEqual(self.slave.storage.follower.end, 32 + len(good) + 8)


class RoleTests(ReplicationCase):
    """Whose directory it is."""

    def test_marked_before_anything_is_read(self) -> None:
        """And if that cannot be, the directory is let go of, with nothing under way."""
        site = Site(self, self.clock)
        site.save()
        site.settle()
        site.close()
        marked: list[bool] = []

        def read(blocks: Blocks, *arguments: Any) -> Any:
            marked.append(roles.is_slave(blocks.root))
            return recover(blocks, *arguments)

        self.patch(store, "recover", read)
        site.slave = True
        full = self.patch(roles, "mark", self.full)
        with self.assertRaises(StorageError):
            site.open()
        self.assertEqual(marked, [])
        full.restore()
        site.open()
        self.assertEqual(marked, [True])
        site.close()

    def full(self, root: str) -> None:
        raise StorageError(AckStatus.STORAGE_FULL, f"{root}: No space left on device")

    def test_an_old_master_keeps_what_it_has(self) -> None:
        """Damage in what was on disk is no reason to cut off what nobody else may have."""
        site = Site(self, self.clock)
        site.save(9)
        site.settle()
        path = Path(site.root, "message_0")
        data = path.read_bytes()
        data = data[:100] + bytes(100) + data[200:]
        site.slave = True
        for _ in range(2):
            site.storage.store.close()
            path.write_bytes(data)
            site.open()
            self.assertEqual(site.storage.follower.end, len(data))

    def test_a_slave_is_not_opened_as_a_master(self) -> None:
        """By mistake; the master's own is as ever."""
        self.slave.close()
        self.slave.slave = False
        with self.assertRaises(StorageError) as caught:
            self.slave.open()
        self.assertIn("gobelieve storage promote", str(caught.exception))
        self.master.close()
        self.master.open()
        self.master.close()
