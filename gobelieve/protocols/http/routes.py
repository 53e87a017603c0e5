"""Routes of the HTTP API, as they are declared: what comes in, what goes out, who may.

A `Route` is declared once. By it `http_router` checks requests, and `http_openapi` tells of them.
What answers it is ``async``; it is given what was asked for, checked, and gives what becomes the
JSON, or raises `HttpError`, `StorageError` or `BackendError`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from twisted.web.server import Request

from gobelieve.names import AckStatus, status_name
from gobelieve.protocols.http.shapes import Shape, TextShape
from gobelieve.wire.go_json import encode

JSON = "application/json"


class HttpError(Exception):
    """An answer that says that something was not done, and why."""

    def __init__(
        self,
        code: int,
        message: str,
        detail: str = "",
        data: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.data = data
        """Goes beside ``meta`` if there is any."""
        self.headers = headers or {}

    def body(self) -> bytes:
        """As JSON."""
        meta: dict[str, object] = {"code": self.code, "message": self.message}
        if self.detail:
            meta["detail"] = self.detail
        return encode({"meta": meta} if self.data is None else {"meta": meta, "data": self.data})


class Page(NamedTuple):
    """An answer that is no JSON of ours."""

    content_type: str
    content: bytes


Answer = Mapping[str, Any] | Page | None


class Call(NamedTuple):
    """A request that was checked."""

    query: dict[str, Any]
    """The values of the route's parameters, those of the path too; None for absent ones."""
    body: Any
    who: object
    """Whom `Access` let in."""


class Access(Protocol):
    """Who may use a route."""

    name: str
    """In the OpenAPI document."""

    def scheme(self) -> Mapping[str, Any] | None:
        """How to prove it, as OpenAPI says it; None if nothing is asked for."""

    def check(self, request: Request) -> object:
        """Whoever it is; `HttpError` if nobody."""


class Parameter(NamedTuple):
    """A parameter in the URL: in its path if that names it, else behind the ``?``."""

    name: str
    shape: TextShape
    what: str
    required: bool = True
    invalid: str = ""
    """The message if it is not what it must be; "": the route's."""


class TextBody(NamedTuple):
    """A body that is taken as it is."""

    what: str


class JsonBody(NamedTuple):
    """A body of JSON."""

    shape: Shape
    what: str = ""


class TextOrJson(NamedTuple):
    """Either: text if these parameters are there, else JSON."""

    parameters: tuple[str, ...]
    text: TextBody
    json: JsonBody


@dataclass(frozen=True)
class Route:
    """One thing that can be asked for."""

    path: str
    """``/online``, or with parts that are parameters: ``/groups/{group}/members``."""
    methods: tuple[str, ...]
    what: str
    """In one line; `more` says the rest."""
    answer: Callable[[Call], Awaitable[Answer]]
    access: Access | None
    """None: everybody may."""
    parameters: tuple[Parameter, ...] = ()
    body: TextBody | JsonBody | TextOrJson | None = None
    gives: Shape | str | None = None
    """The ``data`` of a 200; a content type for a `Page`; None: no body."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """What else it may answer, beside what every route may."""
    more: str = ""
    invalid: str = "invalid query param"
    """The message if a parameter is not what it must be."""
    wraps: bool = True
    """False: the answer is not wrapped into ``data``."""


def not_done(status: int, detail: str = "", data: object = None) -> HttpError:
    """What to say of a message or an ask that ended with an `AckStatus`."""
    if status == AckStatus.TOO_LARGE:
        return HttpError(413, "message too large", detail, data)
    reason = status_name(status).lower().replace("_", " ")
    return HttpError(503, reason, detail, data, {"retry-after": "1"})
