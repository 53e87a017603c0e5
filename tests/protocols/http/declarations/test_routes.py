"""Operations and their handlers: mypy refuses a handler that does not fit its operation."""

from typing import Any, TypedDict

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields
from gobelieve.protocols.http.declarations.parameters import Parameter, Parameters
from gobelieve.protocols.http.declarations.routes import Call, OpenToAll, Operation
from gobelieve.protocols.http.declarations.shapes import Integer, Text


class OfUser(Parameters):
    """The user to rename."""

    uid = Parameter("uid", Integer(), "The user.")


class Name(Fields):
    """A new name for a user."""

    name = Field(Text())


class Count(TypedDict):
    """An answer with a number."""

    count: int


class Key:
    """Access for callers with a key, which is a number."""

    name = "key"

    def scheme(self) -> None:
        return None

    def check(self, request: Request) -> int:
        raise NotImplementedError


RENAME = Operation("POST PATCH", "/users/{uid}", "Rename.", OfUser, JsonBody(Name), Data[Count]({}))
EMPTY = Operation("GET", "/", "Do nothing.")


async def rename(call: Call[OfUser, Name, int]) -> Count:
    """Return a number that is made of all that the call has."""
    return {"count": call.parameters.uid + len(call.body.name) + call.caller}


async def rename_as_anybody(call: Call[OfUser, Name]) -> Count:
    raise NotImplementedError


async def rename_without_a_body(call: Call[OfUser, None, int]) -> Count:
    raise NotImplementedError


async def rename_without_parameters(call: Call[Parameters, Name, str]) -> Count:
    raise NotImplementedError


async def rename_without_an_answer(call: Call[OfUser, Name, int]) -> None:
    raise NotImplementedError


async def do_nothing(call: Call) -> None:
    raise NotImplementedError


class OperationTests(SynchronousTestCase):
    """An operation becomes a route by a handler that fits it."""

    def test_a_route_has_what_its_operation_declares(self) -> None:
        """The route has the path, the methods and the handler."""
        route = RENAME.route(Key(), rename)
        self.assertEqual((route.path, route.methods), ("/users/{uid}", ("POST", "PATCH")))
        call: Call[Any, Any, int] = Call(OfUser({"uid": 3}), Name({"name": "Ann"}), 5)
        handled: Any = route.handler(call)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(handled)), {"count": 11})

    def test_a_handler_that_does_not_fit_is_refused_by_mypy(self) -> None:
        """mypy reports an unused ``type: ignore`` here as soon as one of these passes."""
        wrong = [
            RENAME.route(Key(), rename_as_anybody),  # type: ignore[arg-type]
            RENAME.route(Key(), rename_without_a_body),  # type: ignore[arg-type]
            RENAME.route(Key(), rename_without_parameters),  # type: ignore[arg-type]
            RENAME.route(Key(), rename_without_an_answer),  # type: ignore[arg-type]
            RENAME.route(OpenToAll(), rename),  # type: ignore[misc]
            EMPTY.route(Key(), rename),  # type: ignore[arg-type]
            RENAME.route(Key(), do_nothing),  # type: ignore[arg-type]
        ]
        self.assertEqual(len({route.handler for route in wrong}), 6, "no check at run time")
