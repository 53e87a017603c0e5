"""JSON as Go's encoder writes it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.wire.go_json import encode, encode_shortest, text


class EncodeTests(SynchronousTestCase):
    """JSON as Go's encoder writes it (seen with Go 1.19)."""

    def content(self, content: bytes) -> bytes:
        """How a content stands in the JSON."""
        line = encode({"c": text(content)})
        self.assertTrue(line.startswith(b'{"c":"') and line.endswith(b'"}'))
        return line[6:-2]

    def test_as_it_is(self) -> None:
        """Everything that is UTF-8, four bytes long ones and a real U+FFFD too."""
        for plain in ("héllo", "你好", "😀", "\ufffd", "/", "\x7f", "'"):
            self.assertEqual(self.content(plain.encode()), plain.encode())

    def test_escaped(self) -> None:
        """What could end a script or a line."""
        self.assertEqual(self.content(b"<>&"), rb"\u003c\u003e\u0026")
        self.assertEqual(self.content("\u2028\u2029".encode()), rb"\u2028\u2029")
        self.assertEqual(self.content(b'"\\\n\r\t\x01'), rb"\"\\\n\r\t\u0001")

    def test_not_utf8(self) -> None:
        """One U+FFFD for each byte that does not belong."""
        self.assertEqual(self.content(b"a\xe2\x82 \xff\xfe"), rb"a\ufffd\ufffd \ufffd\ufffd")
        self.assertEqual(self.content(b"\xed\xa0\x80"), rb"\ufffd\ufffd\ufffd")
        self.assertEqual(self.content(b"\xf0\x9f\x98"), rb"\ufffd\ufffd\ufffd")

    def test_order(self) -> None:
        """Keys in order, without blanks."""
        self.assertEqual(encode({"b": [1, 2], "a": -5}), b'{"a":-5,"b":[1,2]}')

    @given(st.binary())
    def test_anything(self, content: bytes) -> None:
        """Any bytes at all make JSON that reads as the text they are."""
        read = json.loads(encode({"c": text(content)}))["c"]
        try:
            self.assertEqual(read, content.decode())
        except UnicodeDecodeError:
            self.assertIn("\ufffd", read)

    def test_half_characters(self) -> None:
        """Which JSON can name, and UTF-8 cannot: a U+FFFD too."""
        said = json.loads(rb'{"a":"x\ud800y","b":"\udfff"}')
        self.assertEqual(encode(said), rb'{"a":"x\ufffdy","b":"\ufffd"}')

    def test_shortest(self) -> None:
        """Without what only Go escapes."""
        self.assertEqual(
            encode_shortest({"b": "<\u2028", "a": 1}), '{"a":1,"b":"<\u2028"}'.encode()
        )
