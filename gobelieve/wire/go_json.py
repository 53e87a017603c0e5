"""JSON as the Go server writes it, for programs that read its lists and answers.

Its keys are sorted and it has no spaces. UTF-8 is written as it is; ``< > &`` and the two line
separators are escaped; each byte that is not UTF-8 becomes ``\\ufffd``.
"""

import re
from json import JSONEncoder
from typing import Any

# Made once: `json.dumps` would make it for every call.
_json = JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
# Bytes that `text` could not decode, one character per byte.
_ESCAPES.update({0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)})
_ALONE = re.compile("[\ud800-\udfff]")


def encode(fields: dict[str, Any]) -> bytes:
    """Return the fields as JSON as Go writes it."""
    return _utf8(_json(fields).translate(_ESCAPES))


def encode_shortest(fields: dict[str, Any]) -> bytes:
    """Return the fields as JSON, without the escapes that JSON does not need."""
    return _utf8(_json(fields))


def text(content: bytes) -> str:
    """Return content as text. Bytes that are not UTF-8 become surrogates, which `encode` knows."""
    return content.decode("utf-8", "surrogateescape")


def _utf8(encoded: str) -> bytes:
    try:
        return encoded.encode()
    except UnicodeEncodeError:
        # Half a character (a lone surrogate): JSON can escape it, but UTF-8 cannot encode it.
        return _ALONE.sub("\\\\ufffd", encoded).encode()
