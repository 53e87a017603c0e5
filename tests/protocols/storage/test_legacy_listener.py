"""Storage's older clients (3333): one answer to every request, in their order."""

import json
import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.interfaces import Page as Messages
from gobelieve.metrics import Counters
from gobelieve.names import AckStatus, User
from gobelieve.protocols.round_robin import BUDGET
from gobelieve.protocols.storage.legacy_listener import (
    MAX_SAVES,
    NOT_DONE,
    StorageClient,
    StorageClientFactory,
)
from gobelieve.protocols.storage.listener import DRAIN_TIMEOUT, FLUSH_BYTES
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.storage.storage import Storage
from gobelieve.wire.client import IM
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, FrameReader, encode_frame
from gobelieve.wire.message import Message
from gobelieve.wire.older.message_list import EMPTY_LIST, ENTRY_BODY_LIMIT, LIST_LIMIT, unpack_list
from gobelieve.wire.older.storage_clients import (
    Dequeue,
    DequeueGroup,
    GetGroupOfflineCount,
    GetOfflineCount,
    LoadGroupOffline,
    LoadHistory,
    LoadLatest,
    LoadOffline,
    Result,
    SaveAndEnqueue,
    SaveAndEnqueueGroup,
)
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem, StoredMessage
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.protocols.storage.test_listener import FakeStorage

VECTORS = Path(__file__).parents[2] / "vectors" / "storage"
REQUEST = bytes.fromhex(
    "00000040 0000004d c8000000  0026  0000001a 00000005 04010000"
    "0000000000000001 0000000000000002 6553f100 00000009 6869"
    "0000000000000007 0000000000000002 0000000000000021"
)
"""A save as upstream's client sends it, and below what upstream answers."""
ANSWER = bytes.fromhex("0000000c 00000000 cc000000  00000000 0000000000000020")
HELLO = IM(sender=1, receiver=2, timestamp=0x6553F100, msgid=9, content=b"hi")
LATEST = LoadLatest(appid=7, uid=2, limit=10)
HISTORY = LoadHistory(appid=7, uid=2, msgid=5)
STUBS: list[tuple[Message, bytes]] = [
    (Dequeue(appid=7, receiver=2, msgid=32, device_id=3), b""),
    (LoadOffline(appid=7, uid=2, device_id=3), EMPTY_LIST),
    (LoadGroupOffline(appid=7, gid=500, uid=2, device_id=3), EMPTY_LIST),
    (DequeueGroup(appid=7, receiver=2, msgid=32, gid=500, device_id=3), b""),
]


def saving(cmd: int = 4, body: bytes = HELLO.encode(), uid: int = 2) -> bytes:
    """A request to store a message for a user."""
    inner = encode_frame(cmd, body, 5, 1)
    return SaveAndEnqueue(inner=inner, appid=7, receiver=uid, device_id=33).frame()


def saving_for_group(cmd: int = 8, body: bytes = HELLO.encode()) -> bytes:
    """A request to store a message for a super group."""
    inner = encode_frame(cmd, body, 5, 1)
    return SaveAndEnqueueGroup(inner=inner, appid=7, receiver=500, device_id=33).frame()


def numbered(first: int, count: int, body: bytes = b"{}") -> list[StoredMessage]:
    """Messages with these ids, oldest first."""
    return [StoredMessage(id_, 11, 7, body) for id_ in range(first, first + count)]


def ids(answer: Result) -> list[int]:
    """The ids in a list."""
    return [message.msgid for message in unpack_list(answer.content)]


