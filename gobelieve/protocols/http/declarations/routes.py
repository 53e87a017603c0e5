"""Operations of the HTTP API, as they are declared; routes, which bind them to their handlers.

An `Operation` says what comes in and what goes out. A handler is ``async``: it is given a `Call`
that was checked, and returns what the operation declares as its answer, or raises `HttpError`,
`StorageError` or `BackendError`. mypy refuses a handler that does not fit its operation.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol

from twisted.web.server import Request
from typing_extensions import TypeVar

from gobelieve.protocols.http.declarations.answers import Answer, NoAnswer
from gobelieve.protocols.http.declarations.bodies import Body, NoBody
from gobelieve.protocols.http.declarations.parameters import NoParameters, Parameters

P = TypeVar("P", bound=Parameters, default=NoParameters)
B = TypeVar("B", default=None)
A = TypeVar("A", default=None)
C = TypeVar("C", default=None)
C_co = TypeVar("C_co", covariant=True)

NO_BODY = NoBody()
NO_ANSWER = NoAnswer()


class Call(NamedTuple, Generic[P, B, C]):
    """A request that was checked."""

    parameters: P
    body: B
    caller: C
    """The caller, as `Access.check` returned it."""


class Access(Protocol[C_co]):
    """The condition on which a route is open to a caller."""

    name: str
    """In the OpenAPI document."""

    def scheme(self) -> Mapping[str, Any] | None:
        """Return OpenAPI's security scheme; None if no proof is asked for."""

    def check(self, request: Request) -> C_co:
        """Return the caller; raise `HttpError` if the route is not open to it."""


class OpenToAll:
    """`Access` for all callers, without any proof."""

    name = ""

    def scheme(self) -> None:
        return None

    def check(self, request: Request) -> None:
        return None


@dataclass(frozen=True)
class Operation(Generic[P, B, A]):
    """A request that the API answers, without its handler."""

    methods: str
    """With spaces between them: ``POST PATCH``."""
    path: str
    """``/online``, or with segments that are parameters: ``/groups/{group}/members``."""
    summary: str
    """In one line; `description` says the rest."""
    # The types' defaults are those of the type variables, which mypy does not connect.
    parameters: type[P] = NoParameters  # type: ignore[assignment]
    body: Body[B] = NO_BODY  # type: ignore[assignment]
    answer: Answer[A] = NO_ANSWER  # type: ignore[assignment]
    errors: Mapping[int, str] = field(default_factory=dict)
    """Errors by status, beside those that every route may have."""
    description: str = ""
    invalid: str = "invalid query param"
    """The message of the error if a parameter is invalid."""

    def route(self, access: Access[C], handler: Callable[[Call[P, B, C]], Awaitable[A]]) -> "Route":
        """Return the route on which this handler answers the callers that have access."""
        return Route(self, access, handler)


class Route(NamedTuple):
    """An operation with its handler, and the access to it."""

    operation: Operation[Any, Any, Any]
    access: Access[Any]
    handler: Callable[[Call[Any, Any, Any]], Awaitable[Any]]

    @property
    def path(self) -> str:
        """Return the operation's path."""
        return self.operation.path

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the operation's methods, in capitals."""
        return tuple(self.operation.methods.split())
