"""Wire types, and the codec that is compiled from a message's annotations.

A field's annotation is its Python type for the type checker and its layout for the codec: `I64`
is an ``int`` that travels as a signed 64-bit integer. Neighbouring integers become one
`struct.Struct` per version of the protocol. Fields without a fixed length (`Rest`, `Short`,
`Inner16`, `Many`) are read one by one.
"""

from collections.abc import Sequence
from struct import Struct, error
from typing import Annotated, Any, Protocol, get_args

from gobelieve.errors import BodyError


class FieldType(Protocol):
    """A wire type of variable length."""

    def read(self, body: bytes, at: int) -> tuple[Any, int]:
        """Return the value that begins at offset `at`, and the offset after it."""

    def write(self, value: Any) -> bytes:
        """Return the bytes of a value; `BodyError` if it does not fit."""


class _Rest:
    """All bytes up to the end of the body."""

    def read(self, body: bytes, at: int) -> tuple[bytes, int]:
        return body[at:], len(body)

    def write(self, value: bytes) -> bytes:
        return value


class _Counted:
    """Bytes that come after their length."""

    def __init__(self, code: str) -> None:
        self._length = Struct(">" + code)

    def read(self, body: bytes, at: int) -> tuple[bytes, int]:
        start = at + self._length.size
        if start > len(body):
            raise BodyError(f"the body ends at {len(body)}, inside the length at {at}")
        (length,) = self._length.unpack_from(body, at)
        if not 0 <= length <= len(body) - start:
            raise BodyError(f"a length of {length} where {len(body) - start} bytes are left")
        return body[start : start + length], start + length

    def write(self, value: bytes) -> bytes:
        try:
            return self._length.pack(len(value)) + value
        except error:
            raise BodyError(f"{len(value)} bytes do not fit here") from None


class _Many:
    """Signed 64-bit integers that come after their count, an unsigned 16-bit integer."""

    def read(self, body: bytes, at: int) -> tuple[tuple[int, ...], int]:
        start = at + 2
        count = int.from_bytes(body[at:start], "big")
        end = start + 8 * count
        if end > len(body) or start > len(body):
            raise BodyError(f"{count} numbers do not fit in {len(body) - at} bytes")
        return Struct(f">{count}q").unpack_from(body, start), end

    def write(self, value: Sequence[int]) -> bytes:
        try:
            return Struct(f">H{len(value)}q").pack(len(value), *value)
        except error:
            raise BodyError(f"{len(value)} numbers do not fit here") from None


I8 = Annotated[int, "b"]
U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
I32 = Annotated[int, "i"]
U32 = Annotated[int, "I"]
I64 = Annotated[int, "q"]
Gap16 = Annotated[bytes, "16s"]
"""Sixteen bytes without a meaning."""
Bytes32 = Annotated[bytes, "32s"]
"""A field of exactly 32 bytes."""
Rest = Annotated[bytes, _Rest()]
Short = Annotated[bytes, _Counted("B")]
"""At most 255 bytes after an unsigned 8-bit length."""
Inner16 = Annotated[bytes, _Counted("h")]
"""At most 32767 bytes after a signed 16-bit length."""
Inner32 = Annotated[bytes, _Counted("I")]
Many = Annotated[tuple[int, ...], _Many()]


class _Fixed:
    """A run of neighbouring fields of fixed length."""

    def __init__(self, codes: str) -> None:
        self._struct = Struct(">" + codes)

    def read(self, body: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        try:
            return self._struct.unpack_from(body, at), at + self._struct.size
        except error:
            need = at + self._struct.size
            raise BodyError(f"{len(body)} bytes, at least {need} are needed") from None

    def write(self, values: Sequence[Any]) -> bytes:
        try:
            return self._struct.pack(*values)
        except error as why:
            raise BodyError(f"a value does not fit: {why}") from None


class Layout:
    """The layout of one message in one version: converts values in field order to bytes and back.

    `fields` are (annotation, present, default). A field that this version does not have takes no
    bytes and reads as its default.
    """

    def __init__(self, fields: Sequence[tuple[Any, bool, Any]]) -> None:
        self._defaults = [None if present else (default,) for _, present, default in fields]
        self.offsets = _offsets(fields)
        """By position in `fields`: where a field begins. Fields behind one of variable length, and
        fields that this version does not have, are left out."""
        self._steps: list[tuple[_Fixed | FieldType, slice | int]] = []
        codes, first, place = "", 0, 0
        for annotation, present, _ in fields:
            if not present:
                continue
            mark = get_args(annotation)[1]
            if isinstance(mark, str):
                codes += mark
            else:
                self._close_run(codes, first, place)
                self._steps.append((mark, place))
                codes, first = "", place + 1
            place += 1
        self._close_run(codes, first, place)

    def _close_run(self, codes: str, first: int, place: int) -> None:
        if codes:
            self._steps.append((_Fixed(codes), slice(first, place)))

    def decode(self, body: bytes) -> list[Any]:
        """Return the values of all fields; `BodyError` if the body is too short.

        Bytes after the last field are ignored.
        """
        present: list[Any] = []
        at = 0
        for step, place in self._steps:
            value, at = step.read(body, at)
            if isinstance(place, slice):
                present.extend(value)
            else:
                present.append(value)
        values = iter(present)
        return [next(values) if absent is None else absent[0] for absent in self._defaults]

    def encode(self, values: Sequence[Any]) -> bytes:
        """Return the body; `BodyError` if a value does not fit its field."""
        present = [v for v, absent in zip(values, self._defaults, strict=True) if absent is None]
        return b"".join(step.write(present[place]) for step, place in self._steps)


def _offsets(fields: Sequence[tuple[Any, bool, Any]]) -> dict[int, int]:
    found: dict[int, int] = {}
    at = 0
    for position, (annotation, present, _) in enumerate(fields):
        if not present:
            continue
        found[position] = at
        mark = get_args(annotation)[1]
        if not isinstance(mark, str):
            break
        at += Struct(">" + mark).size
    return found
