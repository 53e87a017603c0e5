"""JSON as the encoder of Go writes it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.wire.go_json import encode, encode_shortest, text


class EncodeTests(SynchronousTestCase):
    """JSON as the encoder of Go writes it (compared with Go 1.19)."""

    def content(self, content: bytes) -> bytes:
        """Return the content as it is written inside the JSON."""
        line = encode({"c": text(content)})
        self.assertTrue(line.startswith(b'{"c":"') and line.endswith(b'"}'))
        return line[6:-2]

    def test_as_it_is(self) -> None:
        """Valid UTF-8 is not changed, including characters of four bytes and a real U+FFFD."""
        for plain in ("héllo", "你好", "😀", "\ufffd", "/", "\x7f", "'"):
            self.assertEqual(self.content(plain.encode()), plain.encode())

    def test_escaped(self) -> None:
        """Characters that could end a script or a line are escaped."""
        self.assertEqual(self.content(b"<>&"), rb"\u003c\u003e\u0026")
        self.assertEqual(self.content("\u2028\u2029".encode()), rb"\u2028\u2029")
        self.assertEqual(self.content(b'"\\\n\r\t\x01'), rb"\"\\\n\r\t\u0001")

    def test_not_utf8(self) -> None:
        """Each byte that is not valid UTF-8 becomes one U+FFFD."""
        self.assertEqual(self.content(b"a\xe2\x82 \xff\xfe"), rb"a\ufffd\ufffd \ufffd\ufffd")
        self.assertEqual(self.content(b"\xed\xa0\x80"), rb"\ufffd\ufffd\ufffd")
        self.assertEqual(self.content(b"\xf0\x9f\x98"), rb"\ufffd\ufffd\ufffd")

    def test_order(self) -> None:
        """Keys are sorted, and there are no spaces."""
        self.assertEqual(encode({"b": [1, 2], "a": -5}), b'{"a":-5,"b":[1,2]}')

    @given(st.binary())
    def test_anything(self, content: bytes) -> None:
        """Any bytes become JSON that reads as the text of these bytes."""
        read = json.loads(encode({"c": text(content)}))["c"]
        try:
            self.assertEqual(read, content.decode())
        except UnicodeDecodeError:
            self.assertIn("\ufffd", read)

    def test_half_characters(self) -> None:
        """Half a character becomes U+FFFD: JSON can escape it, but UTF-8 cannot encode it."""
        said = json.loads(rb'{"a":"x\ud800y","b":"\udfff"}')
        self.assertEqual(encode(said), rb'{"a":"x\ufffdy","b":"\ufffd"}')

    def test_shortest(self) -> None:
        """The shortest form has none of the escapes that only Go writes."""
        self.assertEqual(
            encode_shortest({"b": "<\u2028", "a": 1}), '{"a":1,"b":"<\u2028"}'.encode()
        )
