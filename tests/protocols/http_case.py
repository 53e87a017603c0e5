"""The HTTP API on the real rules, with fakes of storage, routers and groups."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.gateway.documents import api_router
from gobelieve.protocols.http.site import LimitedSite
from gobelieve.services.http.api import routes
from tests.gateway.support import TestGateway
from tests.web import Response, Wire, ask

KEY = "a-key-of-the-app's-server"
WITH_KEY = {"authorization": f"Bearer {KEY}"}


class ApiCase(SynchronousTestCase):
    """A gateway whose API has a key, which the tests send."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **config: Any) -> None:
        """Start the gateway with these settings."""
        self.gateway = TestGateway(**{"http_api_keys": (KEY,), **config})
        self.storage, self.routing = self.gateway.storage, self.gateway.routing
        gateway = self.gateway.gateway
        self.routes = routes(self.gateway.settings, gateway, self.storage, lambda: {"figure": 1})
        self.router = api_router(self.routes)
        self.site = LimitedSite(self.router, self.gateway.clock)

    def post(self, path: str, body: Any = b"") -> Response:
        """Return the answer to a POST, which must come at once."""
        return ask(self.site, "POST", path, _bytes(body), WITH_KEY)

    def get(self, path: str) -> Response:
        """Return the answer to a GET, which must come at once."""
        return ask(self.site, "GET", path, None, WITH_KEY)

    def begin_post(self, path: str, body: Any = b"") -> Wire:
        """Send a POST whose answer must wait for storage."""
        wire = Wire(self.site)
        wire.send("POST", path, _bytes(body), WITH_KEY)
        self.assertEqual(wire.responses(), [], "it waits for storage")
        return wire

    def done(self, wire: Wire) -> None:
        """Check that the one answer is a 200 without a body."""
        (response,) = wire.responses()
        self.assertEqual((response.code, response.body), (200, b""))
        self.assertNotIn("content-type", response.headers)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
