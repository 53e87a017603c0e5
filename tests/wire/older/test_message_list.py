"""Frames that are to be stored, and lists of stored frames."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire.client import IM
from gobelieve.wire.frames import encode_frame
from gobelieve.wire.older.message_list import (
    COUNT_LIMIT,
    EMPTY_LIST,
    ENTRY_BODY_LIMIT,
    LIST_LIMIT,
    MessageList,
    read_inner,
    unpack_list,
)
from gobelieve.wire.older.storage_clients import Result
from gobelieve.wire.storage import StoredMessage

HELLO = IM(sender=1, receiver=2, timestamp=9, msgid=5, content=b"hi")
ID = st.integers(-(1 << 63), (1 << 63) - 1)
OPAQUE = st.integers(0, 255).filter(lambda cmd: cmd not in (4, 8))
STORED = st.lists(
    st.builds(StoredMessage, msgid=ID, device=ID, cmd=OPAQUE, body=st.binary(max_size=40)),
    max_size=5,
)


def collected(*messages: StoredMessage) -> MessageList:
    """Return a list of these messages."""
    found = MessageList()
    found.add(messages)
    return found


class InnerTests(SynchronousTestCase):
    """The frame in a request to store a message."""

    def test_versions(self) -> None:
        """The body of any version is stored in today's layout."""
        for version in (1, 2, 3, 255):
            self.assertEqual(read_inner(HELLO.frame(7, version)), (4, HELLO.encode()))
        for cmd in (4, 8):
            old = encode_frame(cmd, bytes(15) + b"\1" + bytes(4) + b"hi", version=0)
            self.assertEqual(read_inner(old), (cmd, bytes(15) + b"\1" + bytes(8) + b"hi"))

    def test_opaque(self) -> None:
        """Any other body is stored unchanged, in every version."""
        for cmd in (0, 7, 21, 24, 25, 64, 255):
            for version in (0, 1, 2):
                self.assertEqual(read_inner(encode_frame(cmd, b"x", version=version)), (cmd, b"x"))

    def test_no_frame(self) -> None:
        """A frame that is cut short, too long, or has a wrong or negative length raises
        `BodyError`."""
        frame = HELLO.frame()
        for bad in (
            *(frame[:length] for length in range(len(frame))),
            frame + b"x",
            b"\xff" * 4 + frame[4:],
            encode_frame(4, bytes(23), version=1),
            encode_frame(8, bytes(19), version=0),
        ):
            with self.assertRaises(BodyError, msg=bad.hex()):
                read_inner(bad)


class ListTests(SynchronousTestCase):
    """The layout of a list, and its limits."""

    def test_bytes(self) -> None:
        """A list has the layout that the docstring of the module describes."""
        found = collected(StoredMessage(32, 33, 4, HELLO.encode()), StoredMessage(99, 0, 7, b"{}"))
        first = (
            "0036 0000000000000020 0000000000000021 0000001a 00000000 04010000"
            "0000000000000001 0000000000000002 00000009 00000005 6869"
        )
        second = "001e 0000000000000063 0000000000000000 00000002 00000000 07010000 7b7d"
        self.assertEqual(found.pack().hex(), bytes.fromhex("0002" + first + second).hex())
        reverse = found.pack(reverse=True)
        self.assertEqual(reverse.hex(), bytes.fromhex("0002" + second + first).hex())
        self.assertEqual(MessageList().pack(), EMPTY_LIST)

    @given(STORED)
    def test_both_ways(self, messages: list[StoredMessage]) -> None:
        """A list can be packed in order or in reverse order, and is read back."""
        found = collected(*messages)
        self.assertEqual(list(unpack_list(found.pack())), messages)
        self.assertEqual(list(unpack_list(found.pack(reverse=True))), messages[::-1])
        self.assertFalse(found.full)

    def test_cut_short(self) -> None:
        """A list cut at any byte raises `BodyError`, and so does an entry with an impossible
        size."""
        row = collected(StoredMessage(1, 2, 7, b"{}"), StoredMessage(3, 4, 7, b"")).pack()
        for length in range(len(row)):
            with self.assertRaises(BodyError, msg=str(length)):
                list(unpack_list(row[:length]))
        for size in (b"\x00\x00", b"\xff\xff", b"\x00\x1b"):
            with self.assertRaises(BodyError):
                list(unpack_list(row[:2] + size + row[4:]))

    def test_longest_list(self) -> None:
        """The RESULT with the longest list is just below 1 MiB; one byte more does not fit."""
        full = StoredMessage(1, 0, 7, bytes(ENTRY_BODY_LIMIT))
        count, rest = divmod(LIST_LIMIT - 2, ENTRY_BODY_LIMIT + 30)
        found = collected(*[full] * count)
        found.add([StoredMessage(2, 0, 7, bytes(rest - 30))])
        self.assertEqual(len(Result(status=0, content=found.pack()).encode()), (1 << 20) - 1)
        self.assertFalse(found.full)
        found = collected(*[full] * count)
        found.add([StoredMessage(2, 0, 7, bytes(rest - 29))])
        self.assertTrue(found.full)
        self.assertEqual(len(list(unpack_list(found.pack()))), count)

    def test_most_messages(self) -> None:
        """A list never has more than 32,767 messages."""
        found = collected(*[StoredMessage(n, 0, 7, b"") for n in range(COUNT_LIMIT + 5)])
        self.assertTrue(found.full)
        self.assertEqual(len(list(unpack_list(found.pack()))), COUNT_LIMIT)

    def test_too_long_for_an_entry(self) -> None:
        """A message that is too long for an entry is left out, and its id is noted. Later ones are
        in the list."""
        long = StoredMessage(2, 0, 7, bytes(ENTRY_BODY_LIMIT + 1))
        fits = StoredMessage(3, 0, 7, bytes(ENTRY_BODY_LIMIT))
        found = collected(long, fits)
        self.assertEqual(list(unpack_list(found.pack())), [fits])
        self.assertEqual((found.left_out, found.full), ([2], False))
