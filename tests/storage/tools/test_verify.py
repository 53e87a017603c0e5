"""Verification: each fault is named with its file and offset, and nothing else is."""

import os
import re
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import (
    FILE_HEADER,
    FIRST_OFFSET,
    pack_entry,
    pack_message,
    pack_record,
)
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.fakes.world import Lines
from tests.storage.support import APPID, im, open_store, save, to_group, to_users

VECTORS = Path(__file__).parents[2] / "vectors" / "storage"
SMALL = 4096


def row(*numbers: int) -> bytes:
    """Return the body of a queue record."""
    return b"".join(number.to_bytes(8, "big", signed=True) for number in numbers)


class VerifyCase(SynchronousTestCase):
    """Has a directory to verify."""

    size = 128 << 20

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir()
        self.block = self.root / "message_0"
        self.block.write_bytes(FILE_HEADER)

    def add(self, record: bytes, number: int = 0) -> int:
        """Append a record. Return its id."""
        with open(self.root / f"message_{number}", "ab") as file:
            at = file.tell()
            file.write(record)
        return number * self.size + at

    def entry(
        self,
        msgid: int,
        seq: int,
        prev: int,
        peer: int | None = None,
        batch: int = 0,
        owner: int = 101,
        flag: int = 0,
        kind: int = USERS,
    ) -> int:
        """Append a queue record. Return its id."""
        peer = prev if peer is None else peer
        return self.add(pack_entry(kind, APPID, owner, msgid, 11, seq, prev, peer, batch, flag))

    def message(self, content: str = "hello") -> int:
        """Append a message. Return its id."""
        return self.add(pack_message(4, im(102, 101, content)))

    def pair(self, seq: int, prev: int, **more: int) -> int:
        """Append a message and its entry. Return the entry's id."""
        return self.entry(self.message(), seq, prev, **more)

    def verify(self, root: str | Path | None = None) -> tuple[list[str], Verification]:
        """Return the findings, without the directory's name."""
        with ReadOnlyFolder(str(root or self.root), self.size) as folder:
            done: list[int] = []
            verification = Verification(folder, done.append)
            lines = [str(finding) for finding in verification.findings()]
            self.assertEqual(done, sorted(done))
            self.assertEqual(verification.found, len(lines))
            self.assertLessEqual(max(done, default=0), folder.total)
        return [line.removeprefix(f"{root or self.root}/") for line in lines], verification

    def finds(self, *lines: str) -> Verification:
        """Check that these are the findings."""
        found, verification = self.verify()
        self.assertEqual(found, list(lines))
        return verification

    def change(self, at: int, data: bytes) -> None:
        """Overwrite a place of the block."""
        whole = bytearray(self.block.read_bytes())
        whole[at : at + len(data)] = data
        self.block.write_bytes(whole)


