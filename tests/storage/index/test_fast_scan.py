"""The fast path of reading a directory: the result is the same without it."""

import os
import tempfile
from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.storage.files.blocks import Blocks
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import (
    FIRST_OFFSET,
    HEAD_SIZE,
    MAGIC,
    MAX_RECORD_BYTES,
    pack_entry,
    pack_message,
    pack_record,
)
from gobelieve.storage.index import scan
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.index.recovery import rebuild
from gobelieve.storage.tools import walk
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import Lines, world
from tests.storage.support import APPID, QuickFiles, open_store, to_group, to_users

SIZE = 1 << 17
"""The length of a block: a few of the chunks that are read at a time."""
CHUNK = MAX_RECORD_BYTES + HEAD_SIZE + 2000


def takes_nothing(self: FastScan, data: bytes, i: int, stop: int, base: int) -> int:
    """Take no record, in place of the fast path."""
    return i


def both(look: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what is found with the fast path and without it, reading little at a time."""
    with patch.object(scan, "CHUNK_BYTES", CHUNK), patch.object(walk, "CHUNK_BYTES", CHUNK):
        found = look()
        with patch.object(FastScan, "enter", takes_nothing):
            return found, look()


def rebuilt(root: str) -> Any:
    """Return everything that the start finds in a directory, without changing it."""
    blocks, index, log = Blocks(root, Lines(), SIZE, QuickFiles()), Index(), Lines()
    with patch.object(Blocks, "set_aside", lambda self, offset: "aside"):
        blocks.open()
        try:
            bridges = rebuild(blocks, index, world(log=log)).bridges
        finally:
            blocks.close()
    return index.names, index.owners, index.tables, index.values, bridges, log.lines


def verified(root: str) -> Any:
    """Return everything that verification finds in a directory."""
    with ReadOnlyFolder(root, SIZE) as folder:
        verification = Verification(folder, lambda done: None)
        findings = [str(finding) for finding in verification.findings()]
        return findings, verification.kinds, verification.queues, verification.torn


class Files:
    """Blocks that are written record by record, with right and wrong records."""

    def __init__(self, root: str, random: Random) -> None:
        self.root = root
        self.random = random
        self.store = open_store(root, block_size=SIZE, files=QuickFiles())
        self.blocks = self.store.blocks

    def good(self) -> None:
        """Append a few saves."""
        choose = self.random.choice
        for _ in range(self.random.randrange(1, 40)):
            body = bytes(self.random.randrange(300))
            users = [self.random.randrange(8) for _ in range(choose((1, 2, 2, 2, 9)))]
            cmd = choose((4, 4, 4, 8))
            save = choose((to_users(*users, body=body, cmd=cmd), to_group(users[0], body)))
            self.store.append(save._replace(queues=tuple(map(self._other_app, save.queues))))

    def _other_app(self, number: int) -> int:
        return 8 if number == APPID and self.random.random() < 0.1 else number

    def long(self) -> None:
        """Append a long message, of most of a chunk."""
        self.store.append(to_users(1, 2, body=bytes(self.random.randrange(20_000, 32_767))))

    def thousand(self) -> None:
        """Append so many entries that one is linked to the one a thousand before."""
        for _ in range(1100):
            self.store.append(to_users(1, body=b""))

    def entry(self) -> None:
        """Append a queue record whose fields may be right or wrong."""
        pick, end = self.random.choice, self.blocks.end
        kind, owner = pick((USERS, SUPER_GROUPS)), self.random.randrange(8)
        msgid = pick((0, -5, end[0] * SIZE + end[1], end[0] * SIZE + end[1] + 500, FIRST_OFFSET))
        body = b"of a wrong entry"
        if self.random.random() < 0.7:
            msgid = self.blocks.append(pack_message(4, body))
        head = self.store.index.head(self.store.index.place(kind, APPID, owner))
        _, last, peer, batch, seq = head
        peer = peer if kind == USERS else 0
        fields = [msgid, 0, seq + 1, last, peer, batch]
        for _ in range(self.random.randrange(3)):
            fields[self.random.randrange(6)] = pick((0, -1, 7, 1000, last, FIRST_OFFSET))
        msgid, device, seq, last, peer, batch = fields
        flag = pick((0, 4, 4, 0, 1))
        record = pack_entry(kind, APPID, owner, msgid, device, seq, last, peer, batch, flag)
        if self.random.random() < 0.3:
            # As the Go server writes it: no checksum, and no mark that there is one.
            record = record[:8] + bytes(4) + record[12:15] + b"\0" + record[16:]
        self.blocks.append(record)

    def old(self) -> None:
        """Append a record of older daemons, or an obsolete one."""
        pick = self.random.choice
        cmd, size = pick(((254, 32), (254, 40), (252, 48), (250, 48), (249, 56), (253, 24), (9, 8)))
        msgid = self.blocks.append(pack_message(4, b"of an old entry"))
        row = [APPID, self.random.randrange(8), msgid, *[0] * 4][: size // 8]
        body = b"".join(number.to_bytes(8, "big") for number in row)
        record = pack_record(cmd, pick((0, 1)), 0, body)
        self.blocks.append(record[:8] + bytes(4) + record[12:15] + b"\0" + record[16:])

    def close(self) -> None:
        self.store.flush()
        self.store.close()


STEPS = st.sampled_from(("good", "good", "good", "long", "thousand", "entry", "entry", "old"))


class SameResultTests(SynchronousTestCase):
    """The index, bridges, log and findings are the same with and without the fast path."""

    @settings(max_examples=50)
    @given(
        st.lists(STEPS, min_size=1, max_size=15),
        st.integers(0, 1 << 32),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=3),
        st.integers(0, 200),
    )
    def test_any_records(
        self, steps: list[str], seed: int, damage: list[tuple[float, int]], cut: int
    ) -> None:
        """Any entries of all layouts, damaged bytes and a torn end give the same result."""
        with tempfile.TemporaryDirectory() as root:
            files = Files(root, Random(seed))
            for step in steps:
                getattr(files, step)()
            files.close()
            for place, mask in damage:
                self.damage(root, Random(place), place, mask)
            newest = os.path.join(root, f"message_{files.blocks.numbers[-1]}")
            os.truncate(newest, max(FIRST_OFFSET, os.path.getsize(newest) - cut // 2))
            self.same(root)

    def damage(self, root: str, random: Random, place: float, mask: int) -> None:
        name = random.choice([name for name in os.listdir(root) if name.startswith("message_")])
        path = os.path.join(root, name)
        at = FIRST_OFFSET + int(place * (os.path.getsize(path) - FIRST_OFFSET))
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)
            if byte:
                file.seek(at)
                file.write(bytes([byte[0] ^ mask]))

    def same(self, root: str) -> Any:
        """Check that both results are equal. Return that of the start."""
        found = []
        for look in (rebuilt, verified):
            fast_path, slow = both(lambda: look(root))  # noqa: B023
            self.assertEqual(fast_path, slow)
            found.append(fast_path)
        return found[0]

    def test_every_byte_of_a_save(self) -> None:
        """A flipped bit anywhere in a message or its entries is noticed."""
        root = self.mktemp()
        store = open_store(root, block_size=SIZE)
        store.append(to_users(101, 102, body=b"a message"))
        store.append(to_group(500, b"to all"))
        store.append(to_users(101, body=b""))
        store.flush()
        store.close()
        path = os.path.join(root, "message_0")
        with open(path, "rb") as file:
            whole = file.read()
        self.assertEqual(self.same(root)[-1], [])
        heads = [at for at in range(len(whole)) if whole.startswith(MAGIC, at)]
        # cmd, version, flag and mark have no checksum: see docs/storage.md.
        unchecked = {at + k for at in heads for k in (12, 13, 14, 15)}
        for at in range(FIRST_OFFSET, len(whole)):
            bad = bytes([whole[at] ^ 1 << at % 8])
            with open(path, "wb") as file:
                file.write(whole[:at] + bad + whole[at + 1 :])
            self.assertTrue(self.same(root)[-1] or at in unchecked, f"byte {at}")


class TakesTests(SynchronousTestCase):
    """The fast path is useful only if it takes most records."""

    def test_all_of_ours(self) -> None:
        """The fast path takes all records that we write, but for a few at the borders of blocks."""
        root = self.mktemp()
        store = open_store(root, block_size=SIZE)
        for n in range(2500):
            store.append(to_users(n % 3, 5, body=b"peer"))
            store.append(to_users(n % 7, 5, body=b"group", cmd=8))
            store.append(to_group(500, b"super group"))
        store.flush()
        expected = store.index.values
        store.close()
        blocks, index = Blocks(root, Lines(), SIZE), Index()
        blocks.open()
        self.addCleanup(blocks.close)
        fast_scan, left = FastScan(index), 0
        for number in blocks.numbers:
            data = blocks.read_block(number, SIZE, 0)

            def read(count: int, offset: int, data: bytes = data) -> bytes:
                return data[offset : offset + count]

            base = number * SIZE
            for found in scan.scan(read, FIRST_OFFSET, len(data), fast_scan.within(base)):
                assert not isinstance(found, scan.Gap)
                index.apply(base + found[0], found[1])
                left += 1
        self.assertEqual(index.values, expected)
        # An entry or its message may be at the border of two blocks.
        self.assertLessEqual(left, 2 * len(blocks.numbers))