class PagedStorage(FakeStorage):
    """Has messages, and gives a few of them a page; a page takes `seconds`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0
        self.messages: list[StoredMessage] = []
        self.per_page = 3

    def fetch(self, user: User, after: int, limit: int = 0) -> Messages:
        self._read("fetch", user, after, limit)
        self.clock.rightNow += self.seconds
        found = [message for message in self.messages if message.msgid > after]
        newest = self.messages[-1].msgid if self.messages else 0
        page = found[: self.per_page]
        last = page[-1].msgid if page else newest
        return Messages(last, newest, last < newest, page)


class ClientCase(SynchronousTestCase):
    """One client's connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = PagedStorage(self.clock)
        self.counters = Counters()
        self.events = Events()
        turn, log = ReactorTurn(self.clock), self.events.log()
        self.world = world(time=self.clock, turn=turn, counters=self.counters, log=log)
        self.factory = StorageClientFactory(self.storage, world=self.world)
        self.client, self.transport = self.connect()

    def connect(self) -> tuple[StorageClient, StringTransport]:
        client = self.factory.buildProtocol(None)
        client.log = self.events.log()
        transport = StringTransport()
        client.makeConnection(transport)
        return client, transport

    def receive(self, *frames: bytes) -> None:
        self.client.dataReceived(b"".join(frames))

    def sent(self) -> list[Frame]:
        """What was sent by the end of some turns."""
        for _ in range(20):
            self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        return FrameReader(RPC_BODY_LIMIT).feed(data)

    def answers(self) -> list[Result]:
        """The same, decoded; the heads of all are as they must be."""
        frames = self.sent()
        for frame in frames:
            self.assertEqual((frame.cmd, frame.version, frame.flag, frame.seq), (204, 0, 0, 0))
        return [Result.decode(frame.body) for frame in frames]

    def stored(self, place: int, msgid: int, status: int = 0) -> None:
        """A save is done."""
        self.storage.saves[place][1]([(status, 0 if status else msgid, () if status else (0,))])

    def warnings(self) -> list[str]:
        """The log lines, without those about connections that begin and end."""
        return [text for text in self.events.texts() if not text.startswith("client ")]


class SaveTests(ClientCase):
    """200 and 206."""

    def test_published_example(self) -> None:
        """Upstream's bytes, both ways; the answer's seq is 0, whatever the request's was."""
        self.assertEqual(
            SaveAndEnqueue(inner=HELLO.frame(5, 1), appid=7, receiver=2, device_id=33).frame(77, 0),
            REQUEST,
        )
        self.receive(REQUEST)
        items = self.storage.saves[0][0]
        self.assertEqual(items, [SaveItem(33, 4, USERS, (7, 2), HELLO.encode())])
        self.assertEqual(self.sent(), [], "not before it is on disk")
        self.stored(0, 32)
        self.clock.advance(0)
        self.assertEqual(self.transport.value(), ANSWER)
        self.assertEqual((self.counters["asks"], self.counters["saves"]), (1, 1))

    def test_any_command(self) -> None:
        """A user's queue takes whatever command there is, with whatever body."""
        for place, cmd in enumerate((7, 21, 24, 25, 64, 0, 255)):
            self.receive(saving(cmd, b"x"))
            items = self.storage.saves[place][0]
            self.assertEqual(items, [SaveItem(33, cmd, USERS, (7, 2), b"x")])

    def test_longest(self) -> None:
        """As long as a request can be."""
        body = bytes(32767 - 26 - 12)
        self.receive(saving(7, body))
        self.assertEqual(self.storage.saves[0][0][0].body, body)
        self.receive(saving(7, body + b"x"))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.warnings()), 1)

    def test_not_stored(self) -> None:
        """A save that failed is answered with why, and without an id."""
        self.receive(saving(), saving())
        self.stored(0, 0, AckStatus.STORAGE_FULL)
        self.stored(1, 64)
        wanted = [Result(status=102, content=b""), Result(status=0, content=bytes(7) + b"\x40")]
        self.assertEqual(self.answers(), wanted)
        self.assertFalse(self.transport.disconnecting)

    def test_super_group(self) -> None:
        """A group message goes to the group's queue."""
        self.receive(saving_for_group())
        items = self.storage.saves[0][0]
        self.assertEqual(items, [SaveItem(33, 8, SUPER_GROUPS, (7, 500), HELLO.encode())])
        self.stored(0, 32)
        self.assertEqual(self.answers(), [Result(status=0, content=bytes(7) + b"\x20")])

    def test_super_group_takes_group_messages_only(self) -> None:
        """Another command is answered: not done. The connection goes on."""
        self.receive(saving_for_group(4), saving_for_group())
        self.assertEqual(len(self.storage.saves), 1)
        self.assertEqual(self.answers(), [Result(status=NOT_DONE, content=b"")])
        self.stored(0, 32)
        self.assertEqual(len(self.answers()), 1)
        self.assertEqual(sum(self.factory.requests.refused.values()), 1)


