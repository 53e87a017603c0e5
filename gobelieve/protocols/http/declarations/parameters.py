"""Parameters in the URL of a request, declared as a class with an attribute per parameter.

::

    class OfUser(Parameters):
        appid = Parameter("appid", Integer(), "The app.")
        device = OptionalParameter("device", Integer(), "Only this device.")

A parameter is in the path if the path names it, else behind the ``?``. mypy knows the types of the
values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from gobelieve.protocols.http.declarations.shapes import ShapeError, TextShape
from gobelieve.protocols.http.errors import HttpError

T = TypeVar("T")

PathValues = Mapping[str, str | None]
"""The decoded segments of a path that are parameters; None for one that cannot be decoded."""
QueryValues = Mapping[bytes, Sequence[bytes]]
"""The decoded values behind the ``?``, by name. If a name comes twice, the first value counts."""


class Parameter(Generic[T]):
    """A parameter that a request must have."""

    required = True

    def __init__(
        self, name: str, shape: TextShape[T], description: str, *, invalid: str = ""
    ) -> None:
        self.name = name
        self.shape = shape
        self.description = description
        self.invalid = invalid
        """The message of the error if the value has another shape; empty: the operation's."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: "Parameters", owner: type) -> T: ...

    def __get__(self, instance: "Parameters | None", owner: type) -> Any:
        return self if instance is None else instance.values[self.name]

    def read(self, in_path: PathValues, in_query: QueryValues) -> T | None:
        """Return the checked value, None if it is absent and optional; raise `ShapeError`."""
        if self.name in in_path:
            text = in_path[self.name]
            if text is None:
                raise ShapeError(f"{self.name} is not percent-encoded UTF-8")
        else:
            values = in_query.get(self.name.encode())
            if not values:
                if self.required:
                    raise ShapeError(f"{self.name} is missing")
                return None
            try:
                text = values[0].decode()
            except UnicodeDecodeError:
                raise ShapeError(f"{self.name} is not UTF-8") from None
        return self.shape.parse(text, self.name)


class OptionalParameter(Parameter[T | None]):
    """A parameter that a request may have; its value is None if it is absent."""

    required = False


class Parameters:
    """The values of the parameters that a subclass declares."""

    declared: ClassVar[tuple[Parameter[Any], ...]] = ()
    """In the order in which they are documented and checked."""

    def __init_subclass__(cls) -> None:
        declared = [one for one in vars(cls).values() if isinstance(one, Parameter)]
        cls.declared = (*cls.declared, *declared)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    @classmethod
    def read(cls, in_path: PathValues, in_query: QueryValues, invalid: str) -> Self:
        """Return the checked values; raise `HttpError` 400, `invalid` is its message."""
        values: dict[str, Any] = {}
        for one in cls.declared:
            try:
                values[one.name] = one.read(in_path, in_query)
            except ShapeError as why:
                raise HttpError(400, one.invalid or invalid, str(why)) from None
        return cls(values)


class NoParameters(Parameters):
    """The parameters of an operation that has none."""
