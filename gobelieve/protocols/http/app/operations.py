"""The app API: what the Go system has a server of its own for, with its paths and bodies.

The server of an app grants tokens, makes and changes groups, and writes messages. It does so within
its own app, which it proves with the app's secret. Each operation of this folder is an
`AppOperation`, whose path begins with ``/api`` and whose handler is given the app.
`gobelieve.groups.changes` changes groups, `gobelieve.gateway.rules` posts messages.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from gobelieve.protocols.http.app.access import AppAccess, Claim
from gobelieve.protocols.http.declarations.parameters import Parameter, Parameters
from gobelieve.protocols.http.declarations.routes import A, B, Call, Operation, P, Route
from gobelieve.protocols.http.declarations.shapes import AnyOf, Boolean, Integer, Text
from gobelieve.protocols.http.errors import HttpError

T = TypeVar("T")

ID = Integer(1)
NAME = Text(max_length=255)
"""The name of a user, a group or a member: databases have no room for a longer one."""
FLAG = AnyOf[int](Boolean(), Integer(0, 1))
UID = Parameter("uid", ID, "The user.")
AWAY = {503: "A store, or Redis for announcements, is away. Repeat the call; that is safe."}


class OfUser(Parameters):
    """A user of the app."""

    uid = UID


class AppCall(NamedTuple, Generic[P, B]):
    """A request of an app's server that was checked."""

    appid: int
    """The app whose server asks."""
    parameters: P
    body: B


@dataclass(frozen=True)
class AppOperation(Operation[P, B, A]):
    """An operation for servers of apps, whose handler is given the app."""

    invalid: str = "invalid param"

    def app_route(
        self, access: AppAccess, handler: Callable[[AppCall[P, B]], Awaitable[A]]
    ) -> Route:
        """Return the route on which this handler answers servers of apps."""

        async def checked(call: Call[P, B, Claim]) -> A:
            appid = await access.app(call.caller)
            return await handler(AppCall(appid, call.parameters, call.body))

        return self.route(access, checked)


class TaskQueue(Protocol):
    """Carries out tasks that must come to their end, even if the caller hangs up."""

    async def do(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, after all tasks that were begun with the same key."""


def only_one(**given: object) -> str:
    """Return the name of the one field that is not None; `HttpError` if it is not exactly one."""
    found = [name for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise HttpError(400, "invalid param", f"exactly one of {', '.join(given)} is wanted")
    return found[0]
