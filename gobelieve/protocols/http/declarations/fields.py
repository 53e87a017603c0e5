"""Objects of JSON, each declared as a class with a field per key.

::

    class Letter(Fields):
        receiver = Field(Integer())
        content = Field(Text())
        sender = OptionalField(Integer())

The class is a shape: `Letter.read` checks a value of JSON, and mypy knows that ``letter.receiver``
is an int, and ``letter.sender`` an int or None.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from gobelieve.protocols.http.declarations.shapes import Schema, Shape, ShapeError

T = TypeVar("T")


class Field(Generic[T]):
    """A key that an object must have, and the shape of its value."""

    required = True
    name: str

    def __init__(self, shape: Shape[T]) -> None:
        self.shape = shape

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: "Fields", owner: type) -> T: ...

    def __get__(self, instance: "Fields | None", owner: type) -> Any:
        return self if instance is None else instance.given.get(self.name)


class OptionalField(Field[T | None]):
    """A key that an object may have; its value is None if it is absent."""

    required = False

    def __init__(self, shape: Shape[T]) -> None:
        super().__init__(shape)


class Fields:
    """An object whose class declares its keys. Other keys are passed over, as in the Go server."""

    _fields: ClassVar[tuple[Field[Any], ...]] = ()
    """The required ones first."""

    def __init_subclass__(cls) -> None:
        declared = [one for one in vars(cls).values() if isinstance(one, Field)]
        fields = [*cls._fields, *declared]
        cls._fields = tuple(sorted(fields, key=lambda one: not one.required))

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        """The declared keys that the object has, with their checked values."""

    @classmethod
    def read(cls, value: Any, where: str) -> Self:
        """Return the checked object; raise `ShapeError`."""
        if not isinstance(value, dict):
            raise ShapeError(f"{where}: an object is wanted")
        given: dict[str, Any] = {}
        for field in cls._fields:
            if field.name in value:
                given[field.name] = field.shape.read(value[field.name], f"{where}.{field.name}")
            elif field.required:
                raise ShapeError(f"{where}.{field.name} is missing")
        return cls(given)

    @classmethod
    def schema(cls) -> Schema:
        """Return the object as JSON Schema."""
        return {
            "type": "object",
            "properties": {field.name: field.shape.schema() for field in cls._fields},
            "required": [field.name for field in cls._fields if field.required],
        }
