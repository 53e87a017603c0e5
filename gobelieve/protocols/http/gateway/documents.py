"""Operations that show all operations: as an OpenAPI document, and as a page for people."""

import json
from collections.abc import Sequence

from gobelieve import __version__
from gobelieve.protocols.http.declarations.answers import Page, PageAnswer
from gobelieve.protocols.http.declarations.bodies import JSON
from gobelieve.protocols.http.declarations.routes import Call, OpenToAll, Operation, Route
from gobelieve.protocols.http.docs import page
from gobelieve.protocols.http.openapi import document
from gobelieve.protocols.http.router import Router

HTML = "text/html; charset=utf-8"

ABOUT = """\
The API of a gateway for an app's server. Each call runs at the gateway that gets it; its effects \
reach users at other gateways.

The parameters are in the URL. The answer of a call that is done is 200, without a body or with \
`{"data":...}`. Any other call is answered `{"meta":{"code":400,"message":"..."}}`, often with a \
`detail`. Numbers in JSON are integers. A request is sent with `Authorization: Bearer KEY`; below \
`/api` with the id of an app and its secret, as `Authorization: Basic`.

The content of a message has the form that apps read: JSON, by convention."""

OPENAPI = Operation("GET", "/openapi.json", "This document.", answer=PageAnswer(JSON))
DOCS = Operation("GET", "/docs", "This document, for people.", answer=PageAnswer("text/html"))


class Documents:
    """Answers requests for the documents. `describe` makes them, when all routes are known."""

    def __init__(self) -> None:
        self._openapi = Page(JSON, b"")
        self._docs = Page(HTML, b"")

    def routes(self) -> list[Route]:
        """Return the routes, which are open to all."""
        return [
            OPENAPI.route(OpenToAll(), self._show_openapi),
            DOCS.route(OpenToAll(), self._show_docs),
        ]

    def describe(self, routes: Sequence[Route]) -> None:
        """Make the documents of these routes."""
        made = document(routes, __version__, ABOUT)
        self._openapi = Page(JSON, json.dumps(made).encode())
        self._docs = Page(HTML, page(made))

    async def _show_openapi(self, call: Call) -> Page:
        return self._openapi

    async def _show_docs(self, call: Call) -> Page:
        return self._docs


def api_router(routes: Sequence[Route]) -> Router:
    """Return a router for these routes, and for documents of them."""
    documents = Documents()
    every = [*routes, *documents.routes()]
    documents.describe(every)
    return Router(every)
