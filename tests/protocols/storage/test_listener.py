"""The server side of the storage RPC: an answer to every ask, and none of them mixed up."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.gateway.fan_out.batch import Batch
from gobelieve.gateway.fan_out.member_queues import MemberQueues
from gobelieve.interfaces import Page as Messages
from gobelieve.interfaces import PendingMessage
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User
from gobelieve.protocols.storage.link import StorageLink, page_of
from gobelieve.protocols.storage.listener import (
    FLUSH_BYTES,
    MAX_READS,
    StorageFactory,
    StorageListener,
)
from gobelieve.protocols.storage.pool import StoragePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.storage.storage import Storage
from gobelieve.support.throttled_log import INTERVAL
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, FrameReader, encode_frame
from gobelieve.wire.message import Message, decode
from gobelieve.wire.storage import (
    SUPER_GROUPS,
    USERS,
    Counted,
    CountNew,
    Failed,
    Fetch,
    FetchBefore,
    FetchGroup,
    FetchLatest,
    Page,
    Save,
    Saved,
    SaveItem,
    StoragePing,
    StoragePong,
    StoredMessage,
    pack_messages,
    pack_save,
    pack_saved,
)
from tests.fakes.storage import Waiting
from tests.fakes.world import FakeTasks, world
from tests.protocols.logs import Events

Result = tuple[int, int, tuple[int, ...]]
MESSAGES = (StoredMessage(32, 11, 4, b"hello"), StoredMessage(99, 12, 8, b""))


class FakeStorage:
    """Answers reads from what the test put there, keeps saves until the test has them done."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.saves: list[tuple[Sequence[SaveItem], Callable[[list[Result]], None]]] = []
        self.page = Messages(99, 120, True, MESSAGES)
        self.error: StorageError | None = None

    def _read(self, *asked: Any) -> Messages:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return self.page

    def save(
        self, items: Sequence[SaveItem], done: Callable[[Any, list[Result]], None], argument: Any
    ) -> None:
        self.saves.append((items, lambda results: done(argument, results)))

    def fetch(self, user: User, after: int, limit: int = 0) -> Messages:
        return self._read("fetch", user, after, limit)

    def fetch_group(self, group: User, after: int, joined: int = 0, limit: int = 0) -> Messages:
        return self._read("fetch_group", group, after, joined, limit)

    def fetch_latest(self, user: User, limit: int) -> Messages:
        return self._read("fetch_latest", user, limit)

    def fetch_before(self, user: User, before: int, limit: int) -> Messages:
        return self._read("fetch_before", user, before, limit)

    def count_new(self, user: User, after: int) -> int:
        self._read("count_new", user, after)
        return 5


