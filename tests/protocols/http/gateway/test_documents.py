"""Documents of the API: OpenAPI, and the page for people."""

import re
from typing import Any

from gobelieve import __version__
from tests.protocols.http_case import ApiCase
from tests.web import ask

PATHS = [
    "/post_group_notification",
    "/post_im_message",
    "/post_peer_message",
    "/post_group_message",
    "/post_system_message",
    "/post_notification",
    "/post_room_message",
    "/post_realtime_message",
    "/post_customer_message",
    "/load_latest_message",
    "/load_history_message",
    "/get_offline_count",
    "/init_message_queue",
    "/dequeue_message",
    "/summary",
    "/stack",
]
"""The Go server's paths, of both eras."""


class DocumentTests(ApiCase):
    """The documents ``/openapi.json`` and ``/docs``."""

    def setUp(self) -> None:
        super().setUp()
        self.document: dict[str, Any] = ask(self.site, "GET", "/openapi.json").json

    def test_every_path_is_there(self) -> None:
        """The document has each route with each method, and nothing else."""
        self.assertEqual(set(PATHS) - set(self.document["paths"]), set())
        found = {(path, m) for path, methods in self.document["paths"].items() for m in methods}
        wanted = {(r.path, m.lower()) for r in self.router.routes for m in r.methods}
        self.assertEqual(found, wanted)
        self.assertEqual(self.document["info"]["version"], __version__)

    def test_an_operation(self) -> None:
        """It has parameters, a body, answers and security."""
        post = self.document["paths"]["/post_peer_message"]["post"]
        self.assertEqual(
            [one["name"] for one in post["parameters"]], ["appid", "sender", "receiver"]
        )
        self.assertEqual({one["in"] for one in post["parameters"]}, {"query"})
        self.assertEqual(set(post["requestBody"]["content"]), {"text/plain"})
        self.assertEqual(set(post["responses"]), {"200", "400", "401", "413", "503"})
        self.assertEqual(post["security"], [{"key": []}])
        names = [o["operationId"] for ms in self.document["paths"].values() for o in ms.values()]
        self.assertEqual(len(names), len(set(names)))
        system = self.document["paths"]["/post_system_message"]["post"]["requestBody"]
        self.assertEqual(set(system["content"]), {"text/plain", "application/json"})

    def test_without_keys(self) -> None:
        """A site without keys documents none."""
        self.begin(http_api_keys=())
        document = ask(self.site, "GET", "/openapi.json").json
        self.assertEqual(document["components"]["securitySchemes"], {})
        post = document["paths"]["/post_peer_message"]["post"]
        self.assertEqual((post["security"], "401" in post["responses"]), ([], False))

    def test_the_page(self) -> None:
        """The page has all paths, loads nothing from other hosts, and escapes what it shows."""
        response = ask(self.site, "GET", "/docs")
        self.assertEqual(response.headers["content-type"], "text/html; charset=utf-8")
        page = response.body.decode()
        for path in PATHS:
            self.assertIn(f"id='{path}'", page)
        for address in re.findall(r"(?:href|src|url)[=(]['\"]?([^'\" >)]+)", page):
            self.assertIn(address[0], "/#", address)
        self.assertNotIn("<script", page)
        self.assertNotIn("http:", page)
