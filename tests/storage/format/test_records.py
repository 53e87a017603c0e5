"""The format of the block files, byte for byte."""

from struct import pack
from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.storage.format.records import (
    ENTRY_SIZE,
    FILE_HEADER,
    Entry,
    Record,
    delivered_body,
    entry_of,
    pack_entry,
    pack_message,
    pack_record,
    read_entry,
    read_record,
    time_of,
)
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.storage.support import im

BODY = bytes.fromhex("0000000000000065 0000000000000066 6553f101 00000001 68656c6c6f2d31")
MESSAGE = bytes.fromhex("494d494d 0000001f 7609f6f9 04020001") + BODY + b"IMIM"
ENTRY = bytes.fromhex(
    "494d494d 00000040 6912a79c f8000001"
    "0000000000000007 0000000000000066 0000000000000020 000000000000000b"
    "0000000000000001 0000000000000000 0000000000000000 0000000000000000"
    "494d494d"
)


class GoldenTests(SynchronousTestCase):
    """The example of the documentation, byte for byte."""

    def test_file_header(self) -> None:
        """A block begins with the magic, version 1.0 and zeros."""
        self.assertEqual(FILE_HEADER, bytes.fromhex("494d494d00010000") + bytes(24))

    def test_message(self) -> None:
        """A message's record has the CRC-32 of its body, where the Go server has the seq."""
        self.assertEqual(pack_message(4, BODY), MESSAGE)
        self.assertEqual(read_record(MESSAGE), Record(4, 2, 0, BODY))

    def test_user_entry(self) -> None:
        """A user's queue record is 248 with eight numbers."""
        packed = pack_entry(USERS, 7, 0x66, 32, 11, 1, 0, 0, 0, 0)
        self.assertEqual(packed, ENTRY)
        self.assertEqual(len(packed), ENTRY_SIZE)
        self.assertEqual(read_entry(ENTRY), Entry(USERS, 7, 0x66, 32, 11, 1, 0, 0, 0, True))

    def test_group_entry(self) -> None:
        """A super group's queue record is 247."""
        packed = pack_entry(SUPER_GROUPS, 7, 500, 32, 11, 3, 20, 0, 10, 0)
        self.assertEqual(packed[12], 247)
        self.assertEqual(
            read_entry(packed), Entry(SUPER_GROUPS, 7, 500, 32, 11, 3, 20, 0, 10, True)
        )

    def test_ordinary_group_flag(self) -> None:
        """The flag 4 says that an entry is an ordinary group's message."""
        packed = pack_entry(USERS, 7, 101, 32, 11, 3, 20, 10, 0, 4)
        self.assertEqual(packed[14], 4)
        entry = read_entry(packed)
        assert entry is not None
        self.assertFalse(entry.peer)


class OldLayoutTests(SynchronousTestCase):
    """Every layout of the Go server's queue records is read as the same `Entry`."""

    def check(self, cmd: int, row: list[int], expected: Entry, flag: int = 0) -> None:
        body = pack(f">{len(row)}q", *row)
        self.assertEqual(entry_of(cmd, flag, body), expected)
        # As the Go server wrote it: no checksum, seq 0.
        head = pack(">4siiBBBB", b"IMIM", len(body), 0, cmd, 0, flag, 0)
        self.assertEqual(read_entry(head + body + b"IMIM" + bytes(64)), expected)

    def test_254(self) -> None:
        """254 is read with 40 bytes, and with 32 bytes without a device."""
        self.check(254, [7, 101, 500, 11, 400], Entry(0, 7, 101, 500, 11, 0, 400, 400, 0, True))
        self.check(254, [7, 101, 500, 400], Entry(0, 7, 101, 500, 0, 0, 400, 400, 0, True))

    def test_252(self) -> None:
        """252 is read with 48 bytes, and with 40 bytes without a device."""
        self.check(252, [7, 0, 500, 9, 11, 400], Entry(1, 7, 9, 500, 11, 0, 400, 0, 0, True))
        self.check(252, [7, 0, 500, 9, 400], Entry(1, 7, 9, 500, 0, 0, 400, 0, 0, True))

    def test_250(self) -> None:
        """250 has a link of its own to the last message that is not of an ordinary group."""
        row = [7, 101, 500, 11, 400, 300]
        self.check(250, row, Entry(0, 7, 101, 500, 11, 0, 400, 300, 0, True))
        self.check(250, row, Entry(0, 7, 101, 500, 11, 0, 400, 300, 0, False), flag=4)

    def test_249(self) -> None:
        """249 also has the link over a thousand entries."""
        self.check(
            249, [7, 101, 500, 11, 400, 300, 200], Entry(0, 7, 101, 500, 11, 0, 400, 300, 200, True)
        )

    def test_others(self) -> None:
        """A message, an obsolete kind and a record of a wrong length are not entries."""
        for cmd, length in [(4, 64), (255, 32), (253, 40), (248, 56), (254, 48), (252, 64)]:
            self.assertIsNone(entry_of(cmd, 0, bytes(length)))


