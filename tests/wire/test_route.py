"""The three layouts of a publication."""

from struct import Struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire import encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, LINK_BODY_LIMIT
from gobelieve.wire.publication import Publication, peek
from gobelieve.wire.route import Delivery, Publish, SeedPublish, peek_push

INNER = encode_frame(4, b"a message body", 0, 1)
NOW = 1_750_000_000_000_000_000
SIZES = [0, 1, 8, 22, 5000, *range(6100, 6400), 32000, CLIENT_BODY_LIMIT - 42 - 12]


class PublicationTests(SynchronousTestCase):
    """Reading and writing publications."""

    def test_version_1(self) -> None:
        """Version 1 has the previous id, and an inner frame of any length that the link allows."""
        publication = Publication(7, 2, 4242, 4096, NOW, encode_frame(4, bytes(40000)))
        body = publication.body(1)
        self.assertEqual(Publication.read(body, 1), publication)
        self.assertEqual(Delivery.decode(body).prev_msgid, 4096)
        self.assertLess(len(body), LINK_BODY_LIMIT)

    def test_version_1_must_be_filled(self) -> None:
        """One byte too few or too many in version 1 is an error, and so is any cut."""
        body = Publication(7, 2, 4242, 4096, NOW, INNER).body(1)
        for bad in [body + b"z", *(body[:length] for length in range(len(body)))]:
            with self.assertRaises(BodyError):
                Publication.read(bad, 1)

    def test_version_0(self) -> None:
        """Version 0 has no previous id."""
        publication = Publication(7, 2, 4242, 4096, NOW, INNER)
        body = publication.body(0)
        self.assertEqual(Publication.read(body, 0), publication._replace(prev_msgid=0))
        self.assertEqual(Publish.decode(body).inner, INNER)

    def test_version_0_of_every_length(self) -> None:
        """Version 0 is recognised even if the high bytes of its time look like the length of a
        seed's frame."""
        for size in SIZES:
            inner = encode_frame(4, bytes(size))
            publication = Publication(7, 2, 4242, 0, NOW, inner)
            self.assertEqual(Publication.read(publication.body(0), 0), publication, str(size))

    def test_the_seeds(self) -> None:
        """The seed's layout has neither time nor previous id, and is recognised by its length."""
        for size in SIZES:
            inner = encode_frame(4, b"b" * size)
            seed = SeedPublish(appid=7, receiver=2, msgid=4242, device_id=3, inner=inner)
            read = Publication.read(seed.encode(), 0)
            self.assertEqual(read, Publication(7, 2, 4242, 0, 0, inner), str(size))

    def test_too_long_for_version_0(self) -> None:
        """An inner frame that is too long for version 0 raises an error before anything is sent."""
        with self.assertRaises(BodyError):
            Publication(7, 2, 0, 0, NOW, bytes(32767)).body(0)

    def test_peeking(self) -> None:
        """`peek` finds the same head as reading the whole publication, in every layout."""
        whole = Publication(7, 2, 4242, 0, NOW, encode_frame(8, b"body", 0, 1, 0x30))
        seed = SeedPublish(appid=7, receiver=2, msgid=4242, device_id=3, inner=whole.inner)
        for body, version in [(whole.body(0), 0), (whole.body(1), 1), (seed.encode(), 0)]:
            self.assertEqual(peek(body, version), (7, 2, 4242, 8, 0x30))
            for length in range(len(body)):
                with self.assertRaises(BodyError, msg=f"version {version}, {length} bytes"):
                    peek(body[:length], version)

    def test_peeking_into_a_push(self) -> None:
        """`peek_push` finds the receivers and the inner frame. A cut at any byte raises
        `BodyError`."""
        for version, length in ((0, "h"), (1, "I")):
            body = Struct(f">qHqq{length}").pack(7, 2, 5, -6, len(INNER)) + INNER
            appid, receivers, start, end = peek_push(body, version)
            self.assertEqual((appid, tuple(receivers)), (7, (5, -6)))
            self.assertEqual(body[start:end], INNER)
            for cut in range(len(body)):
                with self.assertRaises(BodyError, msg=f"version {version}, {cut} bytes"):
                    peek_push(body[:cut], version)

    @settings(max_examples=200)
    @given(st.binary(max_size=120), st.sampled_from([0, 1, 2, 255]))
    def test_any_bytes(self, body: bytes, version: int) -> None:
        """Random bytes are read as a publication, or raise `BodyError`."""
        for read in (Publication.read, peek, peek_push):
            try:
                read(body, version)
            except BodyError as why:
                self.assertTrue(str(why))
