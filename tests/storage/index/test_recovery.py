"""The start: torn ends are cut off, damage is skipped, and nothing else is lost."""

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import User
from gobelieve.storage.format.records import (
    FILE_HEADER,
    FIRST_OFFSET,
    HEAD,
    MAGIC,
    pack_entry,
    pack_message,
    read_entry,
)
from gobelieve.storage.index.scan import CHUNK_BYTES
from gobelieve.storage.queues.store import Store
from gobelieve.storage.tools.walk import Damage, walk
from gobelieve.wire.storage import USERS
from tests.fakes.world import Lines, world
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
    with_checksum_of,
)

ALICE, BOB, EVE = User(APPID, 101), User(APPID, 102), User(APPID, 9)
FORGED = pack_message(4, b"forged") + pack_entry(USERS, APPID, 9, FIRST_OFFSET, 0, 1, 0, 0, 0, 0)


def forging_body() -> bytes:
    """Return a body that has forged records, and whose first bytes have the checksum of the whole.

    If the forged records were believed, EVE would read the first message.
    """
    return with_checksum_of(b"start", b"start" + MAGIC + FORGED * 3 + MAGIC * 20)


def forged_ends(body: bytes) -> list[int]:
    """Return the lengths at which the beginning of `forging_body` ends with a forged record."""
    ends = [len(b"start" + MAGIC)]
    for _ in range(3):
        ends += [ends[-1] + len(FORGED) - 84, ends[-1] + len(FORGED)]
    return ends


