"""Shapes: each declares once what a value in a request must be.

A shape reads a value, and it gives a JSON Schema, so the document and the check agree. The type of
what it reads is known to mypy.
"""

import re
from typing import Any, Generic, Protocol, TypeVar

MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 63) - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character. JSON's escapes can name it, UTF-8 cannot encode it."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Schema = dict[str, Any]


class ShapeError(Exception):
    """A value does not have its shape; the text says where, and what is expected."""


class Shape(Protocol[T_co]):
    """The shape of a value in JSON."""

    def read(self, value: Any, where: str) -> T_co:
        """Return the checked value; raise `ShapeError`."""

    def schema(self) -> Schema:
        """Return the shape as JSON Schema."""


class TextShape(Shape[T_co], Protocol[T_co]):
    """The shape of a value that may stand in a URL as well."""

    def parse(self, text: str, where: str) -> T_co:
        """Return the value that a text stands for; raise `ShapeError`."""


class Integer:
    """A whole number of 64 bits, or from a smaller range."""

    def __init__(self, minimum: int = MIN_INTEGER, maximum: int = MAX_INTEGER) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def read(self, value: Any, where: str) -> int:
        if type(value) is not int or not self._minimum <= value <= self._maximum:
            wanted = f"an integer from {self._minimum} to {self._maximum}"
            raise ShapeError(f"{where}: {wanted} is wanted")
        return value

    def parse(self, text: str, where: str) -> int:
        return self.read(int(text) if _NUMBER.fullmatch(text) else None, where)

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self._minimum, "maximum": self._maximum}


class Text:
    """A text. With `choices` it is one of them; it has at most `max_length` characters."""

    def __init__(self, *choices: str, max_length: int | None = None) -> None:
        self._choices = choices
        self._max_length = max_length

    def read(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or (self._choices and value not in self._choices):
            wanted = " or ".join(self._choices) or "a text"
            raise ShapeError(f"{where}: {wanted} is wanted")
        if self._max_length is not None and len(value) > self._max_length:
            raise ShapeError(f"{where}: at most {self._max_length} characters are wanted")
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)

    parse = read

    def schema(self) -> Schema:
        made: Schema = {"type": "string"}
        if self._choices:
            made["enum"] = list(self._choices)
        if self._max_length is not None:
            made["maxLength"] = self._max_length
        return made


class Boolean:
    """The value ``true`` or ``false``."""

    def read(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise ShapeError(f"{where}: true or false is wanted")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


class ListOf(Generic[T]):
    """A list of at most `maximum` items."""

    def __init__(self, item: Shape[T], maximum: int) -> None:
        self._item = item
        self._maximum = maximum

    def read(self, value: Any, where: str) -> list[T]:
        if not isinstance(value, list) or len(value) > self._maximum:
            raise ShapeError(f"{where}: a list of at most {self._maximum} is wanted")
        return [self._item.read(one, f"{where}[{place}]") for place, one in enumerate(value)]

    def schema(self) -> Schema:
        return {"type": "array", "items": self._item.schema(), "maxItems": self._maximum}


class NumbersOf:
    """A list of integers, or null for an empty one. Items that are not numbers are passed over.

    The Go server takes such lists of members.
    """

    def __init__(self, maximum: int) -> None:
        self._list = ListOf(Integer(), maximum)

    def read(self, value: Any, where: str) -> list[int]:
        if value is None:
            return []
        if isinstance(value, list):
            value = [one for one in value if type(one) in (int, float)]
        return self._list.read(value, where)

    def schema(self) -> Schema:
        made = self._list.schema()
        anything = {"type": ["string", "boolean", "array", "object", "null"]}
        return {**made, "type": ["array", "null"], "items": {"anyOf": [made["items"], anything]}}


class AnyOf(Generic[T_co]):
    """One of several shapes: the first that fits counts."""

    def __init__(self, *shapes: Shape[T_co]) -> None:
        self._shapes = shapes

    def read(self, value: Any, where: str) -> T_co:
        whys: list[str] = []
        for shape in self._shapes:
            try:
                return shape.read(value, where)
            except ShapeError as why:
                whys.append(str(why))
        raise ShapeError("; or ".join(dict.fromkeys(whys)))

    def schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self._shapes]}
