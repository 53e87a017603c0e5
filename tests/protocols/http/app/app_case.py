"""The app API on the real rules, with fakes of its stores."""

import json
from base64 import b64encode
from hashlib import md5
from typing import Any

from gobelieve.names import User
from gobelieve.protocols.http.gateway.documents import api_router
from gobelieve.protocols.http.site import LimitedSite
from gobelieve.services.http.api import routes
from gobelieve.services.http.app_api import AppApi, AppBackends
from tests.fakes.app import MemoryGroupAdmin, MemorySecrets, MemoryTelling, MemoryUserAdmin
from tests.fakes.backends import MemoryTokenAdmin
from tests.gateway.support import APP, GroupSave, Save
from tests.protocols.http_case import ApiCase
from tests.web import Response, Wire

SECRET = "open sesame"
HASHED = md5(SECRET.encode()).hexdigest()
ALICE, BOB = User(APP, 1), User(APP, 2)


def basic(name: str, password: str) -> dict[str, str]:
    """Return the header of a name and a password."""
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


class AppCase(ApiCase):
    """The server of app 7, which has the app's secret."""

    headers = basic("7", HASHED)

    def begin(self, **config: Any) -> None:
        """Start the gateway with these settings."""
        super().begin(**config)
        self.admin, self.telling = MemoryGroupAdmin(), MemoryTelling()
        self.users = MemoryUserAdmin(self.gateway.memory)
        self.secrets = MemorySecrets({7: ["other", SECRET], 8: ["eight"]})
        self.stored: list[Save | GroupSave] = []
        self.open()

    def open(self, with_groups: bool = True) -> None:
        """Start the HTTP server."""
        backends = AppBackends(
            secrets=self.secrets,
            users=self.users,
            tokens=MemoryTokenAdmin(self.gateway.memory),
            groups=self.admin if with_groups else None,
            announcer=self.telling,
        )
        whole, settings = self.gateway.gateway, self.gateway.settings
        self.app = AppApi(
            settings,
            gateway=whole,
            logins=self.gateway.tokens,
            backends=backends,
            time=self.gateway.clock,
        )
        self.routes = routes(settings, whole, self.storage, dict, self.app)
        self.site = LimitedSite(api_router(self.routes), self.gateway.clock)

    def ask(self, method: str, path: str, body: Any = None) -> Response:
        """Return the answer, which must come once storage has answered."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        wire = Wire(self.site)
        wire.send(method, "/api" + path, content, {"connection": "close", **self.headers})
        self.store()
        (response,) = wire.responses()
        return response

    def store(self) -> None:
        """Answer all that storage was asked for: it is stored."""
        self.gateway.clock.advance(0)
        while self.storage.saves or self.storage.group_saves:
            save: Save | GroupSave
            if self.storage.saves:
                save = self.storage.saves.pop(0)
                save.answer(0, [(9, 8)] * len(save.queues))
            else:
                save = self.storage.group_saves.pop(0)
                save.answer(0, [(9, 8)])
            self.stored.append(save)
            self.gateway.clock.advance(0)

    def begin_ask(self, path: str, body: Any) -> Wire:
        """Send a POST whose answer must wait for storage."""
        wire = Wire(self.site)
        wire.send("POST", "/api" + path, json.dumps(body).encode(), self.headers)
        self.assertEqual(wire.responses(), [], "it waits for storage")
        return wire

    def good(self, method: str, path: str, body: Any = None) -> None:
        """Check that the answer is a 200 without a body."""
        response = self.ask(method, path, body)
        self.assertEqual((response.code, response.body), (200, b""), (path, body))

    def refused(self, code: int, message: str, method: str, path: str, body: Any = None) -> Any:
        """Check status and message of an error; return its JSON."""
        response = self.ask(method, path, body)
        self.assertEqual((response.code, response.message), (code, message), (path, body))
        return response.json


EVERY: list[tuple[str, str, Any]] = [
    ("POST", "/auth/grant", {"uid": 1, "user_name": "Ann"}),
    ("POST", "/auth/revoke", {"uid": 1}),
    ("POST", "/users/1", {"name": "Ann"}),
    ("PATCH", "/users/1", {"mute": True}),
    ("POST", "/groups", {"master": 1, "name": "g", "super": False, "members": [1, 2]}),
    ("GET", "/groups/1", None),
    ("PATCH", "/groups/1", {"name": "h"}),
    ("POST", "/groups/1/upgrade", None),
    ("POST", "/groups/1/members", [3]),
    ("DELETE", "/groups/1/members", [3]),
    ("DELETE", "/groups/1/members/3", None),
    ("PATCH", "/groups/1/members/2", {"nickname": "Bobby"}),
    ("DELETE", "/groups/1", None),
    ("POST", "/messages/notifications", {"receiver": 1, "content": "x"}),
    ("POST", "/messages/rooms", {"sender": 1, "receiver": 5, "content": "x"}),
    ("POST", "/messages/dequeue", None),
    ("GET", "/messages/offline?uid=1", None),
]
STORED: list[tuple[str, Any]] = [
    ("/messages/peers", {"sender": 1, "receiver": 2, "content": "x"}),
    ("/messages/systems", {"receiver": 2, "content": "x"}),
    ("/messages/groups", {"sender": 1, "receiver": 100, "content": "x"}),
    ("/messages/groups/notifications", {"group_id": 100, "content": "x"}),
]