class RecoveryCase(SynchronousTestCase):
    """A directory, and reads of it after it was opened again."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.log = Lines()

    def write(self, *messages: bytes) -> tuple[list[int], list[int]]:
        """Save messages from Alice to Bob.

        Return their ids and the offsets where each save begins.
        """
        store = open_store(str(self.root))
        saved = save(store, *(to_users(102, 101, body=body) for body in messages))
        end = store.blocks.end[1]
        store.close()
        return ids(saved), [*ids(saved), end]

    def block(self, number: int = 0) -> Path:
        return self.root / f"message_{number}"

    def reopen(self) -> Store:
        self.log = Lines()
        store = open_store(str(self.root), log=self.log)
        self.addCleanup(store.close)
        return store

    def read(self, store: Store, user: User = BOB) -> list[bytes]:
        return bodies(store.reader.fetch(user, 0, 3000))

    def damage(self, offset: int, data: bytes) -> None:
        with self.block().open("r+b") as file:
            file.seek(offset)
            file.write(data)


class TornTailTests(RecoveryCase):
    """A write that was cut short when the machine went down."""

    def test_cut_at_every_byte(self) -> None:
        """Wherever the last save was torn, the saves before are whole and the rest is kept."""
        _, offsets = self.write(b"one", b"IMIM two IMIMIMIM", b"three")
        whole = self.block().read_bytes()
        for length in range(offsets[1], len(whole) + 1):
            self.block().write_bytes(whole[:length])
            store = open_store(str(self.root), log=self.log)
            found = self.read(store)
            end = self.block().stat().st_size
            complete = [o for o in offsets[1:] if o <= length]
            expected = [b"one", b"IMIM two IMIMIMIM", b"three"]
            # Bob's entry is written before Alice's, and may be complete where hers is not.
            self.assertIn(len(found) - len(complete), (0, 1))
            self.assertEqual(found, expected[: len(found)])
            self.assertEqual(len(self.read(store, ALICE)), len(complete))
            aside = [name for name in os.listdir(self.root) if name.startswith("torn_")]
            self.assertEqual(bool(aside), end < length)
            for name in aside:
                self.assertEqual((self.root / name).read_bytes(), whole[end:length])
                (self.root / name).unlink()
            # The next save follows, and is found at the next start.
            save(store, to_users(102, body=b"after"))
            store.close()
            store = open_store(str(self.root), log=self.log)
            self.assertEqual(self.read(store), [*found, b"after"])
            store.close()

    def test_reported(self) -> None:
        """The log says how many bytes were cut off, and which file keeps them."""
        _, offsets = self.write(b"one", b"two")
        os.truncate(self.block(), offsets[1] + 5)
        self.reopen()
        self.assertEqual(
            self.log.of("warn", "error"),
            [
                f"{self.block()}: a torn write of 5 bytes was cut off "
                f"and kept in {self.root}/torn_0_{offsets[1]}"
            ],
        )

    def test_full_disk(self) -> None:
        """On a full disk a torn write is cut off without being kept, and the daemon starts."""
        _, offsets = self.write(b"one", b"two")
        for room in (0, 3):
            os.truncate(self.block(), offsets[1] + 5)
            disk = BadDisk()
            disk.room = room
            log = Lines()
            store = open_store(str(self.root), files=disk, log=log)
            self.assertEqual(self.read(store), [b"one"])
            store.close()
            self.assertEqual(
                log.of("warn", "error"),
                [
                    f"{self.block()}: a torn write of 5 bytes was cut off, "
                    "there is no space to keep it"
                ],
            )
            self.assertEqual(sorted({*os.listdir(self.root)} - {"durable"}), ["lock", "message_0"])
            self.assertEqual(disk.opened, set())

    def test_disk_that_keeps_nothing(self) -> None:
        """If keeping the torn bytes fails, nothing is cut off, and no half of a copy is left."""
        _, offsets = self.write(b"one", b"two")
        os.truncate(self.block(), offsets[1] + 5)
        for call in ("pwrite", "fsync"):
            disk = BadDisk()
            setattr(disk, call, disk.fails)
            error = self.assertRaises(StorageError, open_store, str(self.root), files=disk)
            self.assertEqual(str(error), f"{self.root}: Input/output error")
            self.assertEqual(sorted({*os.listdir(self.root)} - {"durable"}), ["lock", "message_0"])
            self.assertEqual(self.block().stat().st_size, offsets[1] + 5)
            self.assertEqual(disk.opened, set())

    def test_header_that_was_torn_too(self) -> None:
        """A newest block of zeros gets its header again, and the next start reports nothing."""
        self.write(b"one")
        self.block(1).write_bytes(bytes(4096))
        self.reopen().close()
        self.assertEqual(self.block(1).read_bytes(), FILE_HEADER)
        store = self.reopen()
        self.assertEqual(self.log.of("warn", "error"), [])
        save(store, to_users(102, body=b"two"))
        self.assertEqual(self.read(store), [b"one", b"two"])

    def test_twice_at_one_place(self) -> None:
        """A second torn write at the same place does not replace the file of the first one."""
        _, offsets = self.write(b"one")
        for _ in range(2):
            with self.block().open("ab") as file:
                file.write(b"IMIM\0\0")
            self.reopen().close()
        names = {f"torn_0_{offsets[1]}", f"torn_0_{offsets[1]}.1"}
        self.assertLessEqual(names, set(os.listdir(self.root)))

    def test_zeros(self) -> None:
        """Zeros at the end, as file systems leave them, are a torn write too."""
        self.write(b"one")
        with self.block().open("ab") as file:
            file.write(bytes(5000))
        self.assertEqual(self.read(self.reopen()), [b"one"])
        self.assertIn("5000 bytes was cut off", self.log.of("warn")[0])

    def test_records_inside_a_torn_message(self) -> None:
        """Bytes of a user that look like records do not become records when the write is torn."""
        forged = pack_entry(USERS, APPID, 102, FIRST_OFFSET, 0, 9, 0, 0, 0, 0)
        forged += pack_message(4, b"forged")
        _, offsets = self.write(b"one", forged * 3 + b"more")
        os.truncate(self.block(), offsets[1] + 16 + 3 * len(forged))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one"])
        self.assertEqual(store.reader.count_new(BOB, 0), 1)

    def test_forged_end_inside_a_torn_message(self) -> None:
        """A torn message does not end where a part of it has the checksum of the whole."""
        body = forging_body()
        _, offsets = self.write(b"one", body)
        whole = self.block().read_bytes()
        begin = offsets[1] + 16
        # Not where a forged record ends: a torn write that ends there too looks the same.
        ends = [begin + length for length in forged_ends(body)]
        for length in (n for n in range(begin, begin + len(body) + 4) if n not in ends):
            self.block().write_bytes(whole[:length])
            store = self.reopen()
            self.assertEqual(self.read(store), [b"one"], length)
            self.assertEqual(self.read(store, EVE), [], length)
            self.assertEqual(self.block().stat().st_size, offsets[1])
            store.close()

    def test_many_chunks(self) -> None:
        """A block that is longer than one read is read without a gap."""
        messages = [bytes([n]) * (n * 997 % 32768) for n in range(256)]
        self.write(*messages)
        self.assertGreater(self.block().stat().st_size, 3 * CHUNK_BYTES)
        self.assertEqual(self.read(self.reopen()), messages)
        self.assertEqual(self.log.of("warn", "error"), [])

    def test_short_newest_file(self) -> None:
        """A newest file without a whole and right header gets one."""
        self.write(b"one")
        for content in (b"", FILE_HEADER[:9], FILE_HEADER, bytes(FIRST_OFFSET)):
            self.block(1).write_bytes(content)
            store = open_store(str(self.root))
            self.assertEqual(self.block(1).read_bytes(), FILE_HEADER)
            self.assertEqual(self.read(store), [b"one"])
            store.close()


class DamageTests(RecoveryCase):
    """Bytes that changed after they were written."""

    def test_every_byte(self) -> None:
        """If any byte of a message's record is damaged, all other messages are read."""
        _, offsets = self.write(b"one", b"two", b"three")
        whole = self.block().read_bytes()
        end = offsets[1] + len(pack_message(4, b"two"))
        # Not the bytes that the checksum does not cover: cmd, version, flag, reserved.
        places = [p for p in range(offsets[1], end) if not 12 <= p - offsets[1] < 16]
        for place in places:
            damaged = bytearray(whole)
            damaged[place] ^= 0xFF
            self.block().write_bytes(damaged)
            store = open_store(str(self.root), log=self.log)
            self.assertEqual(self.read(store), [b"one", b"three"], place)
            self.assertEqual(self.read(store, ALICE), [b"one", b"three"], place)
            self.assertEqual(self.block().read_bytes(), bytes(damaged))
            store.close()

    def test_reported(self) -> None:
        """The log has the place and the length of the damage."""
        _, offsets = self.write(b"one", b"two", b"three")
        self.damage(offsets[1] + 17, b"\xff")
        self.reopen()
        what = f"{self.block()}: damage at {offsets[1]}, 23 bytes skipped"
        self.assertEqual(self.log.of("error"), [what])

    def test_damaged_entry(self) -> None:
        """A damaged queue record hides its message from that queue, and no other message."""
        _, offsets = self.write(b"one", b"two", b"three", b"four")
        self.damage(offsets[1] + 23 + 20, b"\xff\xff")
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three", b"four"])
        self.assertEqual(self.read(store, ALICE), [b"one", b"two", b"three", b"four"])
        self.assertEqual(bodies(store.reader.fetch_latest(BOB, 10)), [b"one", b"three", b"four"])
        self.assertEqual(store.reader.count_new(BOB, 0), 3)

    def test_damaged_length(self) -> None:
        """If the length of a record is wrong, its end is found by its checksum."""
        for length in (0, 2, 4, 200, 30000, 0x7FFFFFFF, -1):
            _, offsets = self.write(b"one", b"two", b"three")
            self.damage(offsets[1] + 4, length.to_bytes(4, "big", signed=True))
            store = self.reopen()
            self.assertEqual(self.read(store)[-2:], [b"one", b"three"], length)
            self.assertEqual(len(self.log.of("warn")), 0, "nothing was cut off")
            store.close()
            self.block().unlink()

    def test_damaged_length_of_the_last(self) -> None:
        """The last record is found too, although its wrong length makes it look torn."""
        _, offsets = self.write(b"one", b"two")
        last = offsets[2] - 84
        self.damage(last + 4, (30000).to_bytes(4, "big"))
        store = self.reopen()
        self.assertEqual(self.block().stat().st_size, offsets[2])
        self.assertEqual(self.read(store), [b"one", b"two"])
        self.assertEqual(self.read(store, ALICE), [b"one"])

    def test_damaged_length_of_an_entry_before_a_torn_end(self) -> None:
        """The length of an entry is known, so nothing after it is taken for a part of it."""
        _, offsets = self.write(b"one", b"two", b"three", b"torn")
        os.truncate(self.block(), offsets[3] + 5)
        self.damage(offsets[1] + 23 + 4, (30000).to_bytes(4, "big"))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three"])
        self.assertEqual(self.read(store, ALICE), [b"one", b"two", b"three"])
        self.assertEqual(self.block().stat().st_size, offsets[3])

    def test_damaged_area(self) -> None:
        """Records after a sector of zeros over several records are found."""
        messages = [b"%d" % n + bytes(50) for n in range(40)]
        _, offsets = self.write(*messages)
        self.damage(offsets[5] + 10, bytes(2048))
        left = self.read(self.reopen())
        gone = sum(offsets[5] <= o < offsets[5] + 10 + 2048 for o in offsets[:-1])
        self.assertEqual(len(left), len(messages) - gone)
        self.assertEqual(left[:5], messages[:5])
        self.assertEqual(left[5:], messages[5 + gone :])

    def test_long_damage(self) -> None:
        """Records after damage that is longer than one read are found."""
        self.write(b"one")
        with self.block().open("ab") as file:
            file.write(MAGIC * (CHUNK_BYTES // 2) + b"x")
            start = file.tell()
        store = open_store(str(self.root))
        store.close()
        # All of that was cut off. Now records follow it.
        self.assertLess(self.block().stat().st_size, start)
        aside = next(self.root.glob("torn_*"))
        with self.block().open("ab") as file:
            file.write(aside.read_bytes())
            msgid = file.tell()
            file.write(pack_message(4, b"two"))
            file.write(pack_entry(USERS, APPID, 102, msgid, 0, 2, 0, 0, 0, 0))
        self.assertEqual(self.read(self.reopen()), [b"one", b"two"])

    def test_records_inside_a_damaged_message(self) -> None:
        """Bytes of a user that look like records do not become records by damage around them."""
        forged = FORGED
        for body in (forged + b"more", forged * 3):
            _, offsets = self.write(b"one", body, b"three")
            whole = self.block().read_bytes()
            end = offsets[1] + len(body) + 20
            for places in ([offsets[1]], [offsets[1] + 16, end]):
                damaged = bytearray(whole)
                for place in places:
                    damaged[place] ^= 0xFF
                self.block().write_bytes(damaged)
                store = self.reopen()
                self.assertEqual(self.read(store), [b"one", b"three"])
                self.assertEqual(self.read(store, User(APPID, 9)), [])
                store.close()
            self.block().unlink()

    def test_forged_end_inside_a_damaged_message(self) -> None:
        """A forged end does not count, whichever part of the message or the next one is damaged."""
        body = forging_body()
        _, offsets = self.write(b"one", body, b"three")
        whole = self.block().read_bytes()
        at, end = offsets[1], offsets[1] + 16 + len(body)
        lengths = [*range(0, len(body), 3), len(body) + 104, 30000, 32768, -1]
        damages = [(at + 4, length.to_bytes(4, "big", signed=True)) for length in lengths]
        damages += [(place, b"\xff") for place in (at, at + 1, end - 5, end, end + 3)]
        damages += [(end - 20, bytes(30)), (end - 20, bytes(24 + 84)), (at + 14, bytes(512))]
        for place, data in damages:
            self.block().write_bytes(whole)
            self.damage(place, data)
            store = self.reopen()
            self.assertEqual(self.read(store), [b"one", b"three"], (place - at, data))
            self.assertEqual(self.read(store, EVE), [], (place - at, data))
            store.close()

    def test_forged_records_that_reach_beyond(self) -> None:
        """A forged record without a checksum does not reach beyond the message that has it."""
        _, offsets = self.write(b"one", b"", b"three")
        entry = self.block().read_bytes()[offsets[1] + 20 : offsets[1] + 104]
        # Its body is the rest of this message, the magic after it, and the entry that follows.
        bridge = HEAD.pack(MAGIC, 4 + 4 + len(entry) - 4, 0, 4, 1, 0, 0)
        body = with_checksum_of(b"start", b"start" + MAGIC + FORGED + bridge)
        self.block().unlink()
        _, offsets = self.write(b"one", body, b"three")
        self.damage(offsets[1] + 16 + len(body), b"\xff")
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three"])
        self.assertEqual(self.read(store, EVE), [])

    def test_lost_mark(self) -> None:
        """A sector of zeros over the checksum mark of a record does not hide the damage."""
        _, offsets = self.write(b"one", bytes(range(256)) * 4, b"three")
        self.damage(offsets[1] + 14, bytes(512))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three"])
        self.assertIn("1044 bytes skipped", self.log.of("error")[0])
        # Verification finds the same.
        data = self.block().read_bytes()
        found = list(walk(lambda count, at: data[at : at + count], FIRST_OFFSET, len(data)))
        wrong = [record for record in found if isinstance(record, Damage)]
        self.assertEqual([damage.gap.start for damage in wrong], [offsets[1]])
        self.assertIn("the checksum is", wrong[0].what)

    def test_records_inside_a_message_behind_a_damaged_end(self) -> None:
        """Forged records do not count after a damaged end, in a message with a damaged head."""
        forged = FORGED
        _, offsets = self.write(b"one", forged * 3, b"three")
        self.damage(offsets[1] - 3, b"\xff")
        self.damage(offsets[1], b"\xff")
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three"])
        self.assertEqual(self.read(store, User(APPID, 9)), [])

    def test_records_inside_a_message_with_zeros(self) -> None:
        """Forged records do not count if zeros cover the message's end and the next record."""
        forged = FORGED
        body = forged * 3 + bytes(100)
        _, offsets = self.write(b"one", body, b"three", b"four")
        self.damage(offsets[1] + 16 + len(forged) * 3, bytes(200))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three", b"four"])
        self.assertEqual(self.read(store, User(APPID, 9)), [])

    def test_two_damages(self) -> None:
        """A message between two damaged heads is found."""
        for offset in range(16):
            _, offsets = self.write(b"one", b"two", b"three")
            # The heads of the second message and of Alice's entry of it. Bob's is between them.
            for start in (offsets[1], offsets[1] + 23 + 84):
                self.damage(start, b"\xff" * (offset + 1))
            store = self.reopen()
            self.assertEqual(self.read(store), [b"one", b"three"])
            self.assertEqual(self.read(store, ALICE), [b"one", b"three"])
            self.assertEqual(store.reader.count_new(BOB, 0), 3)
            store.close()
            self.block().unlink()

    def test_damaged_old_record(self) -> None:
        """Forged records inside a damaged record without a checksum do not count."""
        self.write(b"one")
        forged = FORGED
        old = bytearray(pack_message(4, forged))
        old[15] = 0
        old[0] ^= 0xFF
        with self.block().open("ab") as file:
            file.write(old)
        length = self.block().stat().st_size
        self.reopen().close()
        self.assertEqual(self.block().stat().st_size, length, "damaged, but not torn")
        with self.block().open("ab") as file:
            msgid = file.tell() + len(old)
            file.write(bytes(old) + pack_message(4, b"three"))
            file.write(pack_entry(USERS, APPID, 102, msgid, 0, 2, 0, 0, 0, 0))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"three"])
        self.assertEqual(self.read(store, User(APPID, 9)), [])

    def test_old_block(self) -> None:
        """Nothing is cut off a block that is not the newest."""
        self.write(b"one")
        torn = self.block().read_bytes() + b"IMIM\0\0\0"
        self.block().write_bytes(torn)
        self.block(1).write_bytes(FILE_HEADER)
        self.assertEqual(self.read(self.reopen()), [b"one"])
        self.assertEqual(self.block().read_bytes(), torn)
        self.assertIn("7 bytes skipped", self.log.of("error")[0])

    def test_entry_of_nothing(self) -> None:
        """A queue record that points behind itself, or to no place, is not believed."""
        _, offsets = self.write(b"one")
        with self.block().open("ab") as file:
            for msgid in (0, -5, offsets[1] + 5000):
                file.write(pack_entry(USERS, APPID, 102, msgid, 0, 2, 0, 0, 0, 0))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one"])
        self.assertEqual(store.reader.count_new(BOB, 0), 1)

    def test_running(self) -> None:
        """A message that is damaged while the daemon runs is skipped, and logged once."""
        msgids, offsets = self.write(b"one", b"two", b"three")
        store = self.reopen()
        self.damage(offsets[1] + 17, b"\xff")
        for _ in range(2):
            page = store.reader.fetch(BOB, 0, 3000)
            self.assertEqual(bodies(page), [b"one", b"three"])
        self.assertEqual(
            self.log.of("error"), [f"the record at id {msgids[1]} is damaged and skipped"]
        )
        # A page that ends with the damaged message reaches beyond it.
        self.assertEqual(store.reader.fetch(BOB, msgids[0], 1).last, msgids[1])
        # A page of an unreadable queue does too, so that no client asks for ever.
        self.damage(offsets[2] + 25 + 20, b"\xff")
        self.assertEqual(store.reader.fetch(BOB, 0, 9), (msgids[2], msgids[2], False, []))

    def test_pointers_that_lead_in_circles(self) -> None:
        """An entry that points to itself or to a later one is the oldest of its queue."""
        self.write(b"one")
        for ahead in (0, 104, 5000):
            with self.block().open("ab") as file:
                msgid = file.tell()
                file.write(pack_message(4, b""))
                at = msgid + 20
                to = at + ahead
                file.write(pack_entry(USERS, APPID, 900 + ahead, msgid, 0, 1, to, to, to, 0))
                file.write(pack_message(4, b""))
                file.write(pack_entry(USERS, APPID, 900 + ahead, at + 84, 0, 2, at, at, to, 0))
            store = self.reopen()
            user = User(APPID, 900 + ahead)
            self.assertEqual(len(store.reader.fetch(user, 0, 9).messages), 2)
            self.assertEqual(len(store.reader.fetch_latest(user, 9).messages), 2)
            self.assertEqual(store.reader.count_new(user, 0), 2)
            store.close()

    def test_new_chain(self) -> None:
        """If a daemon lost its index and began a chain anew, both parts are read."""
        self.write(b"one", b"two")
        with self.block().open("ab") as file:
            msgid = file.tell()
            file.write(pack_message(4, b"three"))
            file.write(pack_entry(USERS, APPID, 102, msgid, 0, 1, 0, 0, 0, 0))
        store = self.reopen()
        self.assertEqual(self.read(store), [b"one", b"two", b"three"])
        self.assertEqual(store.reader.count_new(BOB, 0), 3)


