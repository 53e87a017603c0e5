"""The sequences of items inside the messages of storage."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire.storage import (
    SUPER_GROUPS,
    USERS,
    SaveItem,
    StoredMessage,
    pack_messages,
    pack_save,
    pack_saved,
    unpack_messages,
    unpack_saved,
    unpack_saves,
)

ID = st.integers(-(1 << 63), (1 << 63) - 1)
ITEMS = st.lists(
    st.builds(
        SaveItem,
        device=ID,
        cmd=st.integers(0, 255),
        kind=st.sampled_from([USERS, SUPER_GROUPS]),
        queues=st.lists(st.tuples(ID, ID), max_size=4).map(lambda q: tuple(sum(q, ()))),
        body=st.binary(max_size=40),
    ),
    max_size=5,
)
STORED = st.lists(
    st.builds(
        StoredMessage,
        msgid=ID,
        device=ID,
        cmd=st.integers(0, 255),
        body=st.binary(max_size=40),
    ),
    max_size=5,
)


class SaveTests(SynchronousTestCase):
    """The items of SAVE."""

    def test_bytes(self) -> None:
        """An item has the layout that the docstring of the module describes."""
        self.assertEqual(
            pack_save(3, 4, USERS, (7, 2, 7, 1), b"hi").hex(" ", 8),
            bytes.fromhex(
                "0000000000000003 04 00 00000002 00000002"
                "0000000000000007 0000000000000002 0000000000000007 0000000000000001 6869"
            ).hex(" ", 8),
        )
        self.assertEqual(
            pack_save(0, 8, SUPER_GROUPS, (7, 3111), b""),
            bytes.fromhex(
                "0000000000000000 08 01 00000001 00000000 0000000000000007 0000000000000c27"
            ),
        )

    @given(ITEMS)
    def test_both_ways(self, items: list[SaveItem]) -> None:
        """Items are read back as they were packed, also in the common case of two queues."""
        row = b"".join(pack_save(*item) for item in items)
        self.assertEqual(unpack_saves(row), items)

    def test_cut_short(self) -> None:
        """Items that are cut at any byte but a border raise `BodyError`."""
        first, second = (
            pack_save(1, 4, USERS, (7, 2), b"hi"),
            pack_save(1, 4, 0, (7, 2, 7, 1), b"h"),
        )
        row = first + second
        for length in range(len(row)):
            if length not in (0, len(first)):
                with self.assertRaises(BodyError, msg=str(length)):
                    unpack_saves(row[:length])

    def test_counts_that_cannot_be(self) -> None:
        """An impossible count of four billion queues allocates no memory."""
        with self.assertRaises(BodyError):
            unpack_saves(bytes.fromhex("0000000000000003 04 00 ffffffff ffffffff"))


class SavedTests(SynchronousTestCase):
    """The results of SAVED."""

    @given(st.lists(st.tuples(st.sampled_from([0, 101, 255]), ID, st.lists(ID, max_size=4))))
    def test_both_ways(self, results: list[tuple[int, int, list[int]]]) -> None:
        """Results are read back as they were packed. Nothing follows a status other than 0."""
        row = b"".join(pack_saved(*result) for result in results)
        at = 0
        for status, msgid, prevs in results:
            *read, at = unpack_saved(row, at, len(prevs))
            wanted = [status, 0, ()] if status else [0, msgid, tuple(prevs)]
            self.assertEqual(read, wanted)
        self.assertEqual(at, len(row))

    def test_cut_short(self) -> None:
        """Results that are cut at any byte raise `BodyError`."""
        for prevs in ((), (1,), (1, 2), (1, 2, 3)):
            row = pack_saved(0, 4242, prevs)
            for length in range(len(row)):
                with self.assertRaises(BodyError, msg=f"{prevs} {length}"):
                    unpack_saved(row[:length], 0, len(prevs))


class PageTests(SynchronousTestCase):
    """The messages of PAGE."""

    @given(STORED)
    def test_both_ways(self, messages: list[StoredMessage]) -> None:
        """Messages are read back in order, as they were packed."""
        self.assertEqual(list(unpack_messages(pack_messages(messages))), messages)

    def test_bytes(self) -> None:
        """A message has the layout that the docstring of the module describes."""
        self.assertEqual(
            pack_messages([StoredMessage(4242, 3, 4, b"hi")]),
            bytes.fromhex("0000000000001092 0000000000000003 04 00000002 6869"),
        )

    def test_cut_short(self) -> None:
        """A cut at any byte but a border raises `BodyError` after the messages before it."""
        one = pack_messages([StoredMessage(1, 2, 4, b"hi")])
        row = one + one
        for length in range(1, len(row)):
            if length != len(one):
                reading = unpack_messages(row[:length])
                with self.assertRaises(BodyError):
                    list(reading)
