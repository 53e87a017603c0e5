"""The table of routes."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError, StorageError
from gobelieve.names import AckStatus
from gobelieve.protocols.http.declarations.answers import Answer, Data, Page, PageAnswer
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields
from gobelieve.protocols.http.declarations.parameters import (
    NoParameters,
    OptionalParameter,
    Parameter,
    Parameters,
)
from gobelieve.protocols.http.declarations.routes import (
    NO_ANSWER,
    Call,
    OpenToAll,
    Operation,
    Route,
)
from gobelieve.protocols.http.declarations.shapes import Integer, Text
from gobelieve.protocols.http.errors import HttpError
from gobelieve.protocols.http.router import Router
from gobelieve.protocols.http.site import (
    MAX_BODY_BYTES,
    MAX_LARGE_BODIES,
    SMALL_BODY_BYTES,
    LimitedSite,
)
from tests.web import Response, Wire, ask


class Named(Parameters):
    """A parameter in the path."""

    name = Parameter("name", Text(), "")


class RouterTests(SynchronousTestCase):
    """Each request is answered by its route, or by an error."""

    def setUp(self) -> None:
        self.calls: list[Call[Any, Any]] = []
        self.gives: Any = None

    async def answer(self, call: Call[Any, Any]) -> Any:
        self.calls.append(call)
        if isinstance(self.gives, Exception):
            raise self.gives
        if isinstance(self.gives, Deferred):
            return await self.gives
        return self.gives

    def site(self, *routes: Route) -> LimitedSite:
        return LimitedSite(Router(routes), Clock())

    def route(
        self,
        path: str = "/x",
        methods: str = "GET",
        parameters: type[Parameters] = NoParameters,
        answer: Answer[Any] = NO_ANSWER,
    ) -> Route:
        operation = Operation(methods, path, "", parameters, answer=answer)
        return operation.route(OpenToAll(), self.answer)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Response:
        return ask(self.site(*self.routes), method, path, body)

    routes: tuple[Route, ...] = ()

    def test_answers(self) -> None:
        """An answer is nothing, JSON or a page; a HEAD has the same headers."""
        self.routes = (self.route(),)
        nothing = self.ask("/x")
        self.assertEqual((nothing.code, nothing.body), (200, b""))
        self.assertNotIn("content-type", nothing.headers)
        self.routes = (self.route(answer=Data[object]({})),)
        self.gives = {"b": 1, "a": "<"}
        self.assertEqual(self.ask("/x").body, b'{"data":{"a":"\\u003c","b":1}}')
        wire = Wire(self.site(*self.routes))
        wire.send("HEAD", "/x", None, {"connection": "close"})
        head = wire.transport.value().decode()
        self.assertIn("Content-Length: 29", head)
        self.assertTrue(head.endswith("\r\n\r\n"))
        self.routes = (self.route(answer=PageAnswer("text/plain")),)
        self.gives = Page("text/plain", b"text")
        page = self.ask("/x")
        self.assertEqual((page.headers["content-type"], page.body), ("text/plain", b"text"))

    def test_paths_without_a_route(self) -> None:
        """The answer is the text of the Go server."""
        self.routes = (self.route(), self.route("/y/{id}"))
        for path in ("/", "/z", "/x/", "/x/y", "/y", "/y/", "/y/1/2", "//x", "/%ff", "/y%2f1"):
            response = self.ask(path)
            self.assertEqual((response.code, response.body), (404, b"404 page not found\n"), path)

    def test_escapes_in_paths(self) -> None:
        """Each segment is decoded, once; a slash that is escaped does not separate."""
        self.routes = (self.route("/plain"), self.route("/y/{name}/z", parameters=Named))
        for path in ("/plain", "/pl%61in", "/%70%6C%61%69%6e", "/y/1/%7A", "/%79/1/z"):
            self.assertEqual(self.ask(path).code, 200, path)
        self.calls.clear()
        for segment, value in (
            ("%C3%BC", "ü"),
            ("a%2Fb", "a/b"),
            ("a%2fz", "a/z"),
            ("%2E%2E", ".."),
            ("%2561", "%61"),
            ("a%3Fb", "a?b"),
            ("a+b", "a+b"),
            ("%7Bname%7D", "{name}"),
        ):
            self.assertEqual(self.ask(f"/y/{segment}/z").code, 200, segment)
            self.assertEqual(self.calls.pop().parameters.values, {"name": value})

    def test_escaped_paths_that_do_not_exist(self) -> None:
        """An escaped slash, a double escape and segments with dots lead nowhere."""
        self.routes = (self.route("/plain"), self.route("/y/{name}/z"))
        for path in (
            "/%2Fplain",
            "/plain%2F",
            "%2Fplain",
            "/pl%2561in",
            "/x/../plain",
            "/x/%2E%2E/plain",
            "/%2e/plain",
            "/y%2F1/z",
            "/y/1%2Fz",
            "/y//z",
            "/plain%00",
            "/plain%3F",
            "/%7Bname%7D",
        ):
            response = self.ask(path)
            self.assertEqual((response.code, response.body), (404, b"404 page not found\n"), path)

    def test_malformed_escapes(self) -> None:
        """404 in the name of a path, 400 in a parameter; never an error in the log."""
        self.routes = (self.route("/plain"), self.route("/y/{name}", parameters=Named))
        for bad in ("%", "%6", "%zz", "%6z", "%%36", "%u0061", "%ff", "%C3", "%ED%A0%80", "%C0%AF"):
            self.assertEqual(self.ask(f"/pl{bad}in").code, 404, bad)
            self.assertEqual(self.ask(f"/y{bad}/1").code, 404, bad)
            response = self.ask(f"/y/{bad}")
            self.assertEqual((response.code, response.message), (400, "invalid query param"), bad)
        self.assertEqual(self.calls, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_requests_for_escaped_paths_are_counted_by_route(self) -> None:
        """The metrics name the route's path, so an escape makes no further label."""
        router = Router([self.route("/y/{id}")])
        site = LimitedSite(router, Clock())
        for path in ("/y/1", "/%79/%32", "/y/%zz", "/%zz/1"):
            ask(site, "GET", path)
        self.assertEqual(dict(router.answered), {("/y/{id}", 200): 3, ("other", 404): 1})

    def test_several_methods_at_a_path(self) -> None:
        """Each method has its route; a 405 names those that there are."""
        other: list[Call] = []

        async def write(call: Call) -> None:
            other.append(call)

        patch = Operation("POST PATCH", "/x", "").route(OpenToAll(), write)
        self.routes = (self.route(), patch)
        self.ask("/x")
        self.ask("/x", "PATCH", b"")
        self.assertEqual((len(self.calls), len(other)), (1, 1))
        refused = self.ask("/x", "DELETE")
        self.assertEqual((refused.code, refused.message), (405, "method not allowed"))
        self.assertEqual(refused.headers["allow"], "GET, POST, PATCH, HEAD")

    def test_two_routes_for_one_method_and_path(self) -> None:
        """The router refuses the table when it is made."""
        self.assertRaises(ValueError, Router, [self.route(), self.route()])
        self.assertRaises(ValueError, Router, [self.route("/a/{b}"), self.route("/a/{b}")])

    def test_parameters(self) -> None:
        """Parameters are in the path and in the query. The first value counts; absent ones are
        None."""

        class Three(Parameters):
            group = Parameter("group", Integer(), "")
            b = OptionalParameter("b", Text(), "")
            c = OptionalParameter("c", Integer(), "")

        self.routes = (self.route("/groups/{group}/x", parameters=Three),)
        self.assertEqual(self.ask("/groups/7/x?b=%C3%BC&b=2").code, 200)
        self.assertEqual(self.calls.pop().parameters.values, {"group": 7, "b": "ü", "c": None})
        self.assertEqual(self.ask("/groups/7/x").code, 200)
        self.assertEqual(self.calls.pop().parameters.values, {"group": 7, "b": None, "c": None})
        for path in ("/groups/x/x", "/groups/7/x?c=y", "/groups/7/x?c=", "/groups/7/x?b=%ff"):
            response = self.ask(path)
            self.assertEqual((response.code, response.message), (400, "invalid query param"), path)
            self.assertTrue(response.json["meta"]["detail"])
        self.assertEqual(self.calls, [])

    def test_bodies_that_are_not_the_expected_json(self) -> None:
        """Each is refused with 400, whatever is wrong with it."""

        class Number(Fields):
            a = Field(Integer())

        operation = Operation("POST", "/x", "", body=JsonBody(Number))
        self.routes = (operation.route(OpenToAll(), self.answer),)
        self.assertEqual(self.ask("/x", "POST", b' {"a": 1, "b": 2} ').code, 200)
        self.assertEqual(self.calls.pop().body.given, {"a": 1})
        deep = b"[" * 100_000
        for bad in (b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1.0}', b"[]", deep, b'{"a": 1} 2'):
            response = self.ask("/x", "POST", bad)
            answer = (response.code, response.message)
            self.assertEqual(answer, (400, "invalid json format"), bad[:20])
        long = b'{"a": %s}' % (b"9" * 5000)
        self.assertEqual(self.ask("/x", "POST", long).code, 400)

    def test_a_body_that_is_too_long(self) -> None:
        """The answer is 413, even for operations without a body."""
        self.routes = (self.route(methods="GET POST"),)
        response = self.ask("/x", "POST", bytes(MAX_BODY_BYTES + 1))
        self.assertEqual((response.code, response.message), (413, "request too large"))
        self.assertEqual(self.calls, [])

    def test_errors(self) -> None:
        """Each error has its code. A bug is logged, and its answer tells nothing about it."""
        self.routes = (self.route(),)
        for why, code, message in (
            (HttpError(418, "teapot", "short"), 418, "teapot"),
            (StorageError(AckStatus.STORAGE_AWAY, "gone"), 503, "storage away"),
            (StorageError(AckStatus.TOO_LARGE, "long"), 413, "message too large"),
            (StorageError(199, "new"), 503, "199"),
            (BackendError("redis is away"), 503, "service unavailable"),
        ):
            self.gives = why
            response = self.ask("/x")
            self.assertEqual((response.code, response.message), (code, message))
        self.assertNotIn(b"redis", response.body)
        self.gives = HttpError(599, "x")
        self.assertEqual(self.ask("/x").code, 599)
        self.gives = ZeroDivisionError("a secret")
        response = self.ask("/x")
        self.assertEqual((response.code, response.message), (500, "internal server error"))
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_too_many_large_bodies_at_once(self) -> None:
        """The answer asks the client to send the request again."""
        self.routes = (self.route(methods="POST"),)
        site = self.site(*self.routes)
        for _ in range(MAX_LARGE_BODIES):
            head = b"POST /x HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % MAX_BODY_BYTES
            Wire(site).channel.dataReceived(head + bytes(SMALL_BODY_BYTES + 1))
        response = ask(site, "POST", "/x", bytes(SMALL_BODY_BYTES + 1))
        self.assertEqual((response.code, response.message), (503, "too many large requests"))
        self.assertEqual((response.headers["retry-after"], self.calls), ("1", []))

    def test_a_check_that_fails(self) -> None:
        """An error before the handler is answered and logged like one in it."""

        class Broken:
            name = "broken"

            def scheme(self) -> None:
                return None

            def check(self, request: object) -> None:
                raise ZeroDivisionError

        router = Router([Operation("GET", "/x", "").route(Broken(), self.answer)])
        response = ask(LimitedSite(router, Clock()), "GET", "/x")
        self.assertEqual((response.code, response.message), (500, "internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(dict(router.answered), {("/x", 500): 1})

    def test_a_slow_answer(self) -> None:
        """The next request on the connection waits for it."""
        waited: Deferred[object] = Deferred()
        self.gives = waited
        wire = Wire(self.site(self.route(answer=Data[object]({}))))
        wire.send("GET", "/x")
        wire.send("GET", "/none")
        self.assertEqual(wire.responses(), [])
        waited.callback({"a": 1})
        codes = [response.code for response in wire.responses()]
        self.assertEqual(codes[:1], [200])

    def test_children_come_first(self) -> None:
        """A resource that was added as a child answers instead of a route."""
        from twisted.web.static import Data

        router = Router([self.route("/x"), self.route("/y")])
        router.putChild(b"x", Data(b"child", "text/plain"))
        site = LimitedSite(router, Clock())
        self.assertEqual(ask(site, "GET", "/x").body, b"child")
        self.assertEqual(ask(site, "GET", "/y").body, b"")