class Ticking(Clock):
    """A clock that advances whenever it is read, as with a slow disk."""

    def seconds(self) -> float:
        self.rightNow += 1.5
        return self.rightNow


class ProgressTests(RecoveryCase):
    """The log tells an operator the progress of a long start."""

    def start(self, time: Clock) -> list[str]:
        self.log = Lines()
        store = Store(str(self.root), world=world(time=time, log=self.log), files=QuickFiles())
        store.open()
        store.close()
        return self.log.of("info")[:-1]

    def test_a_slow_one(self) -> None:
        """The log says at once how much there is, and every two seconds how far the reading is."""
        store = open_store(str(self.root))
        for _ in range(150):
            store.append(to_users(101, 102, body=bytes(32_000)))
        store.flush()
        store.close()
        begin, *lines = self.start(Ticking())
        why = "there is no snapshot of the index"
        self.assertEqual(begin, f"{self.root}: {why}; all blocks are read, 4 MB")
        self.assertEqual(
            lines,
            [
                f"{self.root}: 2 of 4 MB are read, 43 %",
                f"{self.root}: 4 of 4 MB are read, 86 %",
            ],
        )

    def test_a_quick_one(self) -> None:
        """A start that ends within two seconds logs no progress."""
        self.write(b"one")
        self.assertEqual(len(self.start(Clock())), 1)


