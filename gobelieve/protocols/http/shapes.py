"""Shapes: what a value in a request must be, declared once.

A shape reads a value, and is a JSON Schema, so what is documented is what is checked. Fields that
a shape does not name are passed over, as upstream does.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol

MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 63) - 1
_ALONE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can name by its escapes and UTF-8 cannot."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)

Schema = dict[str, Any]


class ShapeError(Exception):
    """A value is not what it must be; the text says where, and what is wanted."""


class Shape(Protocol):
    """What a value of JSON must be."""

    def read(self, value: Any, where: str) -> Any:
        """The value as we want it; `ShapeError`."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""


class TextShape(Shape, Protocol):
    """What may be in a URL too."""

    def parse(self, text: str, where: str) -> Any:
        """The value that a text stands for; `ShapeError`."""


class Integer:
    """A whole number of 64 bits, or of fewer."""

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
    """A text; of certain ones if there are `choices`, of at most so many characters if there is
    `max_length`."""

    def __init__(self, *choices: str, max_length: int | None = None) -> None:
        self._choices = choices
        self._max_length = max_length

    def read(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or (self._choices and value not in self._choices):
            wanted = " or ".join(self._choices) or "a text"
            raise ShapeError(f"{where}: {wanted} is wanted")
        if self._max_length is not None and len(value) > self._max_length:
            raise ShapeError(f"{where}: at most {self._max_length} characters are wanted")
        return value if value.isascii() else _ALONE.sub("\ufffd", value)

    parse = read

    def schema(self) -> Schema:
        made: Schema = {"type": "string"}
        if self._choices:
            made["enum"] = list(self._choices)
        if self._max_length is not None:
            made["maxLength"] = self._max_length
        return made


class Boolean:
    """True or false."""

    def read(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise ShapeError(f"{where}: true or false is wanted")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


class ListOf:
    """A list, not too long."""

    def __init__(self, item: Shape, maximum: int) -> None:
        self._item = item
        self._maximum = maximum

    def read(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > self._maximum:
            raise ShapeError(f"{where}: a list of at most {self._maximum} is wanted")
        return [self._item.read(one, f"{where}[{place}]") for place, one in enumerate(value)]

    def schema(self) -> Schema:
        return {"type": "array", "items": self._item.schema(), "maxItems": self._maximum}


class NumbersOf:
    """A list of which only the numbers count, which must be integers; or null for an empty one.

    Upstream takes such lists of members.
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


class Fields:
    """An object with certain fields."""

    def __init__(
        self, required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None
    ) -> None:
        self._required = required
        self._optional = optional or {}

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ShapeError(f"{where}: an object is wanted")
        found: dict[str, Any] = {}
        for name, shape in self._required.items():
            if name not in value:
                raise ShapeError(f"{where}.{name} is missing")
            found[name] = shape.read(value[name], f"{where}.{name}")
        for name, shape in self._optional.items():
            if name in value:
                found[name] = shape.read(value[name], f"{where}.{name}")
        return found

    def schema(self) -> Schema:
        shapes = {**self._required, **self._optional}
        return {
            "type": "object",
            "properties": {name: shape.schema() for name, shape in shapes.items()},
            "required": list(self._required),
        }


class AnyOf:
    """One of several shapes: the first that fits counts."""

    def __init__(self, *shapes: Shape) -> None:
        self._shapes = shapes

    def read(self, value: Any, where: str) -> Any:
        whys: list[str] = []
        for shape in self._shapes:
            try:
                return shape.read(value, where)
            except ShapeError as why:
                whys.append(str(why))
        raise ShapeError("; or ".join(dict.fromkeys(whys)))

    def schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self._shapes]}


class Anything:
    """For answers: what is in it is said elsewhere."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def read(self, value: Any, where: str) -> Any:
        return value

    def schema(self) -> Schema:
        return self._schema
