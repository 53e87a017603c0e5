"""The HTTP API's server side: finds the route of a request, checks it, writes the answer.

A request is cancelled when the client hangs up.

::

    200, no body                                   done
    200 {"data":...}                               done, with a result
    4xx, 5xx {"meta":{"code":400,"message":"invalid query param","detail":"uid is missing"}}

The code and the message are those of the Go server, except 503 for what storage could not do.
"""

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
from gobelieve.protocols.http.declarations.bodies import JSON
from gobelieve.protocols.http.declarations.parameters import PathValues
from gobelieve.protocols.http.declarations.routes import Call, Route
from gobelieve.protocols.http.errors import HttpError, not_done
from gobelieve.protocols.http.paths import PathTable
from gobelieve.support.throttled_log import ThrottledLog

OTHER = "other"
"""The label, in metrics, of all paths without a route."""
BACKEND_AWAY = "what this needs cannot be asked at the moment; the log says why"


class Router(Resource):
    """Answers requests by its routes. Resources that were added as children come first."""

    log = Logger("gobelieve.http")

    def __init__(self, routes: Iterable[Route]) -> None:
        super().__init__()
        self.routes: Sequence[Route] = tuple(routes)
        self._paths: PathTable[dict[str, Route]] = PathTable()
        self._backend_log = ThrottledLog(self.log)
        self.answered: Counter[tuple[str, int]] = Counter()
        """The number of requests, by path (of the route, or `OTHER`) and status."""
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        methods = self._paths.setdefault(route.path, {})
        for method in route.methods:
            if methods.setdefault(method, route) is not route:
                raise ValueError(f"{method} {route.path} is declared twice")

    def getChild(self, path: bytes, request: Request) -> Resource:
        return _AnyPath(self)

    def render(self, request: Request) -> int:
        """Answer a request at any path."""
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

    async def _answer(self, route: Route, call: Call[Any, Any, Any]) -> Any:
        try:
            return await route.handler(call)
        except StorageError as why:
            raise not_done(why.status, str(why)) from None
        except BackendError as why:
            # The reason names the database and its user, which only the operator may read.
            self._backend_log.warn_of("backend", str(why), "a request cannot be answered: {why}")
            raise HttpError(503, "service unavailable", BACKEND_AWAY) from None

    def _find(self, request: Request) -> tuple[Route, PathValues]:
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

    def _reply(self, answer: Any, request: Request, route: Route) -> None:
        page = route.operation.answer.page(answer)
        if page is None:
            request.setHeader(b"content-length", b"0")
        else:
            _write(request, page.content_type, page.content)
        self._end(request, route.path)

    def _failed(self, failure: Failure, request: Request, path: str) -> None:
        if failure.check(CancelledError):
            return  # the client hung up
        why = failure.value
        if not isinstance(why, HttpError):
            self.log.failure("a request could not be answered", failure)
            why = HttpError(500, "internal server error")
        _write_error(request, why)
        self._end(request, path)

    def _end(self, request: Request, path: str) -> None:
        self.answered[path, request.code] += 1
        request.finish()


class _AnyPath(Resource):
    """A leaf for each path below the router, which answers there too."""

    isLeaf = True

    def __init__(self, router: Router) -> None:
        super().__init__()
        self._router = router

    def render(self, request: Request) -> int:
        return self._router.render(request)


class _NotFoundError(HttpError):
    """The error at a path without a route. Like the Go server's, its body is plain text."""

    def __init__(self) -> None:
        super().__init__(404, "404 page not found")


# --- checking


def _checked(route: Route, in_path: PathValues, request: Request) -> Call[Any, Any, Any]:
    caller = route.access.check(request)
    if getattr(request, "too_long", False):
        raise HttpError(413, "request too large", headers={"connection": "close"})
    if getattr(request, "crowded", False):
        raise HttpError(503, "too many large requests", headers={"retry-after": "1"})
    operation = route.operation
    parameters = operation.parameters.read(in_path, request.args, operation.invalid)
    assert request.content is not None
    return Call(parameters, operation.body.read(request.content.read(), parameters), caller)


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