class SoundTests(VerifyCase):
    """Sound directories have no findings."""

    def test_what_the_go_server_wrote(self) -> None:
        """Directories of both versions of the Go server are sound."""
        for case, kinds in (("seed", (254, 252)), ("master", (248, 247)), ("master_noindex", ())):
            found, verification = self.verify(VECTORS / case)
            self.assertEqual(found, [])
            self.assertEqual((verification.messages, verification.queues), (25, 5))
            for kind in kinds:
                self.assertGreater(verification.kinds[kind], 0)

    def test_what_we_write(self) -> None:
        """Several blocks, long queues, all kinds of queues and restarts are sound."""
        self.size = 64 << 10
        store = open_store(str(self.root), block_size=self.size)
        for turn in range(3):
            for n in range(400):
                save(store, to_users(101, 102), to_users(103, cmd=8), to_users(102, 102))
                save(store, to_group(500), to_users(*range(200, 203), cmd=8 if n % 3 else 4))
            store.close()
            store = open_store(str(self.root), block_size=self.size)
            self.addCleanup(store.close)
            self.assertEqual(len(store.blocks.numbers) > turn, True)
        store.close()
        verification = self.finds()
        self.assertEqual(verification.messages, 6000)
        self.assertEqual(verification.queues, 7)
        self.assertEqual(verification.kinds[247], 1200)
        self.assertEqual(verification.kinds[248], 1200 * 7)

    def test_a_seeds_directory_that_we_went_on_with(self) -> None:
        """Entries without a seq, continued by entries with one, are sound."""
        self.block.write_bytes((VECTORS / "seed" / "message_0").read_bytes())
        store = open_store(str(self.root))
        save(store, to_users(101, 102), to_group(500), to_users(101), to_group(500))
        store.close()
        self.finds()

    def test_all_layouts_in_one_chain(self) -> None:
        """254 with 32 and 40 bytes, 250, 249 and 248 in one chain are sound; so are 252 and 247."""
        m, appid = self.message, APPID
        a = self.add(pack_record(254, 0, 0, row(appid, 101, m(), 0)))
        b = self.add(pack_record(254, 0, 0, row(appid, 101, m(), 11, a)))
        c = self.add(pack_record(250, 0, 4, row(appid, 101, m(), 11, b, b)))
        d = self.add(pack_record(249, 0, 0, row(appid, 101, m(), 11, c, b, 0)))
        e = self.pair(1, d)
        self.pair(2, e)
        a = self.add(pack_record(252, 0, 0, row(appid, 0, m(), 500, 0)))
        b = self.add(pack_record(252, 0, 0, row(appid, 0, m(), 500, 11, a)))
        c = self.entry(m(), 1, b, peer=0, owner=500, kind=SUPER_GROUPS)
        self.entry(m(), 2, c, peer=0, owner=500, kind=SUPER_GROUPS)
        self.assertEqual(self.finds().queues, 2)

    def test_obsolete_and_unknown_records(self) -> None:
        """Obsolete and unknown records are skipped."""
        self.add(pack_record(253, 0, 0, bytes(40)))
        self.add(pack_record(9, 1, 0, b""))
        self.add(pack_record(199, 1, 0, b"?"))
        self.assertEqual(self.finds().messages, 2)

    def test_the_oldest_blocks_were_removed(self) -> None:
        """Queues that end where old blocks were removed are sound."""
        self.size = SMALL
        store = open_store(str(self.root), block_size=SMALL)
        for _ in range(100):
            save(store, to_users(101, 102), to_users(101, cmd=8), to_group(500))
        store.close()
        for number in range(3):
            (self.root / f"message_{number}").unlink()
        self.finds()

    def test_one_body_for_many(self) -> None:
        """One body for many queues, and an entry far from its message, are sound."""
        m = self.message()
        self.entry(m, 1, 0)
        self.message()
        self.entry(m, 1, 0, owner=102)
        self.finds()

    def test_the_figures(self) -> None:
        """The figures are the blocks, kinds, messages and queues."""
        self.pair(2, self.pair(1, 0))
        verification = self.finds()
        self.assertEqual((verification.kinds[4], verification.kinds[248]), (2, 2))
        self.assertEqual((verification.messages, verification.queues), (2, 1))