class ListenerCase(SynchronousTestCase):
    """One asker's connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = FakeStorage()
        self.counters = Counters()
        self.events = Events()
        self.factory = self.make_factory()
        self.listener, self.transport = self.connect()

    def make_factory(self) -> StorageFactory:
        turn, log = ReactorTurn(self.clock), self.events.log()
        made = world(time=self.clock, turn=turn, counters=self.counters, log=log)
        return StorageFactory(self.storage, world=made)

    def connect(self) -> tuple[StorageListener, StringTransport]:
        listener = self.factory.buildProtocol(None)
        listener.log = self.events.log()
        transport = StringTransport()
        listener.makeConnection(transport)
        return listener, transport

    def receive(self, *frames: bytes) -> None:
        self.listener.dataReceived(b"".join(frames))

    def answers(self) -> list[Frame]:
        """What was sent by the end of the turn."""
        self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        return FrameReader(RPC_BODY_LIMIT).feed(data)


class AskTests(ListenerCase):
    """Every kind of ask."""

    def test_reads(self) -> None:
        """A read is answered at once, with the seq of its ask."""
        self.receive(
            Fetch(appid=7, uid=101, after=5, limit=10).frame(seq=1),
            FetchGroup(appid=7, group_id=500, after=6, joined=77, limit=11).frame(seq=2),
            FetchLatest(appid=7, uid=102, limit=3).frame(seq=-3),
            CountNew(appid=7, uid=103, after=8).frame(seq=4),
            StoragePing().frame(seq=5),
            FetchBefore(appid=7, uid=104, before=9, limit=2).frame(seq=6),
        )
        self.assertEqual(
            self.storage.asked,
            [
                ("fetch", User(7, 101), 5, 10),
                ("fetch_group", User(7, 500), 6, 77, 11),
                ("fetch_latest", User(7, 102), 3),
                ("count_new", User(7, 103), 8),
                ("fetch_before", User(7, 104), 9, 2),
            ],
        )
        page = Page(last=99, newest=120, more=1, messages=pack_messages(MESSAGES))
        answers = self.answers()
        self.assertEqual(
            [decode(frame) for frame in answers],
            [page, page, page, Counted(count=5), StoragePong(), page],
        )
        self.assertEqual([frame.seq for frame in answers], [1, 2, -3, 4, 5, 6])

    def test_saves(self) -> None:
        """A save is answered when it is done, in whatever order, all of a turn in one write."""
        first = pack_save(11, 4, USERS, (7, 102, 7, 101), b"hello")
        second = pack_save(0, 7, SUPER_GROUPS, (7, 500), b"{}")
        self.receive(Save(items=first + second).frame(seq=8), Save(items=second).frame(seq=9))
        self.assertEqual(self.answers(), [])
        self.assertEqual(
            self.storage.saves[0][0],
            [
                SaveItem(11, 4, USERS, (7, 102, 7, 101), b"hello"),
                SaveItem(0, 7, SUPER_GROUPS, (7, 500), b"{}"),
            ],
        )
        self.storage.saves[1][1]([(0, 64, (32,))])
        self.storage.saves[0][1]([(0, 32, (1, 2)), (AckStatus.STORAGE_FULL, 0, ())])
        self.assertEqual(self.transport.value(), b"", "not before the end of the turn")
        one, two = self.answers()
        self.assertEqual((one.seq, two.seq), (9, 8))
        self.assertEqual(decode(one), Saved(results=pack_saved(0, 64, (32,))))
        self.assertEqual(
            decode(two), Saved(results=pack_saved(0, 32, (1, 2)) + bytes([AckStatus.STORAGE_FULL]))
        )
        self.assertEqual((self.counters["asks"], self.counters["saves"]), (2, 3))

    def test_no_items(self) -> None:
        """A SAVE of nothing is a save of nothing."""
        self.receive(Save(items=b"").frame(seq=1))
        self.storage.saves[0][1]([])
        self.assertEqual([decode(frame) for frame in self.answers()], [Saved(results=b"")])

    def test_failed(self) -> None:
        """A read that fails is answered with why; the connection goes on."""
        self.storage.error = StorageError(AckStatus.STORAGE_FAILED, "Input/output error")
        self.receive(Fetch(appid=7, uid=101, after=5, limit=10).frame(seq=1))
        self.receive(CountNew(appid=7, uid=101, after=5).frame(seq=2))
        failed = Failed(status=AckStatus.STORAGE_FAILED, reason=b"Input/output error")
        self.assertEqual([decode(frame) for frame in self.answers()], [failed, failed])
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(
            [text.partition(" of ")[0] for text in self.events.texts()[1:]],
            ["FETCH", "COUNT_NEW"],
        )
        self.assertIn("failed with status 103: Input/output error", self.events.texts()[-1])

    def test_many_failures_of_one_kind_are_one_line_per_minute(self) -> None:
        """A disk that fails fails every read. The log stays readable, and counters count all."""
        self.storage.error = StorageError(AckStatus.STORAGE_FAILED, "Input/output error")
        fetch = Fetch(appid=7, uid=101, after=5, limit=10).frame()
        self.receive(*[fetch] * 5)
        other, _ = self.connect()
        other.dataReceived(fetch)
        self.answers()
        self.assertEqual(len(self.failures()), 1)
        self.assertEqual(self.factory.requests.failed[Fetch.number], 6)
        self.clock.advance(INTERVAL)
        self.receive(fetch)
        self.answers()
        self.assertEqual(len(self.failures()), 2)

    def test_a_save_that_fails_is_logged(self) -> None:
        """One line names the status of the first message that could not be stored."""
        item = pack_save(0, 4, USERS, (7, 102), b"hello")
        self.receive(Save(items=item + item).frame(seq=1), Save(items=item).frame(seq=2))
        self.storage.saves[0][1]([(0, 32, (0,)), (AckStatus.STORAGE_FULL, 0, ())])
        self.storage.saves[1][1]([(AckStatus.STORAGE_FULL, 0, ())])
        (line,) = self.failures()
        self.assertIn("SAVE of ", line)
        self.assertIn("status 102: STORAGE_FULL", line)
        self.assertEqual(self.factory.requests.failed[Save.number], 2)

    def failures(self) -> list[str]:
        return [text for text in self.events.texts() if "failed" in text]


class BadAskTests(ListenerCase):
    """What makes no sense ends the connection with one line in the log."""

    def check(self, *frames: bytes) -> None:
        self.receive(*frames)
        self.assertTrue(self.transport.disconnecting)
        warned = [text for text in self.events.texts() if "is cut off" in text]
        self.assertEqual(len(warned), 1)
        self.assertEqual(self.storage.saves, [])

    def test_items_cut_short(self) -> None:
        """A SAVE whose items end too early."""
        self.check(Save(items=pack_save(1, 4, USERS, (7, 102), b"hello")[:-1]).frame())

    def test_unknown_kind_of_queue(self) -> None:
        """A SAVE for queues of a kind that there is not."""
        self.check(Save(items=pack_save(1, 4, 2, (7, 102), b"hello")).frame())

    def test_no_queue(self) -> None:
        """A SAVE for no queue: it could never be read."""
        self.check(Save(items=pack_save(1, 4, USERS, (), b"hello")).frame())

    def test_short_body(self) -> None:
        """An ask that is too short."""
        self.check(encode_frame(Fetch.number, bytes(27)))

    def test_command_of_another_link(self) -> None:
        """A command that no asker sends."""
        self.check(encode_frame(220, bytes(8)))

    def test_length(self) -> None:
        """A length that no ask has."""
        self.check(encode_frame(Save.number, b"")[:0] + b"\x7f" + bytes(3) + bytes(8))

    def test_asks_before_it_count(self) -> None:
        """What came before in the same read is answered."""
        self.receive(StoragePing().frame(seq=1), encode_frame(Fetch.number, b""))
        self.assertEqual([decode(frame) for frame in self.answers()], [StoragePong()])
        self.assertTrue(self.transport.disconnecting)


class SlowAskerTests(ListenerCase):
    """An asker that does not read its answers."""

    def setUp(self) -> None:
        super().setUp()
        body = bytes(100_000)
        self.storage.page = Messages(1, 1, False, (StoredMessage(1, 0, 4, body),))
        real = self.transport.write

        def write(data: bytes) -> None:
            # As a real transport that has more than it likes: told while it is written to.
            real(data)
            self.listener.pauseProducing()

        self.transport.write = write  # type: ignore[method-assign]

    def test_bounded(self) -> None:
        """Asks wait once so much is unread; when it is read they are answered, all of them."""
        asks = [Fetch(appid=7, uid=1, after=0, limit=0).frame(seq=n) for n in range(20)]
        self.receive(*asks)
        self.assertLess(len(self.transport.value()), 2 * FLUSH_BYTES)
        self.assertEqual(self.transport.producerState, "paused")
        seqs = []
        for _ in range(20):
            seqs += [frame.seq for frame in self.answers()]
            self.listener.resumeProducing()
        self.assertEqual(seqs, list(range(20)))
        self.assertEqual(self.transport.producerState, "producing")

    def test_bad_ask_among_those_that_wait(self) -> None:
        """It ends the connection when its turn comes."""
        asks = [Fetch(appid=7, uid=1, after=0, limit=0).frame(seq=n) for n in range(4)]
        self.receive(*asks, encode_frame(Fetch.number, b""))
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(len(self.answers()), 3)
        self.listener.resumeProducing()
        self.assertEqual(len(self.answers()), 1)
        self.assertTrue(self.transport.disconnecting)

    def test_gone(self) -> None:
        """When it goes, what waits is dropped, and a save that is done later answers nobody."""
        self.receive(Save(items=pack_save(1, 4, USERS, (7, 102), b"")).frame())
        self.receive(*[Fetch(appid=7, uid=1, after=0, limit=0).frame() for _ in range(9)])
        self.listener.connectionLost(connectionDone)
        self.assertEqual(self.factory.connections, set())
        written = len(self.transport.value())
        self.storage.saves[0][1]([(0, 32, (0,))])
        self.clock.advance(0)
        self.assertEqual(len(self.transport.value()), written)


class Turns(Clock):
    """A clock on which one turn of the event loop can end."""

    def turn(self) -> None:
        """Make the calls that are due, and not those that they ask for."""
        for call in list(self.calls):
            if call.active() and call.getTime() <= self.seconds():
                due = partial(call.func, *call.args, **call.kw)
                call.cancel()
                due()


class ManyReadsTests(ListenerCase):
    """Askers that ask for much at once: a read takes 4 ms, a turn has 10 ms for them."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.turns = Turns()
        self.factory = self.make_factory()
        self.listener, self.transport = self.connect()
        real = self.storage.count_new

        def count_new(user: User, after: int) -> int:
            self.turns.rightNow += 0.004
            return real(user, after)

        self.storage.count_new = count_new  # type: ignore[method-assign]

    def reads(self, uid: int, count: int) -> list[bytes]:
        return [CountNew(appid=7, uid=uid, after=0).frame(seq=n) for n in range(count)]

    def seqs(self, transport: StringTransport) -> list[int]:
        data = transport.value()
        transport.clear()
        return [frame.seq for frame in FrameReader(RPC_BODY_LIMIT).feed(data)]

    def test_a_few_a_turn(self) -> None:
        """They are answered a few a turn, all of them, in the order they came."""
        self.receive(*self.reads(1, 50))
        self.assertEqual(len(self.storage.asked), 3, "what there was time for")
        seqs = []
        for _ in range(20):
            asked = len(self.storage.asked)
            self.turns.turn()
            self.assertLessEqual(len(self.storage.asked), asked + 3)
            seqs += self.seqs(self.transport)
        self.assertEqual(seqs, list(range(50)))
        self.assertEqual(self.clock.getDelayedCalls(), [], "nothing goes on for nobody")

    def test_saves_do_not_wait(self) -> None:
        """A save is handed over at once, whoever has reads waiting."""
        save = Save(items=pack_save(1, 4, USERS, (7, 102), b"")).frame(seq=99)
        self.receive(*self.reads(1, 50), save)
        other, _ = self.connect()
        other.dataReceived(save)
        self.receive(save)
        self.assertEqual((len(self.storage.saves), len(self.storage.asked)), (3, 3))

    def test_askers_take_turns(self) -> None:
        """Who asks for little does not wait for who asks for much."""
        self.receive(*self.reads(1, 50))
        other, transport = self.connect()
        other.dataReceived(b"".join(self.reads(2, 2)))
        self.assertEqual(len(self.storage.asked), 3, "this turn's time is up")
        for _ in range(3):
            self.turns.turn()
        self.assertEqual(self.seqs(transport), [0, 1])

    def test_one_budget_for_all(self) -> None:
        """The time of a turn is that of all askers together, also if each asks for little."""
        for uid in range(10):
            asker, _ = self.connect()
            asker.dataReceived(self.reads(uid, 1)[0])
        self.assertEqual(len(self.storage.asked), 3)
        for _ in range(5):
            self.turns.turn()
        self.assertEqual([asked[1].uid for asked in self.storage.asked], list(range(10)))

    def test_bounded(self) -> None:
        """With too many reads waiting we listen no more, until half of them are answered."""
        self.receive(*self.reads(1, MAX_READS))
        self.assertEqual(self.transport.producerState, "producing")
        self.receive(*self.reads(1, 10))
        self.assertEqual(self.transport.producerState, "paused")
        while len(self.storage.asked) < MAX_READS // 2 + 10:
            self.assertEqual(self.transport.producerState, "paused")
            self.turns.turn()
        self.assertEqual(self.transport.producerState, "producing")

    def test_bad_read_among_those_that_wait(self) -> None:
        """It ends its own connection when its turn comes, and no other's."""
        self.receive(*self.reads(1, 5), encode_frame(Fetch.number, b""), *self.reads(1, 5))
        other, transport = self.connect()
        other.dataReceived(b"".join(self.reads(2, 9)))
        for _ in range(9):
            self.turns.turn()
        self.assertEqual(self.seqs(self.transport), list(range(5)))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.seqs(transport), list(range(9)))

    def test_gone(self) -> None:
        """What an asker that is gone has asked for is not looked up."""
        self.receive(*self.reads(1, 50))
        self.listener.connectionLost(connectionDone)
        self.turns.turn()
        self.turns.turn()
        self.assertEqual(len(self.storage.asked), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bug_in_a_read(self) -> None:
        """A read that raises costs its asker the connection, and the others nothing."""
        self.receive(*self.reads(1, 9))
        other, transport = self.connect()
        other.dataReceived(b"".join(self.reads(2, 2)))
        without_bug, self.storage.count_new = self.storage.count_new, self.bug  # type: ignore[method-assign]
        self.listener.work()
        self.storage.count_new = without_bug  # type: ignore[method-assign]
        for _ in range(3):
            self.turns.turn()
        self.assertEqual(self.seqs(transport), [0, 1])
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(len(self.storage.asked), 3 + 2)
        self.assertIn("failed", self.events.texts()[-1])

    def bug(self, user: User, after: int) -> int:
        raise RuntimeError("a bug")


class FinishTests(ListenerCase):
    """Storage stops."""

    def test_saves_are_answered_first(self) -> None:
        """A connection ends when its saves are answered; later asks are not looked at."""
        self.receive(Save(items=pack_save(1, 4, USERS, (7, 102), b"")).frame(seq=5))
        idle, idle_transport = self.connect()
        for listener in (self.listener, idle):
            listener.finish()
        self.assertTrue(idle_transport.disconnecting)
        self.assertFalse(self.transport.disconnecting)
        self.storage.saves[0][1]([(0, 32, (0,))])
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([frame.seq for frame in self.answers()], [5])


class PairTests(SynchronousTestCase):
    """The gateway's end, this end and a real storage, in one test without sockets."""

    def setUp(self) -> None:
        self.clock = Clock()
        turn = ReactorTurn(self.clock)
        self.log = Events()
        self.storage = Storage(
            self.mktemp(),
            world=world(turn=turn, time=self.clock, log=self.log.log()),
            in_thread=self.in_thread,
        )
        self.storage.open()
        self.factory = StorageFactory(self.storage, world=world(turn=turn, time=self.clock))
        self.link = StorageLink("here", turn, self.clock)
        self.told: list[tuple[Any, int, Sequence[tuple[int, int]]]] = []
        self.stands_still = False
        self.connect()

    def connect(self) -> None:
        client, server = self.link.buildProtocol(None), self.factory.buildProtocol(None)
        make = partial(iosim.FakeTransport, isServer=False)
        self.pump = iosim.connect(
            server, iosim.FakeTransport(server, isServer=True), client, make(client), greet=False
        )

    def in_thread(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        def try_() -> None:
            if self.stands_still:
                self.clock.callLater(1, try_)
            else:
                work()
                done(None)

        self.clock.callLater(0, try_)

    def run_all(self) -> None:
        for _ in range(4):
            self.clock.advance(0)
            self.pump.flush()

    def save(self, argument: str, body: bytes, *uids: int) -> None:
        queues = [batch for uid in uids for batch in (7, uid)]
        waiting = Waiting(lambda *answer: self.told.append((argument, *answer)))
        self.link.save(pack_save(11, 4, USERS, queues, body), waiting, len(uids))

    def test_save_and_read(self) -> None:
        """What one end saves it reads again, and each save is told its own ids."""
        self.save("one", b"one", 102, 101)
        self.save("large", bytes(32768), 102)
        self.save("two", b"two", 102, 102)
        self.run_all()
        (_, _, ((first, prev), (_, prev2))), large, (_, status, ((second, prev3), (_, prev4))) = (
            self.told
        )
        self.assertEqual((prev, prev2), (0, 0))
        self.assertEqual(large, ("large", AckStatus.TOO_LARGE, ((0, 0),)))
        self.assertEqual((status, prev3, prev4), (0, first, first))

        def ask(question: Message) -> Message:
            asked = Deferred.fromCoroutine(self.link.ask(question))
            self.run_all()
            return self.successResultOf(asked)

        page = page_of(ask(Fetch(appid=7, uid=102, after=0, limit=1)))
        self.assertEqual(page, (first, second, True, [StoredMessage(first, 11, 4, b"one")]))
        page = page_of(ask(FetchLatest(appid=7, uid=102, limit=9)))
        self.assertEqual([m.body for m in page.messages], [b"one", b"two"])
        self.assertEqual(ask(CountNew(appid=7, uid=102, after=first)), Counted(count=1))

    def test_disk_that_stands_still(self) -> None:
        """What a gateway brings into many queues is there once, however often it tries again."""
        pool, tasks, ended = StoragePool([self.link]), FakeTasks(), list[int]()
        member_queues = MemberQueues(
            world=world(time=self.clock, tasks=tasks, log=self.log.log()),
            saver=pool,
            reader=pool,
            done=lambda batch, queues, entries: None,
            ended=lambda batch, status: ended.append(status),
        )
        self.stands_still = True
        message = PendingMessage(7, 1, 1, 5, 8, b"hello", (1, 2, 3), (0,))
        member_queues.add(Batch(1, 0, message, message.members, 0))
        for second in range(120):
            self.stands_still = second < 40
            self.clock.advance(0.5)
            if self.pump.client.transport.disconnected:
                self.connect()
            self.run_all()
        self.assertEqual((ended, tasks.failures), ([0], []))
        for uid in message.members:
            page = self.storage.fetch(User(7, uid), 0)
            self.assertEqual([one.body for one in page.messages], [b"hello"])

    def test_stop(self) -> None:
        """A save that is under way when storage stops is answered before the connection ends."""
        self.save("one", b"one", 102)
        self.clock.advance(0)
        self.pump.pump()
        stopping = Deferred.fromCoroutine(self.factory.close(self.clock))
        self.assertNoResult(stopping)
        self.run_all()
        self.successResultOf(stopping)
        self.assertEqual([told[:2] for told in self.told], [("one", 0)])
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [], "no timer is left")
