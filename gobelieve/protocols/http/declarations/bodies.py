"""Bodies of requests: none, text, JSON of a shape, or one of the latter two."""

import json
from typing import Any, Generic, Protocol, TypeVar

from gobelieve.protocols.http.declarations.parameters import Parameters
from gobelieve.protocols.http.declarations.shapes import Schema, Shape, ShapeError
from gobelieve.protocols.http.errors import HttpError

JSON = "application/json"
TEXT = "text/plain"
MAX_DETAIL = 200
"""Characters of an error's detail."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Body(Protocol[T_co]):
    """The declaration of a request's body."""

    may_be_invalid: bool
    """Whether a body can be refused with 400."""

    def read(self, content: bytes, parameters: Parameters) -> T_co:
        """Return the checked body; raise `HttpError` 400."""

    def described(self) -> Schema | None:
        """Return OpenAPI's request body; None if there is none."""


class NoBody:
    """The body of an operation that ignores it."""

    may_be_invalid = False

    def read(self, content: bytes, parameters: Parameters) -> None:
        return None

    def described(self) -> None:
        return None


class TextBody:
    """A body whose bytes are taken as they are."""

    may_be_invalid = False

    def __init__(self, description: str) -> None:
        self.description = description

    def read(self, content: bytes, parameters: Parameters) -> bytes:
        return content

    def described(self) -> Schema:
        return {
            "description": self.description,
            "content": {TEXT: {"schema": {"type": "string"}}},
        }


class JsonBody(Generic[T]):
    """A body of JSON."""

    may_be_invalid = True

    def __init__(self, shape: Shape[T], description: str = "") -> None:
        self._shape = shape
        self._description = description

    def read(self, content: bytes, parameters: Parameters) -> T:
        try:
            return self._shape.read(_decode(content.decode()), "the body")
        except (ValueError, RecursionError, ShapeError) as why:
            detail = str(why)[:MAX_DETAIL]
            raise HttpError(400, "invalid json format", detail) from None

    def described(self) -> Schema:
        made = {"required": True, "content": {JSON: {"schema": self._shape.schema()}}}
        return {"description": self._description, **made} if self._description else made


class TextOrJson(Generic[T]):
    """A body of text if the request has all of these parameters, else of JSON."""

    may_be_invalid = True

    def __init__(self, parameters: tuple[str, ...], text: TextBody, json: JsonBody[T]) -> None:
        self._parameters = parameters
        self._text = text
        self._json = json

    def read(self, content: bytes, parameters: Parameters) -> bytes | T:
        if all(parameters.values[name] is not None for name in self._parameters):
            return self._text.read(content, parameters)
        return self._json.read(content, parameters)

    def described(self) -> Schema:
        text, json = self._text.described(), self._json.described()
        named = " and ".join(f"`{name}`" for name in self._parameters)
        description = f"With {named} in the URL: text. Otherwise: JSON. {self._text.description}"
        return {"description": description, "content": {**json["content"], **text["content"]}}


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode
