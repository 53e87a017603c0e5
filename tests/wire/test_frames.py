"""Cutting bytes into frames."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import FrameError
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, HEADER_SIZE, Frame, FrameReader, encode_frame

FRAMES = st.lists(
    st.builds(
        Frame,
        cmd=st.integers(0, 255),
        version=st.integers(0, 255),
        flag=st.integers(0, 255),
        seq=st.integers(-(1 << 31), (1 << 31) - 1),
        body=st.binary(max_size=80),
    ),
    max_size=8,
)
CUTS = st.lists(st.integers(0, 700), max_size=12)


def encoded(frames: list[Frame]) -> bytes:
    """Return the bytes of all frames, one after another."""
    return b"".join(encode_frame(f.cmd, f.body, f.seq, f.version, f.flag) for f in frames)


def fed(reader: FrameReader, data: bytes, cuts: list[int]) -> list[Frame]:
    """Return the frames that the reader finds when the data arrives in these pieces."""
    found: list[Frame] = []
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        found += reader.feed(data[start:cut])
        start = max(start, cut)
    return found


class FrameReaderTests(SynchronousTestCase):
    """Reading frames from a stream of bytes."""

    @settings(max_examples=150)
    @given(FRAMES, CUTS)
    def test_how_the_stream_is_cut_does_not_matter(
        self, frames: list[Frame], cuts: list[int]
    ) -> None:
        """Any pieces of a stream give the same frames, none early and none late."""
        reader = FrameReader(CLIENT_BODY_LIMIT)
        self.assertEqual(fed(reader, encoded(frames), cuts), frames)
        self.assertIsNone(reader.error)

    def test_byte_by_byte(self) -> None:
        """A frame comes with its last byte."""
        frames = [Frame(4, 1, 0, 1, b"hello"), Frame(13, 1, 0, 2, b""), Frame(5, 2, 1, -1, b"x")]
        reader = FrameReader(CLIENT_BODY_LIMIT)
        data = encoded(frames)
        came = [(i, f) for i in range(len(data)) for f in reader.feed(data[i : i + 1])]
        self.assertEqual(came, [(16, frames[0]), (28, frames[1]), (41, frames[2])])

    @settings(max_examples=150)
    @given(FRAMES, st.binary(max_size=60), CUTS)
    def test_any_bytes_at_all(self, frames: list[Frame], junk: bytes, cuts: list[int]) -> None:
        """Random bytes raise nothing, and all good frames before them are returned."""
        reader = FrameReader(100, frozenset(range(256)))
        found = fed(reader, encoded(frames) + junk, cuts)
        self.assertEqual(found[: len(frames)], frames)
        if reader.error is not None:
            self.assertIsInstance(reader.error, FrameError)
            self.assertEqual(reader.feed(encoded(frames)), [], "a reader with an error is deaf")

    def test_frames_before_the_bad_one_count(self) -> None:
        """Frames before a bad one are returned, even if all arrive in one piece."""
        good = [Frame(13, 1, 0, 1, b""), Frame(4, 1, 0, 2, b"body")]
        reader = FrameReader(100)
        self.assertEqual(reader.feed(encoded(good) + encode_frame(4, bytes(101))), good)
        self.assertIn("a body of 101 bytes, the limit is 100", str(reader.error))

    def test_the_limit(self) -> None:
        """A body of 32767 bytes is the longest of a client. One more byte is an error at the
        header."""
        reader = FrameReader(CLIENT_BODY_LIMIT)
        (frame,) = reader.feed(encode_frame(4, bytes(32767)))
        self.assertEqual(len(frame.body), 32767)
        self.assertEqual(reader.feed(bytes.fromhex("00008000 00000001 04 01 00 00")), [])
        self.assertIsInstance(reader.error, FrameError)

    def test_a_negative_length(self) -> None:
        """A negative length is an error with any limit."""
        reader = FrameReader(CLIENT_BODY_LIMIT)
        reader.feed(bytes.fromhex("ffffffff 00000001 04 01 00 00"))
        self.assertIn("-1", str(reader.error))

    def test_commands_are_judged_before_the_body(self) -> None:
        """A command that is not allowed is an error as soon as its header is complete."""
        reader = FrameReader(CLIENT_BODY_LIMIT, frozenset({4}))
        header = encode_frame(200, bytes(30000))[:HEADER_SIZE]
        self.assertEqual(reader.feed(header[:11]), [])
        self.assertIsNone(reader.error)
        reader.feed(header[11:])
        self.assertIn("command 200 is not allowed", str(reader.error))

    def test_old_clients_fill_the_reserved_byte(self) -> None:
        """Old clients write 2 into the reserved byte, which the reader ignores."""
        (frame,) = FrameReader(100).feed(bytes.fromhex("00000000 00000001 0d 01 02 02"))
        self.assertEqual(frame, Frame(13, 1, 2, 1, b""))

    def test_a_long_frame_in_tiny_reads_is_not_copied_again_and_again(self) -> None:
        """The reader keeps the very pieces that it was given, and joins them once."""
        reader = FrameReader(1 << 24)
        data = encode_frame(4, bytes(1 << 20))
        reader.feed(data[:HEADER_SIZE])
        pieces = [data[i : i + 64] for i in range(HEADER_SIZE, len(data), 64)]
        for piece in pieces[:-1]:
            self.assertEqual(reader.feed(piece), [])
        held = reader._parts
        assert held is not None
        self.assertTrue(all(a is b for a, b in zip(held[1:], pieces, strict=False)))
        (frame,) = reader.feed(pieces[-1])
        self.assertEqual(len(frame.body), 1 << 20)