class DamageTests(SynchronousTestCase):
    """Bytes that are not complete and sound are not read as a record."""

    def test_every_cut(self) -> None:
        """A record that is cut off anywhere is not read."""
        for length in range(len(MESSAGE)):
            self.assertIsNone(read_record(MESSAGE[:length]))
            self.assertIsNone(read_entry(ENTRY[: min(length, len(ENTRY) - 1)]))

    def test_every_flipped_bit_of_the_body(self) -> None:
        """A flipped bit anywhere in the body or in the checksum is noticed."""
        for place in [*range(8, 12), *range(16, len(MESSAGE))]:
            for bit in range(8):
                damaged = bytearray(MESSAGE)
                damaged[place] ^= 1 << bit
                self.assertIsNone(read_record(bytes(damaged)))

    def test_old_records_are_not_checked(self) -> None:
        """The Go server's records have no checksum. They are read with any value in its place."""
        old = bytearray(MESSAGE)
        old[15] = 0
        for version, seq in ((2, 0), (1, 0), (1, 5), (0, 5)):
            old[8:14] = pack(">iBB", seq, 4, version)
            self.assertEqual(read_record(bytes(old)), Record(4, version, 0, BODY))

    def test_lost_mark(self) -> None:
        """A checksum counts even if damage removed the mark that there is one."""
        for record in (MESSAGE, ENTRY, pack_entry(SUPER_GROUPS, 7, 500, 32, 11, 3, 20, 0, 10, 0)):
            damaged = bytearray(record)
            damaged[15] = 0
            self.assertIsNotNone(read_record(bytes(damaged)), "all else is whole")
            for start in (14, 12, 8):
                damaged[start:-4] = bytes(len(damaged) - 4 - start)
                self.assertIsNone(read_record(bytes(damaged)), "a sector of zeros")

    def test_too_long(self) -> None:
        """A record cannot have a body over 32767 bytes."""
        self.assertIsNotNone(read_record(pack_record(4, 2, 0, bytes(32767))))
        self.assertIsNone(read_record(pack_record(4, 2, 0, bytes(32768))))

    def test_checksum_covers_the_body(self) -> None:
        """The checksum is the CRC-32 of zlib."""
        self.assertEqual(pack_message(4, b"hi")[8:12], crc32(b"hi").to_bytes(4, "big"))


class MessageTests(SynchronousTestCase):
    """The fields of a message's body that storage reads."""

    def test_version_0(self) -> None:
        """The first messages had no timestamp. They are delivered with the timestamp 0."""
        old = BODY[:16] + BODY[20:]
        self.assertEqual(delivered_body(Record(4, 0, 0, old)), BODY[:16] + bytes(4) + BODY[20:])
        self.assertEqual(delivered_body(Record(4, 1, 0, BODY)), BODY)
        self.assertEqual(delivered_body(Record(21, 0, 0, old)), old)

    def test_timestamp(self) -> None:
        """The time of a message is read from kinds that have one."""
        self.assertEqual(time_of(Record(8, 2, 0, im(1, 2, "x", when=77))), 77)
        self.assertIsNone(time_of(Record(8, 2, 0, b"short")))
        self.assertIsNone(time_of(Record(8, 0, 0, im(1, 2, "x", when=77))))
