"""Reading: pages of any size lose nothing, and counts are right."""

from dataclasses import dataclass, field
from functools import partial
from struct import pack
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Page
from gobelieve.names import User
from gobelieve.storage.format.records import pack_entry
from gobelieve.storage.index.heads import LAST_ID
from gobelieve.storage.queues.reading import QueueReader
from gobelieve.storage.queues.store import Store
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem
from tests.fakes.world import Lines
from tests.storage.model import DELIVERED, LATEST
from tests.storage.support import APPID, bodies, im, open_store, pages, to_group, to_users

BOB = User(APPID, 102)
NEWEST = (1 << 63) - 1
KINDS = [4, 4, 4, 7, 8, 8, 21, 24, 25, 64, 99]


def fill(store: Store, items: list[SaveItem]) -> list[int]:
    """Store messages without waiting for the disk. Return their ids."""
    found = [store.append(item)[0] for item in items]
    store.flush()
    store.show_written()
    return found


class PageCase(SynchronousTestCase):
    """A store that is filled and read."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.store = open_store(self.root)
        self.addCleanup(lambda: self.store.close())

    @property
    def reader(self) -> QueueReader:
        return self.store.reader


class PageTests(PageCase):
    """Pages of one queue."""

    def test_every_limit_and_start(self) -> None:
        """From any id, with any limit, the pages together are exactly the messages after the id."""
        msgids = fill(self.store, [to_users(102, 101) for _ in range(3005)])
        starts = [0, 1, 998, 999, 1000, 1001, 1999, 2000, 2001, 2500, 3003, 3004]
        for start in starts:
            after = msgids[start - 1] if start else 0
            for limit in (1 if start > 2900 else 700, 999, 1000, 1001, 2500, 3005, 9999):
                found = []
                for page in pages(partial(fetch_any, self.reader, USERS, BOB, limit), after):
                    self.assertLessEqual(len(page.messages), limit)
                    self.assertEqual(page.newest, msgids[-1])
                    self.assertEqual(page.last, page.messages[-1].msgid)
                    self.assertEqual(page.more, page.last != msgids[-1])
                    found += [message.msgid for message in page.messages]
                self.assertEqual(found, msgids[start:])

    def test_walk_is_short(self) -> None:
        """A page reads little more than its limit and a thousand entries, for any length of queue.

        The links over a thousand entries come on top.
        """
        msgids = fill(self.store, [to_users(102, body=b"") for _ in range(20_500)])
        reads = 0
        real = self.store.blocks.read

        def counting(id_: int, count: int) -> bytes:
            nonlocal reads
            reads += 1
            return real(id_, count)

        self.store.blocks.read = counting  # type: ignore[method-assign]
        for after in (0, msgids[5], msgids[9_999], msgids[15_500]):
            reads = 0
            page = self.reader.fetch(BOB, after, 500)
            self.assertEqual(len(page.messages), 500)
            self.assertLessEqual(reads, 500 + 500 + 1000 + 22)
        reads = 0
        self.assertEqual(self.reader.count_new(BOB, msgids[5]), 20_494)
        self.assertLessEqual(reads, 2 * 1022)

    def test_bytes(self) -> None:
        """A page of long messages ends early, and no message is lost."""
        items = [to_users(102, body=b"%04d" % n + bytes(n % 7 * 1000)) for n in range(300)]
        fill(self.store, items)
        found = []
        for page in pages(lambda at: self.reader.fetch(BOB, at, 3000, max_bytes=10_000)):
            self.assertLessEqual(sum(map(len, bodies(page))), 10_000)
            self.assertGreaterEqual(len(page.messages), 1)
            found += bodies(page)
        self.assertEqual(found, [item.body for item in items])
        # A message that is longer than the limit of bytes has a page of its own.
        self.assertEqual(len(self.reader.fetch(BOB, 0, 3000, max_bytes=1).messages), 1)

    def test_edges(self) -> None:
        """Reads of an empty queue, after the newest id, and from an id of no message work."""
        self.assertEqual(self.reader.fetch(BOB, 0, 10), (0, 0, False, ()))
        self.assertEqual(self.reader.fetch(BOB, 99, 10), (0, 0, False, ()))
        first, second = fill(self.store, [to_users(102), to_users(102)])
        for after in (second, second + 1, 1 << 62):
            self.assertEqual(self.reader.fetch(BOB, after, 10), (second, second, False, ()))
        for after, count in ((first + 1, 1), (first - 1, 2), (-1, 2), (-(1 << 62), 2)):
            self.assertEqual(len(self.reader.fetch(BOB, after, 10).messages), count)
            self.assertEqual(self.reader.count_new(BOB, after), count)

    def test_kinds_left_out(self) -> None:
        """Kinds that clients do not know are left out, and the page reaches beyond them."""
        msgids = fill(self.store, [to_users(102, cmd=cmd) for cmd in range(1, 70)])
        page = self.reader.fetch(BOB, 0, 3000)
        self.assertEqual({message.cmd for message in page.messages}, DELIVERED)
        self.assertEqual((page.last, page.more), (msgids[-1], False))
        self.assertEqual(self.reader.fetch(BOB, 0, 3).last, msgids[2])

    def test_latest(self) -> None:
        """The newest messages come oldest first, without system messages."""
        msgids = fill(self.store, [to_users(102, cmd=cmd) for cmd in (4, 8, 21, 7, 99, 64, 21)])
        page = self.reader.fetch_latest(BOB, 3)
        self.assertEqual([m.msgid for m in page.messages], [msgids[1], msgids[3], msgids[5]])
        self.assertEqual((page.last, page.newest, page.more), (msgids[6], msgids[6], False))
        self.assertEqual(len(self.reader.fetch_latest(BOB, 0).messages), 1)
        self.assertEqual(len(self.reader.fetch_latest(BOB, 99, max_bytes=80).messages), 2)
        self.assertEqual(self.reader.fetch_latest(User(APPID, 999), 3).messages, ())

    def test_backwards(self) -> None:
        """From any id, with any limit, pages backwards together are exactly the messages before."""
        items = [to_users(102, 101, cmd=KINDS[n % len(KINDS)]) for n in range(2305)]
        msgids = fill(self.store, items)
        latest = [id_ for id_, item in zip(msgids, items, strict=True) if item.cmd in LATEST]
        for before in (1 << 62, msgids[-1] + 1, *msgids[-1:-5:-1], msgids[1500], *msgids[:3]):
            for limit in (1 if before <= msgids[2] else 300, 1000, 9999):
                found: list[int] = []
                page = self.reader.fetch_before(BOB, before, limit)
                while page.messages:
                    self.assertLessEqual(len(page.messages), limit)
                    self.assertEqual((page.last, page.newest), (page.messages[0].msgid, msgids[-1]))
                    found[:0] = [message.msgid for message in page.messages]
                    if not page.more:
                        break
                    page = self.reader.fetch_before(BOB, page.last, limit)
                self.assertEqual(found, [id_ for id_ in latest if id_ < before])

    def test_backwards_with_nothing_there(self) -> None:
        """There is nothing before the first message, and nothing in an empty queue."""
        msgids = fill(self.store, [to_users(102)])
        self.assertEqual(
            self.reader.fetch_before(BOB, msgids[0], 5), Page(msgids[0], msgids[0], False, [])
        )
        self.assertEqual(self.reader.fetch_before(User(APPID, 999), 5, 5), Page(0, 0, False, ()))

    def test_backwards_by_bytes(self) -> None:
        """A page limited by bytes has at least one message, and says that there are more."""
        msgids = fill(self.store, [to_users(102) for _ in range(4)])
        page = self.reader.fetch_before(BOB, msgids[3], 9, max_bytes=1)
        self.assertEqual([m.msgid for m in page.messages], [msgids[2]])
        self.assertTrue(page.more)

    def fetch_joined(self, limit: int, after: int) -> Page:
        return self.reader.fetch_group(User(APPID, 500), after, 1006, limit)

    def test_joined(self) -> None:
        """Members get all notices, but no messages from before they joined."""
        fill(self.store, [to_group(500, im(1, 500, str(n), when=1000 + n)) for n in range(10)])
        fill(self.store, [to_group(500, b"{}", cmd=7)])
        group = User(APPID, 500)
        for limit in (1, 3, 100):
            found = []
            for page in pages(partial(self.fetch_joined, limit)):
                found += bodies(page)
            self.assertEqual([body[24:] for body in found], [b"6", b"7", b"8", b"9", b""])
        self.assertEqual(len(self.reader.fetch_group(group, 0, 0, 100).messages), 11)

    def test_joined_nobody_knows_when(self) -> None:
        """Without a time of joining nothing is left out."""
        times = (-5, 0, 5)
        fill(self.store, [to_group(500, im(1, 500, "", when=when)) for when in times])
        group = User(APPID, 500)
        for joined, count in ((0, 3), (-1, 3), (5, 1)):
            self.assertEqual(len(self.reader.fetch_group(group, 0, joined, 9).messages), count)

    def test_content(self) -> None:
        """Device, kind and body come back as they were saved, for any length."""
        sizes = [0, 1, 491, 492, 493, 5000, 32767]
        fill(self.store, [to_users(102, body=b"\xff" * n, device=n) for n in sizes])
        page = self.reader.fetch(BOB, 0, 3000)
        self.assertEqual(
            [(m.device, m.cmd, m.body) for m in page.messages], [(n, 4, b"\xff" * n) for n in sizes]
        )


class OtherQueueTests(PageCase):
    """A wrong link: it leads into the queue of another user or group."""

    def setUp(self) -> None:
        super().setUp()
        fill(self.store, [to_users(103, 104, body=b"secret") for _ in range(5)])

    def entry_of(self, kind: int, owner: int) -> int:
        """Return the id of the newest entry of a queue."""
        head = self.store.head(kind, APPID, owner)
        assert head is not None
        return head[LAST_ID]

    def write(self, kind: int, owner: int, prev: int, prev_batch: int = 0) -> int:
        """Store a message whose entry has these links. Return the id of the message."""
        msgid = fill(self.store, [to_users(1, 1)])[0]
        entry = pack_entry(kind, APPID, owner, msgid, 0, 2000, prev, 0, prev_batch, 0)
        id_ = self.store.blocks.append(entry)
        self.store.index.put(
            self.store.index.place(kind, APPID, owner), (msgid, id_, id_, prev_batch, 2000)
        )
        self.store.flush()
        self.store.show_written()
        return msgid

    def read(self, owner: int) -> list[list[int]]:
        """Return the ids of the messages that each kind of read gives."""
        user = User(APPID, owner)
        read = (
            self.reader.fetch(user, 0, 100),
            self.reader.fetch_latest(user, 100),
            self.reader.fetch_before(user, NEWEST, 100),
        )
        return [[message.msgid for message in page.messages] for page in read]

    def test_a_user_never_gets_the_messages_of_another_user(self) -> None:
        """The queue ends where the link leads into the queue of user 103."""
        own = self.write(USERS, 102, self.entry_of(USERS, 103))
        self.assertEqual(self.read(102), [[own]] * 3)
        self.assertEqual(self.reader.count_new(BOB, 0), 1)
        self.assertEqual(self.reader.damaged_records, 1)

    def test_a_batch_link_is_not_followed_into_another_queue(self) -> None:
        own = self.write(USERS, 102, 0, prev_batch=self.entry_of(USERS, 103))
        self.assertEqual(self.read(102), [[own]] * 3)
        self.assertEqual(self.reader.count_new(BOB, 0), 1)

    def test_a_wrong_head_gives_nothing(self) -> None:
        """The index says that the newest entry of Bob is one of user 103."""
        index = self.store.index
        head = self.store.head(USERS, APPID, 103)
        assert head is not None
        index.put(index.place(USERS, APPID, 102), head)
        self.assertEqual(self.read(102), [[]] * 3)
        self.assertEqual(self.reader.count_new(BOB, 0), 0)

    def test_a_group_and_a_user_with_the_same_number_are_two_queues(self) -> None:
        fill(self.store, [to_group(102, body=b"secret")])
        own = self.write(USERS, 102, self.entry_of(SUPER_GROUPS, 102))
        self.assertEqual(self.read(102), [[own]] * 3)
        group = self.write(SUPER_GROUPS, 102, self.entry_of(USERS, 103))
        page = self.reader.fetch_group(BOB, 0, 0, 100)
        self.assertEqual([message.msgid for message in page.messages], [group])

    def test_a_wrong_link_is_damage_that_the_operator_hears_of_once(self) -> None:
        """The snapshot of the index is not used again, since it may be the cause."""
        wrong = self.entry_of(USERS, 103)
        self.write(USERS, 102, wrong)
        lines, damaged = Lines(), list[int]()
        reader = QueueReader(
            self.store.blocks, heads=self.store.head, on_damage=damaged.append, log=lines
        )
        for _ in range(3):
            reader.fetch_latest(BOB, 10)
        self.assertEqual(damaged, [wrong])
        self.assertEqual(
            lines.of("error"), [f"the record at id {wrong} is of another queue and skipped"]
        )


class OldEntries:
    """Writes queue records as older daemons of the Go server did, into the same chains."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[tuple[int, int], int] = {}
        self._peer: dict[tuple[int, int], int] = {}

    def write(self, layout: int, owner: int, body: bytes, cmd: int) -> int:
        """Write one message with one entry, with each size of the layout in turn. Return its id."""
        blocks = self._store.blocks
        msgid = blocks.append(old_record(cmd, body))
        kind = SUPER_GROUPS if layout == 252 else USERS
        key = (kind, owner)
        prev, peer = self._last.get(key, 0), self._peer.get(key, 0)
        device = [9] if msgid % 2 else []
        row = {
            254: [APPID, owner, msgid, *device, prev],
            252: [APPID, 0, msgid, owner, *device, prev],
            250: [APPID, owner, msgid, 9, prev, peer],
            249: [APPID, owner, msgid, 9, prev, peer, 0],
        }[layout]
        flag = 4 if cmd == 8 and layout in (250, 249) else 0
        id_ = blocks.append(old_record(layout, pack(f">{len(row)}q", *row), flag))
        self._last[key] = id_
        if not flag:
            self._peer[key] = id_
        return msgid


