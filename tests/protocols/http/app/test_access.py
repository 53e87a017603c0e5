"""Access to the app API: each route needs the secret of the app."""

from base64 import b64encode

from gobelieve.protocols.http.site import MAX_BODY_BYTES
from tests.fakes.groups import group
from tests.protocols.http.app.app_case import (
    ALICE,
    EVERY,
    HASHED,
    SECRET,
    STORED,
    AppCase,
    basic,
)
from tests.protocols.http_case import WITH_KEY


class AccessTests(AppCase):
    """Each route needs the secret of the app."""

    def test_with_the_secret_of_the_app(self) -> None:
        """The password is the MD5 of one of the secrets, or the secret itself."""
        for self.headers in (
            basic("7", HASHED),
            basic("7", HASHED.upper()),
            basic("7", SECRET),
            basic("7", "other"),
            basic("8", "eight"),
        ):
            self.good("POST", "/messages/dequeue")

    def test_wrong_secrets(self) -> None:
        """No route does anything, and the answer does not tell what is wrong."""
        for self.headers in (
            {},
            basic("7", "wrong"),
            basic("7", ""),
            basic("7", "eight"),
            basic("9", SECRET),
            basic("x", SECRET),
            basic("7_0", SECRET),
            basic("7" * 30, SECRET),
            {"authorization": "Basic !!!"},
            {"authorization": "Basic " + b64encode(b"7").decode()},
            {"authorization": f"Bearer {SECRET}"},
            {"authorization": basic("7", HASHED)["authorization"].replace("Basic", "Digest")},
        ):
            for method, path, body in [*EVERY, *(("POST", *one) for one in STORED)]:
                self.refused(401, "unauthorized", method, path, body)
        self.assertEqual((self.admin.cards, self.users.granted), ({}, {}))
        self.assertEqual(self.storage.saves, [])
        response = self.ask("POST", "/messages/dequeue")
        self.assertEqual(response.headers["www-authenticate"], 'Basic realm="app"')

    def test_the_key_of_the_other_api(self) -> None:
        """A key belongs to no app, so it is refused."""
        self.headers = WITH_KEY
        self.refused(401, "unauthorized", "POST", "/messages/dequeue")

    def test_when_secrets_cannot_be_read(self) -> None:
        """The answer is 503, since the app made no mistake."""
        self.secrets.away = True
        self.refused(503, "service unavailable", "POST", "/messages/dequeue")

    def test_every_route_answers(self) -> None:
        """The list of requests reaches all routes of the app API."""
        self.gateway.groups.stored[100] = group(100, 1, 2)
        for method, path, body in EVERY:
            response = self.ask(method, path, body)
            self.assertEqual(response.code, 200, (method, path, response))
        for path, body in STORED:
            self.good("POST", path, body)
        tried = {
            (method, path.partition("?")[0].replace("/1/", "/{}/"))
            for method, path, _ in [*EVERY, *(("POST", *one) for one in STORED)]
        }
        there = {
            (method, route.path)
            for route in self.routes
            for method in route.methods
            if route.path.startswith("/api")
        }
        self.assertEqual(len(tried), len(there) - 1, "all but GET /messages, which is a user's")

    def test_bodies_that_are_too_long_or_not_json(self) -> None:
        """Each route that has a body refuses them."""
        for method, path, body in [*EVERY, *(("POST", *one) for one in STORED)]:
            if body is None:
                continue
            self.refused(413, "request too large", method, path, b"x" * (MAX_BODY_BYTES + 1))
            for bad in (b"", b"{", b"7", b'"x"', b"[[]]", b'{"uid":"1"}', b'{"master":1.5}'):
                response = self.ask(method, path, bad)
                self.assertEqual(response.code, 400, (path, bad))

    def test_unknown_paths_and_methods(self) -> None:
        """The answer is 404 or 405; a path with an invalid id is 400."""
        self.assertEqual(self.ask("GET", "/nothing").code, 404)
        self.assertEqual(self.ask("GET", "/groups").code, 405)
        for path in ("/groups/x", "/groups/0", "/groups/-1", f"/groups/{1 << 63}"):
            self.refused(400, "invalid param", "DELETE", path)
        self.refused(400, "invalid param", "POST", "/users/x", {"name": "x"})

    def test_escaped_paths(self) -> None:
        """A path with escapes is the path that it stands for, and needs the secret as well."""
        self.good("POST", "/m%65ssages/dequeue")
        self.good("PATCH", "/users/%31", {"name": "Ann"})
        self.assertEqual(self.gateway.memory.names, {ALICE: "Ann"})
        for escaped in ("%zz", "%ff", "1%2Fupgrade", "%2531"):
            self.refused(400, "invalid param", "DELETE", f"/groups/{escaped}")
        self.headers = {}
        for path in ("/m%65ssages/dequeue", "/groups/%31/upgrade", "/groups/%zz/upgrade"):
            self.refused(401, "unauthorized", "POST", path)
