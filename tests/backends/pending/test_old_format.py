"""Upstream's queues of group messages: what is read of them, whatever state they are in."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.pending import old_format
from gobelieve.errors import BackendError
from gobelieve.interfaces import PendingMessage
from gobelieve.wire.client import GroupIM
from tests.old_pending import HEAD, OBSERVED, record, write

FIRST = len(HEAD)
MESSAGES, CURSOR = old_format.MESSAGES, old_format.CURSOR


class OldPendingTests(SynchronousTestCase):
    """Files made by hand."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir()

    def read(self, storages: int = 1) -> list[PendingMessage]:
        """What waits; what is remarked goes to `remarks`."""
        queues = old_format.find(self.root)
        self.remarks = [remark for queue in queues for remark in queue.remarks]
        return old_format.merged(queues, storages)

    def said(self) -> list[bytes]:
        """The contents of it."""
        return [GroupIM.decode(one.body).content for one in self.read()]

    def test_a_record_as_upstream_wrote_it(self) -> None:
        """With the body that upstream would have stored."""
        write(self.root, OBSERVED)
        (message,) = self.read(storages=2)
        body = GroupIM(
            sender=1, receiver=3110, timestamp=0x6B03A63C, msgid=0, content=b'{"text":"g1"}'
        ).encode()
        wanted = PendingMessage(7, 3110, 1, 1, 8, body, (3, 4, 1, 2), (0, 0))
        self.assertEqual(message, wanted)
        self.assertEqual(self.remarks, [])

    def test_the_record_of_these_tests_is_like_it(self) -> None:
        """Byte for byte."""
        made = record(b'{"text":"g1"}', (3, 4, 1, 2), device=1, group=3110, timestamp=0x6B03A63C)
        self.assertEqual(made, OBSERVED)

    def test_nothing_is_there(self) -> None:
        """No files, an empty one, one whose head is not whole, only a cursor."""
        self.assertEqual(old_format.find(self.root), [])
        (self.root / CURSOR).write_bytes(bytes(8))
        self.assertEqual(old_format.find(self.root), [])
        for start in (b"", HEAD[:31], HEAD):
            (self.root / MESSAGES).write_bytes(start)
            self.assertEqual(self.read(), [])

    def test_what_is_behind_the_cursor(self) -> None:
        """Which is the place of the record delivered last."""
        one, two, three = record(b"1"), record(b"22"), record(b"3")
        for cursor, said in (
            (0, [b"1", b"22", b"3"]),
            (FIRST, [b"22", b"3"]),
            (FIRST + len(one), [b"3"]),
            (FIRST + len(one + two), []),
        ):
            write(self.root, one + two + three, cursor)
            self.assertEqual(self.said(), said)
            self.assertEqual(self.remarks, [])

    def test_a_cursor_that_is_missing_or_not_whole(self) -> None:
        """Stands for none: nothing is lost, and what is there is looked for before it is sent."""
        write(self.root, record(b"1"))
        (self.root / CURSOR).write_bytes(b"\0\0\0")
        self.assertEqual(self.said(), [b"1"])
        (self.root / CURSOR).unlink()
        self.assertEqual(self.said(), [b"1"])

    def test_a_cursor_that_names_no_record(self) -> None:
        """The file was cut, and the cursor is older: all in it came later."""
        for cursor in (FIRST + 3, 1 << 30, -5):
            write(self.root, record(b"1") + record(b"2"), cursor)
            self.assertEqual(self.said(), [b"1", b"2"])
            self.assertIn("cursor names no record", self.remarks[0])

    def test_a_torn_end(self) -> None:
        """Wherever it was torn: it is said, and what is before it is sent on."""
        whole, torn = record(b"whole"), record(b"torn")
        for size in range(1, len(torn)):
            write(self.root, whole + torn[:size])
            self.assertEqual(self.said(), [b"whole"])
            self.assertIn(f"the last {size} bytes are a torn write", self.remarks[0])

    def test_damage_in_the_middle(self) -> None:
        """Is stepped over to the next record."""
        broken = bytearray(record(b"broken"))
        broken[4] = 0x7F
        write(self.root, record(b"1") + bytes(broken) + b"IMIM rubbish" + record(b"2"))
        self.assertEqual(self.said(), [b"1", b"2"])
        size = len(broken) + len(b"IMIM rubbish")
        self.assertIn(f"{size} bytes at {FIRST + len(record(b'1'))} are no record", self.remarks[0])

    def test_records_that_make_no_sense(self) -> None:
        """Are left out and said, and those behind them are not."""
        other = bytearray(record(b"another command"))
        other[16] = 8
        length = bytearray(record(b"another length"))
        length[11] += 1
        short = b"IMIM\0\0\0\x16" + b"\0\0\0\x0a\0\0\0\0\xfb\0\0\0" + bytes(10) + b"\0\0\0\x16IMIM"
        bad = [bytes(other), bytes(length), short, record(b"nobody", ())]
        bad += [record(b"too many", count=9999), record(b"no group", group=0)]
        write(self.root, b"".join([*bad, record(b"good")]))
        self.assertEqual(self.said(), [b"good"])
        self.assertEqual(len(self.remarks), len(bad))
        self.assertIn("makes no sense", self.remarks[0])

    def test_large_groups(self) -> None:
        """Counts that upstream's reader takes for negative, or that do not go into 16 bits."""
        for size in (4092, 8188, 32_767, 32_768, 65_535, 65_536, 100_000, 200_000):
            members = tuple(range(1, size + 1))
            write(self.root, record(b'{"text":"all"}', members) + record(b"next"))
            first, second = self.read()
            self.assertEqual(first.members, members)
            self.assertEqual(GroupIM.decode(first.body).content, b'{"text":"all"}')
            self.assertEqual(GroupIM.decode(second.body).content, b"next")

    def test_a_content_with_zeros(self) -> None:
        """Is not taken for members where there are none."""
        write(self.root, record(b"\0\0binary"))
        (message,) = self.read()
        self.assertEqual(message.members, (1, 2, 3))
        self.assertEqual(GroupIM.decode(message.body).content, b"\0\0binary")

    def test_a_member_twice(self) -> None:
        """Gets it once."""
        write(self.root, record(b"x", (1, 2, 1, 3, 2)))
        self.assertEqual(self.read()[0].members, (1, 2, 3))

    def test_several_queues(self) -> None:
        """In the order of their times; each queue's own order stays, whatever its clock did."""
        write(self.root / "q0", record(b"a", timestamp=10) + record(b"c", timestamp=30))
        write(self.root / "q1", record(b"b", timestamp=20) + record(b"d", timestamp=5))
        write(self.root / "q10", record(b"e", timestamp=40))
        write(self.root, record(b"seed", timestamp=1))
        self.assertEqual(self.said(), [b"seed", b"a", b"b", b"d", b"c", b"e"])

    def test_messages_that_are_alike(self) -> None:
        """Are told apart by a number, also from those that were delivered; others have none."""
        same = record(b"same")
        write(self.root / "q0", same + same + record(b"other"), FIRST)
        write(self.root / "q1", same)
        messages = [GroupIM.decode(one.body) for one in self.read()]
        found = sorted((one.content, one.msgid) for one in messages)
        self.assertEqual(found, [(b"other", 0), (b"same", 1), (b"same", 2)])

    def test_a_file_that_is_something_else(self) -> None:
        """Is not touched."""
        (self.root / MESSAGES).write_bytes(b"a" * 100)
        with self.assertRaisesRegex(BackendError, "is no queue of group messages"):
            self.read()

    @given(st.data())
    def test_any_damage(self, data: st.DataObject) -> None:
        """Whatever is written over a part of the file, and wherever it is cut: what is whole is
        read, and nothing else is."""
        whole = [record(b"%d" % number, tuple(range(1, number + 2))) for number in range(6)]
        records = bytearray(b"".join(whole))
        start = data.draw(st.integers(0, len(records)))
        damage = data.draw(st.binary(max_size=80))
        records[start : start + len(damage)] = damage
        end = data.draw(st.integers(0, len(records)))
        write(self.root, bytes(records[:end]))
        said = self.said()
        place = 0
        for number, one in enumerate(whole):
            untouched = place + len(one) <= start or place >= start + len(damage)
            if untouched and place + len(one) <= end:
                self.assertIn(b"%d" % number, said)
            place += len(one)
        self.assertLessEqual(len(said), len(whole))

    def test_set_aside(self) -> None:
        """Under other names, of which none is taken twice."""
        for _ in range(3):
            write(self.root / "q0", record(b"x"))
            (queue,) = old_format.find(self.root)
            queue.set_aside()
            self.assertEqual(old_format.find(self.root), [])
        names = {path.name for path in (self.root / "q0").iterdir()}
        ends = (".imported", ".imported-2", ".imported-3")
        self.assertEqual(names, {name + end for name in (MESSAGES, CURSOR) for end in ends})

    def test_the_digest(self) -> None:
        """Is that of both files."""
        digests = set()
        for records, cursor in ((record(b"x"), 0), (record(b"x"), FIRST), (record(b"y"), 0)):
            write(self.root, records, cursor)
            for _ in range(2):
                digests.add(old_format.find(self.root)[0].digest)
        self.assertEqual(len(digests), 3)