def old_record(cmd: int, body: bytes, flag: int = 0) -> bytes:
    """Return a record without a checksum."""
    return pack(">4siiBBBB", b"IMIM", len(body), 0, cmd, 1, flag, 0) + body + b"IMIM"


@dataclass
class Model:
    """A model of a store: the (msgid, cmd, body) of each queue, oldest first."""

    queues: dict[tuple[int, int], list[tuple[int, int, bytes]]] = field(default_factory=dict)

    def add(self, kind: int, owner: int, msgid: int, cmd: int, body: bytes) -> None:
        self.queues.setdefault((kind, owner), []).append((msgid, cmd, body))


def fetch_any(reader: QueueReader, kind: int, user: User, limit: int, after: int) -> Page:
    """Return a page of either kind of queue."""
    if kind == USERS:
        return reader.fetch(user, after, limit)
    return reader.fetch_group(user, after, 0, limit)


OLD = st.tuples(st.sampled_from([254, 252, 250, 249]), st.integers(1, 3), st.sampled_from(KINDS))
NEW = st.tuples(
    st.sampled_from([USERS, USERS, SUPER_GROUPS]),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sampled_from(KINDS),
    st.integers(0, 600),
)


class PropertyTests(SynchronousTestCase):
    """A store is compared with a model: old and new records, sizes, limits and restarts."""

    @settings(max_examples=60)
    @given(
        old=st.lists(OLD, max_size=20),
        new=st.lists(st.one_of(NEW, st.just("restart")), max_size=40),
        limits=st.lists(st.integers(1, 9), min_size=1, max_size=3),
        block_size=st.sampled_from([1000, 2500, 1 << 27]),
        batch=st.integers(0, 7),
    )
    def test_all_is_read(
        self, old: list[Any], new: list[Any], limits: list[int], block_size: int, batch: int
    ) -> None:
        """All pages, with all limits, and all counts and newest messages are those of the model."""
        with TemporaryDirectory() as root:
            store = open_store(root, block_size=block_size)
            model = Model()
            older = OldEntries(store)
            for n, (layout, owner, cmd) in enumerate(old):
                kind = SUPER_GROUPS if layout == 252 else USERS
                body = b"old %d" % n
                model.add(kind, owner, older.write(layout, owner, body, cmd), cmd, body)
            store.flush()
            store.close()
            store = open_store(root, block_size=block_size)
            for n, step in enumerate(new):
                if step == "restart":
                    store.flush()
                    store.close()
                    store = open_store(root, block_size=block_size)
                    continue
                kind, owners, cmd, length = step
                body = b"%d" % n + bytes(length)
                queues = tuple(part for owner in owners for part in (APPID, owner))
                msgid, prevs = store.append(SaveItem(n, cmd, kind, queues, body))
                for owner, prev in zip(owners, prevs, strict=True):
                    before = model.queues.get((kind, owner), [])
                    before = [m for m in before if m[0] != msgid]
                    self.assertEqual(prev, before[-1][0] if before else 0)
                for owner in dict.fromkeys(owners):
                    model.add(kind, owner, msgid, cmd, body)
                if n % 8 == batch:
                    store.flush()
            store.flush()
            store.show_written()
            self.check(store, model, limits)
            store.close()
            store = open_store(root, block_size=block_size)
            self.check(store, model, limits)
            store.close()

    def check(self, store: Store, model: Model, limits: list[int]) -> None:
        for (kind, owner), messages in model.queues.items():
            user = User(APPID, owner)
            expected = [m for m in messages if m[1] in DELIVERED]
            for limit in limits:
                fetch = partial(fetch_any, store.reader, kind, user, limit)
                found = [m for page in pages(fetch) for m in page.messages]
                self.assertEqual([(m.msgid, m.cmd, m.body) for m in found], expected)
            if kind == USERS:
                for n, (msgid, _, _) in enumerate(messages):
                    self.assertEqual(store.reader.count_new(user, msgid), len(messages) - n - 1)
                self.assertEqual(store.reader.count_new(user, 0), len(messages))
                latest = [m[0] for m in messages if m[1] in LATEST][-limits[0] :]
                page = store.reader.fetch_latest(user, limits[0])
                self.assertEqual([m.msgid for m in page.messages], latest)
                mine = [m[0] for m in messages if m[1] in LATEST and m[0] < messages[-1][0]]
                page = store.reader.fetch_before(user, messages[-1][0], limits[0])
                self.assertEqual([m.msgid for m in page.messages], mine[-limits[0] :])


