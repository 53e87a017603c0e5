"""The HTTP API's server side: finds the route of a request, checks it, writes the answer.

A request is cancelled when the client hangs up.

::

    200, no body                                   nothing to say
    200 {"data":...}                               something
    4xx, 5xx {"meta":{"code":400,"message":"invalid query param","detail":"uid is missing"}}

The code and the message are upstream's, with the exception of 503 for what storage could not do.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from gobelieve.errors import BackendError, StorageError
from gobelieve.protocols.http.paths import Parameters, PathTable
from gobelieve.protocols.http.routes import (
    JSON,
    Answer,
    Call,
    HttpError,
    JsonBody,
    Page,
    Parameter,
    Route,
    TextBody,
    TextOrJson,
    not_done,
)
from gobelieve.protocols.http.shapes import ShapeError
from gobelieve.wire.go_json import encode

OTHER = "other"
"""All paths at which there is no route."""
WHY_AWAY = "what this needs cannot be asked at the moment; the log says why"


class Router(Resource):
    """Answers what its routes say; resources that were put as children come first."""

    log = Logger("gobelieve.http")

    def __init__(self, routes: Iterable[Route]) -> None:
        super().__init__()
        self.routes: Sequence[Route] = tuple(routes)
        self._paths: PathTable[dict[str, Route]] = PathTable()
        self._told = ""
        self.answered: Counter[tuple[str, int]] = Counter()
        """How many requests, by path (of the route, or `OTHER`) and status."""
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        methods = self._paths.setdefault(route.path, {})
        for method in route.methods:
            if methods.setdefault(method, route) is not route:
                raise ValueError(f"{method} {route.path} is there twice")

    def getChild(self, path: bytes, request: Request) -> Resource:
        return _Rest(self)

    def render(self, request: Request) -> int:
        """Answer a request, whatever its path."""
        path = OTHER
        try:
            route, parameters = self._find(request)
            path = route.path
            call = _checked(route, parameters, request)
        except Exception:
            self._failed(Failure(), request, path)
            return NOT_DONE_YET
        answering = Deferred.fromCoroutine(self._answer(route, call))
        if not answering.called or answering.paused:
            gone = request.notifyFinish()
            gone.addErrback(lambda _: answering.cancel())
        answering.addCallbacks(
            self._reply, self._failed, (request, route), {}, (request, route.path), {}
        )
        return NOT_DONE_YET

    async def _answer(self, route: Route, call: Call) -> Answer:
        try:
            return await route.answer(call)
        except StorageError as why:
            raise not_done(why.status, str(why)) from None
        except BackendError as why:
            # It names the database, its user and what it said: that is for us alone.
            if str(why) != self._told:
                self._told = str(why)
                self.log.warn("a request cannot be answered: {why}", why=why)
            raise HttpError(503, "service unavailable", WHY_AWAY) from None

    def _find(self, request: Request) -> tuple[Route, Parameters]:
        found = self._paths.find(request.path)
        if found is None:
            raise _NotFoundError
        routes, parameters = found
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        route = routes.get(method)
        if route is None:
            allow = ", ".join([*routes, "HEAD"] if "GET" in routes else routes)
            raise HttpError(405, "method not allowed", headers={"allow": allow})
        return route, parameters

    def _reply(self, answer: Answer, request: Request, route: Route) -> None:
        if answer is None:
            request.setHeader(b"content-length", b"0")
        elif isinstance(answer, Page):
            _write(request, answer.content_type, answer.content)
        else:
            _write(request, JSON, encode({"data": answer} if route.wraps else dict(answer)))
        self._end(request, route.path)

    def _failed(self, failure: Failure, request: Request, path: str) -> None:
        if failure.check(CancelledError):
            return  # nobody is there to read an answer
        why = failure.value
        if not isinstance(why, HttpError):
            self.log.failure("a request could not be answered", failure)
            why = HttpError(500, "internal server error")
        _write_error(request, why)
        self._end(request, path)

    def _end(self, request: Request, path: str) -> None:
        self.answered[path, request.code] += 1
        request.finish()


class _Rest(Resource):
    """All that is below the router."""

    isLeaf = True

    def __init__(self, router: Router) -> None:
        super().__init__()
        self._router = router

    def render(self, request: Request) -> int:
        return self._router.render(request)


class _NotFoundError(HttpError):
    """As upstream says it, which is not JSON."""

    def __init__(self) -> None:
        super().__init__(404, "404 page not found")


# --- checking


def _checked(route: Route, in_path: Parameters, request: Request) -> Call:
    who = None if route.access is None else route.access.check(request)
    if getattr(request, "too_long", False):
        raise HttpError(413, "request too large", headers={"connection": "close"})
    if getattr(request, "crowded", False):
        raise HttpError(503, "too many large requests", headers={"retry-after": "1"})
    query: dict[str, Any] = {}
    for one in route.parameters:
        try:
            query[one.name] = _parameter(one, in_path, request)
        except ShapeError as why:
            raise HttpError(400, one.invalid or route.invalid, str(why)) from None
    body = route.body
    if isinstance(body, TextOrJson):
        text = all(query[name] is not None for name in body.parameters)
        body = body.text if text else body.json
    return Call(query, None if body is None else _body(body, request), who)


def _parameter(declared: Parameter, in_path: Parameters, request: Request) -> Any:
    if declared.name in in_path:
        text = in_path[declared.name]
        if text is None:
            raise ShapeError(f"{declared.name} is not percent-encoded UTF-8")
    else:
        # A name may come twice; the first one counts.
        values = request.args.get(declared.name.encode())
        if not values:
            if declared.required:
                raise ShapeError(f"{declared.name} is missing")
            return None
        try:
            text = values[0].decode()
        except UnicodeDecodeError:
            raise ShapeError(f"{declared.name} is not UTF-8") from None
    return declared.shape.parse(text, declared.name)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode


def _body(body: TextBody | JsonBody, request: Request) -> Any:
    assert request.content is not None
    content: bytes = request.content.read()
    if isinstance(body, TextBody):
        return content
    try:
        return body.shape.read(_decode(content.decode()), "the body")
    except (ValueError, RecursionError, ShapeError) as why:
        raise HttpError(400, "invalid json format", str(why)[:200]) from None


# --- writing


def _write(request: Request, content_type: str, content: bytes) -> None:
    request.setHeader(b"content-type", content_type.encode())
    request.setHeader(b"content-length", b"%d" % len(content))
    request.write(content)


def _write_error(request: Request, why: HttpError) -> None:
    try:
        phrase = HTTPStatus(why.code).phrase
    except ValueError:
        phrase = "Error"
    request.setResponseCode(why.code, phrase.encode())
    for name, value in why.headers.items():
        request.setHeader(name, value)
    if isinstance(why, _NotFoundError):
        _write(request, "text/plain; charset=utf-8", b"404 page not found\n")
    else:
        _write(request, JSON, why.body())