class DamageTests(VerifyCase):
    """Bytes that are not a sound record."""

    def setUp(self) -> None:
        super().setUp()
        self.first = self.pair(1, 0)
        self.hurt = self.message("x" * 100)
        self.behind = self.pair(2, self.first)

    def test_a_header(self) -> None:
        """A damaged header of a block is a finding."""
        self.change(4, b"\x09")
        self.finds("message_0:0: the header is not that of a block")

    def test_a_torn_end(self) -> None:
        """Any part of a record at the end is a torn end."""
        end = self.block.stat().st_size
        whole = pack_message(4, im(1, 2, "torn"))
        for count in range(1, len(whole)):
            os.truncate(self.block, end)
            self.add(whole[:count])
            what = f"a record of {len(whole)} bytes reaches beyond the end"
            if count < 16:
                what = "too short for a record"
            verification = self.finds(f"message_0:{end}: torn end, {count} bytes: {what}")
            self.assertEqual(verification.torn, [(0, end, count)])

    def test_garbage_at_the_end(self) -> None:
        """Zeros at the end, as a file system leaves them, are a torn end."""
        end = self.add(bytes(300))
        self.finds(f"message_0:{end}: torn end, 300 bytes: no record begins here")

    def test_a_checksum(self) -> None:
        """One wrong bit of a body is a finding."""
        self.change(self.hurt + 50, b"y")
        (line,), _ = self.verify()
        self.assertRegex(
            line,
            rf"^message_0:{self.hurt}: the checksum is \w{{8}}, the body has \w{{8}};"
            r" 144 bytes skipped$",
        )

    def test_a_checksum_of_the_last_record(self) -> None:
        """A wrong checksum of the last record is not a torn end: nothing is to be cut off."""
        self.change(self.behind + 30, b"y")
        (line,), verification = self.verify()
        self.assertIn(f"message_0:{self.behind}: the checksum", line)
        self.assertEqual(verification.torn, [])

    def test_a_length(self) -> None:
        """An impossible length and a wrong length are findings."""
        self.change(self.hurt + 4, b"\x7f")
        what = "a length of 2130706556 cannot be; 144 bytes skipped"
        self.finds(f"message_0:{self.hurt}: {what}")
        self.change(self.hurt + 4, b"\x00\x00\x00\x7d")
        what = "no record ends where the length 125 says; 144 bytes skipped"
        self.finds(f"message_0:{self.hurt}: {what}")

    def test_magics(self) -> None:
        """Damage of the first and of the last magic is a finding."""
        self.change(self.hurt, b"X")
        self.finds(f"message_0:{self.hurt}: no record begins here; 144 bytes skipped")
        self.change(self.hurt, b"I")
        self.change(self.hurt + 143, b"X")
        (line,), _ = self.verify()
        what = "no record ends where the length 124 says"
        self.assertIn(f"message_0:{self.hurt}: {what}", line)

    def test_a_queue_record_of_another_length(self) -> None:
        """A queue record of another length is damage."""
        at = self.add(pack_record(248, 0, 0, bytes(56)))
        self.finds(f"message_0:{at}: a queue record 248 cannot have 56 bytes; 76 bytes skipped")

    def test_an_entry_of_nothing(self) -> None:
        """An entry of no message is a finding."""
        os.truncate(self.block, FIRST_OFFSET)
        at = self.entry(0, 1, 0)
        self.finds(f"message_0:{at}: entry of user 7:101: message 0 cannot be")

    def test_a_queue_record_of_no_layout(self) -> None:
        """A damaged command that makes an entry an older one of an impossible length is damage."""
        msgid = self.message()
        for cmd in (254, 252, 250, 249):
            at = self.add(pack_record(cmd, 0, 0, row(APPID, 101, msgid, 11, 1, 0, 0, 0)))
            with self.subTest(cmd):
                self.finds(
                    f"message_0:{at}: a queue record {cmd} cannot have 64 bytes; 84 bytes skipped"
                )
            os.truncate(self.block, at)

    def test_a_damaged_entry(self) -> None:
        """Only a damaged entry and the entry that points to it are findings."""
        third = self.pair(3, self.behind)
        self.pair(4, third)
        self.change(self.behind + 30, b"y")
        lines, _ = self.verify()
        self.assertEqual(len(lines), 2)
        self.assertIn(f"message_0:{self.behind}: the checksum", lines[0])
        first, behind = self.first, self.behind
        self.assertEqual(
            lines[1],
            f"message_0:{third}: entry of user 7:101:"
            f" prev {behind} is no queue record, the entry before is {first};"
            f" prev_peer is {behind}, not {first}; seq is 3, not 2",
        )

    def test_a_damaged_message(self) -> None:
        """Only a damaged message and its entry are findings."""
        msgid = self.behind - 49
        self.change(msgid + 20, b"y")
        lines, _ = self.verify()
        self.assertIn(f"message_0:{msgid}: the checksum", lines[0])
        what = f"entry of user 7:101: message {msgid} is missing or damaged"
        self.assertEqual(lines[1:], [f"message_0:{self.behind}: {what}"])


class FileTests(VerifyCase):
    """Faults of the files."""

    size = SMALL

    def fill(self) -> None:
        """Fill several blocks with messages."""
        store = open_store(str(self.root), block_size=SMALL)
        for _ in range(60):
            save(store, to_users(101, 102))
        store.close()

    def test_a_missing_block(self) -> None:
        """A missing block is one finding, and not one per entry that points into it."""
        self.fill()
        (self.root / "message_1").unlink()
        self.finds("message_1:0: the block is missing")

    def test_many_missing_blocks(self) -> None:
        """Many missing blocks are one finding: a copy named with a date leaves a large hole."""
        (self.root / "message_20260131").write_bytes(FILE_HEADER)
        self.finds("message_1:0: blocks up to 20260130 are missing")

    def test_a_file_that_is_too_long(self) -> None:
        """Bytes after the largest length of a block are one finding, and are not read."""
        self.add(pack_message(4, bytes(SMALL - 32 - 20)))
        self.finds()
        self.add(b"behind")
        self.finds(f"message_0:{SMALL}: 6 bytes behind the end that a block can have")

    def test_a_file_that_is_too_short(self) -> None:
        """A file without a whole header is a torn end."""
        self.fill()
        (self.root / "message_9").write_bytes(b"IMIM")
        lines, verification = self.verify()
        self.assertEqual(lines[-1], "message_9:0: torn end, 4 bytes: too short for a header")
        self.assertEqual(verification.torn, [(9, 0, 4)])

    def test_a_torn_end_of_an_older_block(self) -> None:
        """A torn end of an older block is reported with the name of its file."""
        self.fill()
        length = self.block.stat().st_size
        self.add(b"IMIM")
        what = f"message_0:{length}: torn end, 4 bytes: too short for a record"
        self.assertEqual(self.finds(what).torn, [(0, length, 4)])

    def test_what_is_no_directory_of_storage(self) -> None:
        """A folder without blocks is an error, not an empty result."""
        self.block.unlink()
        with self.assertRaisesRegex(StorageError, "there is no message_N in it"):
            ReadOnlyFolder(str(self.root))
        self.assertRaises(FileNotFoundError, ReadOnlyFolder, str(self.root / "nowhere"))