class LongOldQueueTests(PageCase):
    """A queue of the first years, which has no links over a thousand entries, and continues."""

    def test_across_the_eras(self) -> None:
        """Pages and counts are right before, after and across the change of layouts."""
        older = OldEntries(self.store)
        msgids = [older.write(254, 102, b"old", 4) for _ in range(2300)]
        self.store.flush()
        self.store.close()
        self.store = open_store(self.root)
        msgids += fill(self.store, [to_users(102) for _ in range(2300)])
        for start in (0, 5, 999, 1500, 2299, 2300, 2301, 3000, 4500):
            after = msgids[start - 1] if start else 0
            found = []
            for page in pages(lambda at: self.reader.fetch(BOB, at, 900), after):
                found += [message.msgid for message in page.messages]
            self.assertEqual(found, msgids[start:])
            self.assertEqual(self.reader.count_new(BOB, after), len(msgids) - start)

    def test_numbers_that_began_anew(self) -> None:
        """A count does not use seqs that an older daemon began anew."""
        older = OldEntries(self.store)
        msgids = [older.write(254, 102, b"old", 4) for _ in range(1500)]
        blocks = self.store.blocks
        prev = older._last[USERS, 102]
        batch = 0
        for seq in range(1, 1300):
            msgid = blocks.append(old_record(4, b"new"))
            prev = blocks.append(pack_entry(USERS, APPID, 102, msgid, 0, seq, prev, prev, batch, 0))
            batch = prev if seq == 1000 else batch
            msgids.append(msgid)
        self.store.flush()
        self.store.close()
        log = Lines()
        self.store = open_store(self.root, log=log)
        for start in (0, 700, 1499, 1500, 1501, 2500, 2799):
            after = msgids[start - 1] if start else 0
            self.assertEqual(self.reader.count_new(BOB, after), len(msgids) - start)
        self.assertEqual(len(self.reader.fetch(BOB, 0, 3000).messages), 2799)
        self.assertEqual(log.of("warn", "error"), [])
