"""JSON as upstream's Go encoder writes it, for whoever reads what upstream used to write.

Compact, keys in order, UTF-8 as it is, ``< > &`` and the two line separators escaped, and each
byte that is not UTF-8 as ``\\ufffd``.
"""

import re
from json import JSONEncoder
from typing import Any

# Made once: `json.dumps` would make it for every call.
_json = JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
# What `text` could not decode, a byte each.
_ESCAPES.update({0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)})
_ALONE = re.compile("[\ud800-\udfff]")


def encode(fields: dict[str, Any]) -> bytes:
    """JSON as Go writes it."""
    return _utf8(_json(fields).translate(_ESCAPES))


def encode_shortest(fields: dict[str, Any]) -> bytes:
    """The same without the escapes that JSON does not need."""
    return _utf8(_json(fields))


def text(content: bytes) -> str:
    """Content as text; bytes that are not UTF-8 are kept apart for `encode`."""
    return content.decode("utf-8", "surrogateescape")


def _utf8(encoded: str) -> bytes:
    try:
        return encoded.encode()
    except UnicodeEncodeError:
        # Half a character, which JSON can name by its escapes and UTF-8 cannot.
        return _ALONE.sub("\\\\ufffd", encoded).encode()