class StubTests(ClientCase):
    """Requests that do nothing."""

    def test_answers(self) -> None:
        """201 and 207 succeed, 202 and 203 give an empty list, byte for byte."""
        for request, content in STUBS:
            self.receive(request.frame(9))
            self.clock.advance(0)
            wanted = encode_frame(204, bytes(4) + content)
            self.assertEqual(self.transport.value(), wanted, request.label)
            self.transport.clear()

    def test_counts(self) -> None:
        """211 and 212, to which upstream is silent: not done."""
        self.receive(
            GetOfflineCount(appid=7, uid=2, device_id=3).frame(),
            GetGroupOfflineCount(appid=7, gid=500, uid=2, device_id=3).frame(),
        )
        self.assertEqual(self.answers(), [Result(status=NOT_DONE, content=b"")] * 2)

    def test_unknown_commands_without_a_body(self) -> None:
        """Not done; and the connection goes on, whichever command it is."""
        known = {200, 201, 202, 203, 205, 206, 207, 208, 211, 212}
        unknown = [cmd for cmd in range(256) if cmd not in known]
        self.receive(*[encode_frame(cmd, b"") for cmd in unknown])
        self.assertEqual(self.answers(), [Result(status=NOT_DONE, content=b"")] * len(unknown))
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(len(self.warnings()), len(unknown))