class RandomDamageTests(VerifyCase):
    """Random damage of the bytes."""

    size = SMALL

    def test_it(self) -> None:
        """Verification finds what the daemon finds at its start, and then what stays after that."""
        self.damaged = self.torn = 0
        for seed in range(60):
            random = Random(seed)
            self.block.write_bytes(FILE_HEADER)
            store = open_store(str(self.root), block_size=SMALL)
            for _ in range(20):
                content = im(1, 2, "IMIM" * random.randrange(20))
                save(store, to_users(101, 102, body=content), to_group(500, content))
            store.close()
            blocks = sorted(self.root.glob("message_*"))
            for _ in range(random.randrange(1, 4)):
                block = random.choice(blocks)
                data = bytearray(block.read_bytes())
                at = random.randrange(32, len(data))
                if random.random() < 0.3 and block == max(blocks, key=lambda b: int(b.name[8:])):
                    del data[at:]
                else:
                    data[at] ^= 1 << random.randrange(8)
                block.write_bytes(data)
            self.agrees(seed)
            for path in self.root.iterdir():
                path.unlink()
        self.assertGreater(self.damaged, 40)
        self.assertGreater(self.torn, 5)

    def agrees(self, seed: int) -> None:
        """Check that the daemon reports the same places."""
        lines, verification = self.verify()
        log = Lines()
        open_store(str(self.root), block_size=SMALL, log=log).close()
        logged = "\n".join(log.of("warn", "error"))
        damage = {f"{number}:{at}" for number, at in re.findall(r"_(\d+): damage at (\d+)", logged)}
        torn = {f"{number}:{at}" for number, at in re.findall(r"torn_(\d+)_(\d+)", logged)}
        self.damaged += len(damage)
        self.torn += len(torn)
        places = {line.split(": ")[0].removeprefix("message_") for line in lines}
        self.assertEqual((damage | torn) - places, set(), f"seed {seed}: {lines}\n{logged}")
        newest = max(int(path.name[8:]) for path in self.root.glob("message_*"))
        found = {f"{number}:{at}" for number, at, _ in verification.torn if number == newest}
        self.assertEqual(found, torn, f"seed {seed}")
        again, _ = self.verify()
        self.assertEqual(len(again), len(lines) - len(torn), f"seed {seed}")


class InUseTests(VerifyCase):
    """A directory that a daemon uses."""

    def setUp(self) -> None:
        super().setUp()
        self.store = open_store(str(self.root))
        self.addCleanup(self.store.close)
        save(self.store, to_users(101, 102))

    def test_an_unfinished_write(self) -> None:
        """An unfinished write is not a finding, and is counted."""
        self.add(b"IMIM\x00\x00")
        self.assertEqual(self.finds().in_flux, 6)
        self.store.close()
        (line,), verification = self.verify()
        self.assertIn("torn end, 6 bytes", line)
        self.assertEqual(verification.in_flux, 0)

    def test_a_block_that_is_just_begun(self) -> None:
        """A block that is just begun is not a finding, and is counted."""
        (self.root / "message_1").write_bytes(b"IMI")
        self.assertEqual(self.finds().in_flux, 3)

    def test_damage_before_the_end(self) -> None:
        """Damage before the end is a finding all the same."""
        self.change(32 + 17, b"?")
        lines, _ = self.verify()
        self.assertIn("message_0:32: the checksum", lines[0])

    def test_what_comes_meanwhile(self) -> None:
        """Records that are written meanwhile are not read."""
        with ReadOnlyFolder(str(self.root)) as folder:
            verification = Verification(folder, lambda done: None)
            save(self.store, to_users(101, 102))
            self.assertEqual(list(verification.findings()), [])
        self.assertEqual(verification.messages, 1)

    def test_nothing_is_written(self) -> None:
        """Verification writes nothing, in a directory in use or not."""
        self.store.close()
        (self.root / "lock").unlink()
        self.add(b"IMIM")
        before = {path.name: path.read_bytes() for path in self.root.iterdir()}
        for path in self.root.iterdir():
            path.chmod(0o444)
        self.verify()
        self.assertEqual({path.name: path.read_bytes() for path in self.root.iterdir()}, before)
