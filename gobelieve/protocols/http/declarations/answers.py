"""Answers of status 200: no body, ``{"data":...}``, other JSON, or a page of another type.

An answer's type is given where it is declared, ``Data[Count](schema)``, and mypy checks that the
handler returns it.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from gobelieve.protocols.http.declarations.bodies import JSON
from gobelieve.protocols.http.declarations.shapes import Schema
from gobelieve.wire.go_json import encode

T_contra = TypeVar("T_contra", contravariant=True)


class Page(NamedTuple):
    """The content of an answer, and its type."""

    content_type: str
    content: bytes


class Answer(Protocol[T_contra]):
    """The declaration of an answer."""

    def page(self, value: T_contra) -> Page | None:
        """Return the answer as it is sent; None: it has no body."""

    def described(self) -> Schema | None:
        """Return OpenAPI's content of the answer; None if it has no body."""


class NoAnswer:
    """An answer without a body: the status says all."""

    def page(self, value: None) -> None:
        return None

    def described(self) -> None:
        return None


class Data(Generic[T_contra]):
    """JSON in an object with the key ``data``."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def page(self, value: T_contra) -> Page:
        return Page(JSON, encode({"data": value}))

    def described(self) -> Schema:
        schema = {"type": "object", "required": ["data"], "properties": {"data": self._schema}}
        return {JSON: {"schema": schema}}


class PlainJson:
    """A JSON object that is not wrapped."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def page(self, value: Mapping[str, object]) -> Page:
        return Page(JSON, encode(dict(value)))

    def described(self) -> Schema:
        return {JSON: {"schema": self._schema}}


class PageAnswer:
    """A page of a content type, which the handler makes whole."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type

    def page(self, value: Page) -> Page:
        return value

    def described(self) -> Schema:
        return {self._content_type: {"schema": {"type": "string"}}}