class FolderTests(RecoveryCase):
    """The directory itself is made, locked and checked."""

    def test_made(self) -> None:
        """A missing directory is made with its parents and a first block."""
        self.root = self.root / "deep" / "er"
        self.reopen()
        self.assertEqual(self.block().read_bytes(), FILE_HEADER)
        self.assertEqual(self.block().stat().st_mode & 0o777, 0o644)

    def test_made_durably(self) -> None:
        """The parents of a new directory are synced, and so is the directory itself."""
        disk = BadDisk()
        open_store(str(self.root / "deep" / "er"), files=disk).close()
        made = self.root.absolute()
        folders = [str(p) for p in (made / "deep", made, made.parent, self.root / "deep" / "er")]
        # The directory is synced for its block, and for its mark.
        self.assertEqual(disk.folders, [*folders, folders[-1]])
        disk.folders.clear()
        open_store(str(self.root / "deep" / "er"), files=disk).close()
        self.assertEqual(disk.folders, folders[-1:] * 2)

    def test_second_daemon(self) -> None:
        """A directory in use is refused. It is free again when the first daemon closes it."""
        store = open_store(str(self.root))
        error = self.assertRaises(StorageError, open_store, str(self.root))
        self.assertEqual(str(error), f"{self.root} is in use by another daemon")
        save(store, to_users(102))
        store.close()
        self.assertEqual(len(self.read(self.reopen())), 1)

    def test_no_directory(self) -> None:
        """The error for a directory that cannot be opened names it."""
        self.root.write_text("a file")
        error = self.assertRaises(StorageError, open_store, str(self.root / "under"))
        self.assertIn(str(self.root / "under"), str(error))

    def test_a_header_of_zeros_is_written_again(self) -> None:
        """A power cut may leave zeros where the header was. What follows is read as before."""
        self.write(b"one")
        content = self.block().read_bytes()
        self.block().write_bytes(bytes(FIRST_OFFSET) + content[FIRST_OFFSET:])
        self.assertEqual(self.read(self.reopen()), [b"one"])
        self.assertEqual(self.log.of("warn"), [])
        self.assertEqual(self.block().read_bytes(), content)

    def test_unreadable(self) -> None:
        """The error for a block that cannot be read names it."""
        self.write(b"one")
        disk = BadDisk()
        disk.unreadable = True
        error = self.assertRaises(StorageError, open_store, str(self.root), files=disk)
        self.assertEqual(str(error), f"{self.block()}: Input/output error")

    def test_unknown_files(self) -> None:
        """Unknown files are ignored with a warning, the Go server's indexes without one."""
        self.write(b"one")
        for name in ("message_0.bak", "message_", "message_01", "notes", "peer_index.v3"):
            (self.root / name).write_text("x")
        self.assertEqual(self.read(self.reopen()), [b"one"])
        self.assertEqual(
            self.log.of("warn", "error"),
            [f"{self.root}: not ours, ignored: message_, message_0.bak, message_01, notes"],
        )

    def test_number_too_high(self) -> None:
        """A file with a number that no id can have is not taken for the newest block."""
        self.write(b"one")
        # A copy with a date, and the first number that does not fit in an id.
        names = ["message_20240101120000", f"message_{1 << 36}"]
        for name in names:
            (self.root / name).write_bytes(b"")
        store = self.reopen()
        self.assertEqual(
            self.log.of("warn", "error"), [f"{self.root}: not ours, ignored: {', '.join(names)}"]
        )
        save(store, to_users(102, body=b"two"))
        self.assertEqual(self.read(store), [b"one", b"two"])

    def test_foreign_header(self) -> None:
        """A block with a damaged header is read, with a warning."""
        self.write(b"one")
        self.damage(0, b"?" * FIRST_OFFSET)
        self.assertEqual(self.read(self.reopen()), [b"one"])
        self.assertEqual(self.log.of("warn"), [f"{self.block()} does not begin as a block does"])

    def test_oversized_block(self) -> None:
        """A block that is too long is read as far as ids reach, and is not cut."""
        store = open_store(str(self.root), block_size=400)
        save(store, to_group(500), to_group(500))
        store.close()
        with self.block().open("ab") as file:
            file.write(bytes(1000))
        length = self.block().stat().st_size
        store = open_store(str(self.root), block_size=400, log=self.log)
        self.addCleanup(store.close)
        self.assertEqual(len(store.reader.fetch_group(User(APPID, 500), 0, 0, 10).messages), 2)
        self.assertEqual(self.block().stat().st_size, length)
        save(store, to_group(500))
        self.assertTrue(self.block(1).exists())
        self.assertEqual(len(store.reader.fetch_group(User(APPID, 500), 0, 0, 10).messages), 3)

    def test_removed_block_of_the_last_peer_message(self) -> None:
        """An ordinary group's message still links to the last peer message in a removed block."""
        group = [to_users(102, cmd=8)] * 10
        for removed in (False, True):
            if removed:
                self.block().unlink()
            store = open_store(str(self.root), block_size=600)
            found = save(store, *([] if removed else [to_users(102)]), *group)
            entry = read_entry(store.blocks.read(found[-1][0] + 25, 84))
            assert entry is not None
            self.assertEqual(entry.prev_peer, FIRST_OFFSET + 25)
            store.close()

    def test_removed_blocks(self) -> None:
        """Old blocks that an operator has removed end the queues. All others are read."""
        store = open_store(str(self.root), block_size=600)
        saved = ids(save(store, *(to_users(102, body=b"%d" % n) for n in range(20))))
        store.close()
        last_removed = saved[9] // 600
        for number in range(last_removed + 1):
            self.block(number).unlink()
        store = open_store(str(self.root), block_size=600, log=self.log)
        self.addCleanup(store.close)
        left = [b"%d" % n for n, msgid in enumerate(saved) if msgid // 600 > last_removed]
        self.assertEqual(self.read(store), left)
        self.assertEqual(self.log.of("warn", "error"), [])
        ((_, (prev,)),) = save(store, to_users(102, body=b"new"))
        self.assertEqual(prev, saved[-1])
        self.assertEqual(store.reader.count_new(BOB, saved[-1]), 1)
        self.assertEqual(self.read(store), [*left, b"new"])