class ListTests(ClientCase):
    """205 and 208."""

    def test_latest(self) -> None:
        """The newest message first, with its real device, seq 0 and version 1."""
        self.storage.page = Messages(99, 99, False, [StoredMessage(32, 33, 4, HELLO.encode())])
        self.receive(LATEST.frame())
        self.assertEqual(self.storage.asked, [("fetch_latest", User(7, 2), 10)])
        (answer,) = self.answers()
        self.assertEqual(
            answer.content.hex(),
            bytes.fromhex(
                "0001 0036 0000000000000020 0000000000000021 0000001a 00000000 04010000"
                "0000000000000001 0000000000000002 6553f100 00000009 6869"
            ).hex(),
        )
        self.storage.page = Messages(99, 99, False, numbered(1, 4))
        self.receive(LATEST.frame())
        self.assertEqual(ids(self.answers()[0]), [4, 3, 2, 1])

    def test_latest_beyond_a_list(self) -> None:
        """The newest of them, as many as fit."""
        body = bytes(ENTRY_BODY_LIMIT)
        self.storage.page = Messages(40, 40, False, numbered(1, 40, body))
        self.receive(LATEST.frame())
        (answer,) = self.answers()
        self.assertEqual(ids(answer), list(range(40, 40 - LIST_LIMIT // (len(body) + 30), -1)))

    def test_history(self) -> None:
        """All after an id, of as many pages as storage makes of it, newest first."""
        self.storage.messages = numbered(1, 15)
        self.storage.seconds = BUDGET
        self.receive(HISTORY.frame())
        self.assertEqual(len(self.storage.asked), 1, "a turn for each page: others are not held up")
        (answer,) = self.answers()
        self.assertEqual(ids(answer), list(range(15, 5, -1)))
        self.assertEqual([asked[2] for asked in self.storage.asked], [5, 8, 11, 14])

    def test_history_beyond_a_list(self) -> None:
        """Asked again with the first id of each list, a client gets everything, once."""
        self.storage.messages = numbered(1, 100, bytes(ENTRY_BODY_LIMIT))
        found: list[int] = []
        after = 0
        while True:
            self.receive(LoadHistory(appid=7, uid=2, msgid=after).frame())
            (answer,) = self.answers()
            self.assertLessEqual(len(answer.content), LIST_LIMIT)
            part = ids(answer)
            if not part:
                break
            found += part[::-1]
            after = part[0]
        self.assertEqual(found, list(range(1, 101)))

    def test_messages_too_long_for_a_list(self) -> None:
        """They do not stop the others, and the log names them."""
        long = StoredMessage(2, 0, 7, bytes(ENTRY_BODY_LIMIT + 1))
        self.storage.messages = [*numbered(1, 1), long, *numbered(3, 1)]
        self.storage.page = Messages(3, 3, False, self.storage.messages)
        self.receive(LoadHistory(appid=7, uid=2, msgid=0).frame(), LATEST.frame())
        self.assertEqual([ids(answer) for answer in self.answers()], [[3, 1], [3, 1]])
        self.assertEqual(self.counters["left_out"], 2)
        (line,) = self.warnings()
        self.assertIn("[2]", line)

    def test_nothing_there(self) -> None:
        """An empty list."""
        self.storage.page = Messages(0, 0, False, ())
        self.receive(LATEST.frame(), HISTORY.frame())
        self.assertEqual(self.answers(), [Result(status=0, content=EMPTY_LIST)] * 2)

    def test_failed(self) -> None:
        """A disk that cannot be read is not an empty list; the connection goes on."""
        self.storage.error = StorageError(AckStatus.STORAGE_FAILED, "Input/output error")
        self.receive(LATEST.frame(), HISTORY.frame())
        failed = Result(status=AckStatus.STORAGE_FAILED, content=b"")
        self.assertEqual(self.answers(), [failed, failed])
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual((len(self.warnings()), sum(self.factory.requests.failed.values())), (2, 2))

    def test_failed_in_the_middle(self) -> None:
        """A later page that cannot be read: neither half a list nor silence."""
        self.storage.messages = numbered(1, 20)
        self.storage.seconds = BUDGET
        self.receive(HISTORY.frame())
        self.storage.error = StorageError(AckStatus.STORAGE_FAILED, "Input/output error")
        wanted = [Result(status=AckStatus.STORAGE_FAILED, content=b"")]
        self.assertEqual(self.answers(), wanted)


class OrderTests(ClientCase):
    """Answers have no number: their order is all that tells them apart."""

    def setUp(self) -> None:
        super().setUp()
        self.storage.page = Messages(9, 9, False, numbered(9, 1))

    def test_saves_share_a_write(self) -> None:
        """Saves that follow one another are begun together, yet answered in their order."""
        self.receive(saving(), saving(), saving())
        self.assertEqual(len(self.storage.saves), 3)
        self.stored(2, 96)
        self.stored(1, 64, AckStatus.STORAGE_FAILED)
        self.assertEqual(self.answers(), [])
        self.stored(0, 32)
        found = [(answer.status, answer.content[-1:]) for answer in self.answers()]
        self.assertEqual(found, [(0, b"\x20"), (103, b""), (0, b"\x60")])

    def test_others_wait_for_saves(self) -> None:
        """A read behind saves is not made before they are on disk; nor is what follows it."""
        stub, content = STUBS[0]
        self.receive(saving(), saving(), LATEST.frame(), saving(), stub.frame())
        self.receive(encode_frame(255, b""))
        self.assertEqual((len(self.storage.saves), self.storage.asked), (2, []))
        self.stored(0, 32)
        self.assertEqual([answer.content for answer in self.answers()], [bytes(7) + b"\x20"])
        self.assertEqual(self.storage.asked, [])
        self.stored(1, 64)
        first, second = self.answers()
        self.assertEqual((first.content, ids(second)), (bytes(7) + b"\x40", [9]))
        self.stored(2, 96)
        found = [(answer.status, answer.content) for answer in self.answers()]
        self.assertEqual(found, [(0, bytes(7) + b"\x60"), (0, content), (NOT_DONE, b"")])

    def test_a_history_holds_up_only_its_own_connection(self) -> None:
        """What follows it waits for all its pages; other clients do not."""
        self.storage.messages = numbered(6, 10)
        self.storage.seconds = BUDGET
        self.receive(HISTORY.frame(), saving())
        other, transport = self.connect()
        pages: list[int] = []
        transport.write = lambda data: pages.append(  # type: ignore[method-assign]
            len(self.storage.asked)
        )
        other.dataReceived(STUBS[0][0].frame())
        self.assertEqual(self.storage.saves, [])
        self.assertEqual([len(ids(answer)) for answer in self.answers()], [10])
        self.assertEqual(len(self.storage.saves), 1)
        self.assertEqual((pages, len(self.storage.asked)), ([1], 4))

    def test_a_burst_of_reads(self) -> None:
        """Reads of several clients are made in turn, and not all in one turn of the loop."""
        self.storage.messages = numbered(6, 3)
        self.storage.seconds = BUDGET
        other, transport = self.connect()
        reads: list[int] = []
        transport.write = lambda data: reads.append(  # type: ignore[method-assign]
            len(self.storage.asked)
        )
        self.receive(*[HISTORY.frame()] * 9)
        other.dataReceived(HISTORY.frame())
        self.assertEqual(len(self.storage.asked), 1)
        self.assertEqual(len(self.answers()), 9)
        self.assertLess(reads[0], 5)

    def test_a_bug_of_ours(self) -> None:
        """Ends that connection, with a traceback in the log, and no other."""
        self.storage.messages = numbered(6, 3)
        self.storage.seconds = BUDGET
        other, transport = self.connect()
        other.dataReceived(HISTORY.frame())
        self.storage.page = None  # type: ignore[assignment]
        self.receive(LATEST.frame())
        self.assertEqual(self.answers(), [])
        self.assertTrue(self.transport.disconnected)
        self.assertFalse(transport.disconnected)
        self.assertEqual(sum("log_failure" in event for event in self.events), 1)

    def test_a_refusal_among_saves(self) -> None:
        """Has its place in the order too."""
        self.receive(saving(), saving_for_group(4), saving())
        self.assertEqual(self.answers(), [])
        self.stored(1, 64)
        self.stored(0, 32)
        self.assertEqual([answer.status for answer in self.answers()], [0, NOT_DONE, 0])

    def test_thousands_at_once(self) -> None:
        """What can be answered at once is, without a call inside a call."""
        self.receive(*[STUBS[0][0].frame()] * 3000)
        self.assertEqual(len(self.answers()), 3000)

    def test_saves_are_bounded(self) -> None:
        """Beyond so many under way we listen no more, until some are answered."""
        for _ in range(MAX_SAVES):
            self.receive(saving())
        self.assertEqual(self.transport.producerState, "producing")
        self.receive(saving(), saving())
        self.assertEqual(len(self.storage.saves), MAX_SAVES)
        self.assertEqual(self.transport.producerState, "paused")
        self.stored(0, 32)
        self.assertEqual(len(self.storage.saves), MAX_SAVES + 1)
        self.assertEqual(self.transport.producerState, "paused")
        self.stored(1, 64)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(len(self.answers()), 2)


class BadRequestTests(ClientCase):
    """What makes no sense ends the connection, with one line in the log."""

    def check(self, frame: bytes) -> None:
        """On a connection of its own."""
        self.events.clear()
        self.client, self.transport = self.connect()
        self.receive(frame)
        self.assertTrue(self.transport.disconnecting, frame.hex())
        self.assertEqual(len(self.warnings()), 1, frame.hex())
        self.assertIn("is cut off", self.warnings()[0])
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.storage.saves, [])

    def test_short_bodies(self) -> None:
        """Any request, cut at any byte; one without any body is cut off too."""
        requests = [stub for stub, _ in STUBS]
        requests += [LATEST, HISTORY, GetOfflineCount(appid=7, uid=2, device_id=3)]
        for request in requests:
            body = request.encode()
            for length in range(len(body)):
                self.check(encode_frame(request.number, body[:length]))
        for cmd in (200, 206):
            for length in range(len(REQUEST) - 12):
                self.check(encode_frame(cmd, REQUEST[12:][:length]))

    def test_length_of_the_inner_frame(self) -> None:
        """Negative (which ended upstream's daemon), beyond the body, not what its header says."""
        body = REQUEST[12:]
        for length in (
            b"\xff\xff",
            b"\x80\x00",
            b"\x7f\xff",
            b"\x00\x00",
            b"\x00\x25",
            b"\x00\x27",
        ):
            self.check(encode_frame(200, length + body[2:]))
        for length in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x19", b"\x7f\xff\xff\xff"):
            self.check(encode_frame(200, body[:2] + length + body[6:]))

    def test_short_messages(self) -> None:
        """A message between users that no client could read."""
        self.check(saving(4, bytes(23)))
        self.check(saving_for_group(8, bytes(23)))

    def test_lengths(self) -> None:
        """A frame of a negative length, or of 32 KiB; it is not waited for."""
        for length in (b"\xff\xff\xff\xff", b"\x00\x00\x80\x00", b"\x7f\xff\xff\xff"):
            self.check(length + bytes(4) + b"\xc8" + bytes(3))

    def test_unknown_commands_with_a_body(self) -> None:
        """Nobody knows what it is."""
        for cmd in (0, 4, 130, 199, 204, 209, 210, 213, 220, 230, 255):
            self.check(encode_frame(cmd, b"x"))

    def test_requests_before_it_count(self) -> None:
        """What came before in the same read is answered; what comes after is not looked at."""
        self.receive(STUBS[0][0].frame(), encode_frame(205, b""), saving())
        self.assertEqual(len(self.answers()), 1)
        self.assertTrue(self.transport.disconnecting)
        self.receive(saving())
        self.assertEqual(self.storage.saves, [])

    def test_behind_a_save(self) -> None:
        """It ends the connection when its turn comes."""
        self.receive(saving(), encode_frame(205, b""))
        self.assertFalse(self.transport.disconnecting)
        self.stored(0, 32)
        self.assertEqual(len(self.answers()), 1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.warnings()), 1)

    def test_excess(self) -> None:
        """Bytes behind the fields are passed over, as upstream does."""
        stub, content = STUBS[1]
        self.receive(encode_frame(stub.number, stub.encode() + b"more"), REQUEST[:3], b"\x44")
        self.receive(REQUEST[4:] + b"more")
        self.stored(0, 32)
        found = [answer.content for answer in self.answers()]
        self.assertEqual(found, [content, bytes(7) + b"\x20"])


class SlowClientTests(ClientCase):
    """A client that does not read its answers."""

    def setUp(self) -> None:
        super().setUp()
        self.storage.page = Messages(1, 1, False, numbered(1, 1, bytes(32000)))
        self.storage.messages = numbered(6, 12, bytes(32000))
        real = self.transport.write

        def write(data: bytes) -> None:
            # As a real transport that has more than it likes: told while it is written to.
            real(data)
            self.client.pauseProducing()

        self.transport.write = write  # type: ignore[method-assign]

    def test_bounded(self) -> None:
        """Requests wait once so much is unread; when it is read they are answered, all of them."""
        self.receive(*[LATEST.frame()] * 30, HISTORY.frame(), saving())
        self.assertLess(len(self.transport.value()), 2 * FLUSH_BYTES)
        self.assertEqual(self.transport.producerState, "paused")
        counts = []
        for _ in range(30):
            counts += [len(ids(answer)) for answer in self.answers()]
            self.client.resumeProducing()
        self.assertEqual(counts, [1] * 30 + [12])
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(len(self.storage.saves), 1)

    def test_gone(self) -> None:
        """When it goes, what waits is dropped; saves and pages that come later answer nobody."""
        self.storage.seconds = BUDGET
        self.receive(saving(), LATEST.frame())
        other, transport = self.connect()
        other.dataReceived(HISTORY.frame())
        self.client.connectionLost(connectionDone)
        other.connectionLost(connectionDone)
        self.assertEqual(self.factory.connections, set())
        self.stored(0, 32)
        asked = len(self.storage.asked)
        self.assertEqual(self.answers(), [])
        self.assertEqual((transport.value(), len(self.storage.asked)), (b"", asked))


class FinishTests(ClientCase):
    """Storage stops."""

    def test_what_is_under_way_is_answered(self) -> None:
        """A connection ends when its saves or its list are answered; later requests are not."""
        self.storage.messages = numbered(6, 12)
        self.storage.seconds = BUDGET
        self.receive(saving(), LATEST.frame())
        idle, idle_transport = self.connect()
        lister, lister_transport = self.connect()
        lister.dataReceived(HISTORY.frame())
        stopping = Deferred.fromCoroutine(self.factory.close(self.clock))
        self.assertTrue(idle_transport.disconnecting)
        self.assertFalse(self.transport.disconnecting)
        self.assertFalse(lister_transport.disconnecting)
        self.stored(0, 32)
        self.assertEqual(len(self.answers()), 1)
        self.assertGreater(len(lister_transport.value()), 12)
        for client, transport in (
            (self.client, self.transport),
            (idle, idle_transport),
            (lister, lister_transport),
        ):
            self.assertTrue(transport.disconnecting)
            self.assertNoResult(stopping)
            client.connectionLost(connectionDone)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [], "no timer is left")

    def test_nobody_waits_for_ever(self) -> None:
        """A client that does not take its answers is cut off after a while."""
        self.receive(saving())
        Deferred.fromCoroutine(self.factory.close(self.clock))
        self.clock.advance(DRAIN_TIMEOUT)
        self.assertTrue(self.transport.disconnected)


class RealStorageTests(ClientCase):
    """On a real directory, without sockets."""

    def open(self, root: str) -> None:
        """Connect a client to it."""
        its_world = world(turn=ReactorTurn(self.clock), time=self.clock)
        real = Storage(root, world=its_world, in_thread=self.in_thread)
        real.open()
        self.addCleanup(real.close, lambda: None)
        self.real = real
        self.factory = StorageClientFactory(real, world=self.world)
        self.client, self.transport = self.connect()

    def in_thread(self, work: Any, done: Any) -> None:
        work()
        self.clock.callLater(0, done, None)

    def test_save_and_load(self) -> None:
        """What is saved is given back, also to a request that came right behind."""
        self.open(self.mktemp())
        system = encode_frame(21, b"{}")
        self.receive(
            REQUEST,
            SaveAndEnqueue(inner=system, appid=7, receiver=2, device_id=0).frame(),
            saving_for_group(),
            LATEST.frame(),
            LoadHistory(appid=7, uid=2, msgid=0).frame(),
            LoadHistory(appid=7, uid=2, msgid=32).frame(),
        )
        first, second, third, latest, history, rest = self.answers()
        self.assertEqual(first.content, ANSWER[16:])
        hello = StoredMessage(32, 33, 4, HELLO.encode())
        later = StoredMessage(int.from_bytes(second.content, "big"), 0, 21, b"{}")
        self.assertEqual(list(unpack_list(latest.content)), [hello], "no system messages here")
        self.assertEqual(list(unpack_list(history.content)), [later, hello])
        self.assertEqual(list(unpack_list(rest.content)), [later])
        (message,) = self.real.fetch_group(User(7, 500), 0).messages
        wanted = StoredMessage(int.from_bytes(third.content, "big"), 33, 8, HELLO.encode())
        self.assertEqual(message, wanted)

    def test_queue_records_are_no_messages(self) -> None:
        """Nobody writes into storage's own chains."""
        self.open(self.mktemp())
        self.receive(*[saving(cmd, bytes(64)) for cmd in (254, 252, 250, 249, 248, 247)])
        failed = Result(status=AckStatus.STORAGE_FAILED, content=b"")
        self.assertEqual(self.answers(), [failed] * 6)

    def test_directory_of_upstream(self) -> None:
        """A directory of the seed gives the lists that its own daemon gave."""
        expected = json.loads((VECTORS / "seed.expected.json").read_text())
        root = self.mktemp()
        shutil.copytree(VECTORS / "seed", root)
        self.open(root)
        checked = set()
        for read in expected["reads"]:
            args = read["args"]
            if read["op"] == "latest":
                user = {"appid": args["appid"], "uid": args["uid"]}
                self.receive(LoadLatest(**user, limit=args["limit"]).frame())
            elif read["op"] == "sync":
                user = {"appid": args["appid"], "uid": args["uid"]}
                self.receive(LoadHistory(**user, msgid=args["last_id"]).frame())
            else:
                continue
            checked.add(read["op"])
            result = read["result"]
            wanted = result["newest_first"] if isinstance(result, dict) else result
            (answer,) = self.answers()
            found = [message[:3] for message in unpack_list(answer.content)]
            keys = ("msgid", "device_id", "cmd")
            self.assertEqual(found, [tuple(one[key] for key in keys) for one in wanted], read)
        self.assertEqual(checked, {"latest", "sync"})
