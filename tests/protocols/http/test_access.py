"""Access to the HTTP API, with keys and without."""

import hmac

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.access import ApiKeys
from gobelieve.protocols.http.declarations.routes import Route
from tests.protocols.http_case import KEY, WITH_KEY, ApiCase
from tests.web import Response, Wire, ask

PUBLIC = {"/summary", "/openapi.json", "/docs"}


class KeyTests(ApiCase):
    """A site with keys answers only callers that have one."""

    def ask(self, route: Route, method: str, headers: dict[str, str]) -> Response:
        return ask(self.site, method, route.path, b"", headers)

    def test_no_route_works_without_a_key(self) -> None:
        """Only the routes that show nothing of users are open, with whatever method."""
        wrong = ("Bearer", "Bearer x", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {KEY} {KEY}")
        free = set()
        for route in self.router.routes:
            for method in route.methods:
                without = self.ask(route, method, {})
                if without.code == 200:
                    free.add(route.path)
                    continue
                self.assertEqual((without.code, without.message), (401, "unauthorized"), route.path)
                self.assertEqual(without.headers["www-authenticate"], "Bearer")
                for header in wrong:
                    answer = self.ask(route, method, {"authorization": header})
                    self.assertEqual(answer.code, 401, (route.path, header))
                right = self.ask(route, method, WITH_KEY)
                self.assertIn(right.code, (200, 400), route.path)
        self.assertEqual(free, PUBLIC)
        self.assertEqual(
            (self.storage.saves, self.storage.fetched, self.storage.asked), ([], [], [])
        )

    def test_an_escaped_path_needs_the_key_as_well(self) -> None:
        """The gateway checks who asks after it decoded the path."""
        phone = self.gateway.client(2)
        for path in ("/kick", "/k%69ck", "/%6B%69%63%6B"):
            refused = ask(self.site, "POST", f"{path}?appid=7&uid=2", b"")
            self.assertEqual((refused.code, refused.message), (401, "unauthorized"), path)
        for path in ("/%2Fkick", "/kick%2F", "/./kick", "/%2E/kick", "/k%2569ck"):
            self.assertEqual(ask(self.site, "POST", f"{path}?appid=7&uid=2", b"").code, 404, path)
        self.assertIsNone(phone.connection.ended)
        response = ask(self.site, "POST", "/k%69ck?appid=7&uid=2", b"", WITH_KEY)
        self.assertEqual(response.json, {"data": {"kicked": 1}})

    def test_several_keys(self) -> None:
        """Each key works, so one can be replaced; the word Bearer is read in any case."""
        self.begin(http_api_keys=("first-of-the-keys", "second-of-the-keys"))
        for header in ("Bearer first-of-the-keys", "bearer second-of-the-keys"):
            self.assertEqual(
                ask(self.site, "POST", "/stack", b"", {"authorization": header}).code, 200
            )

    def test_the_key_comes_first(self) -> None:
        """A caller without a key does not learn what else is wrong with a request."""
        for path in ("/kick", "/kick?appid=x", "/post_im_message"):
            self.assertEqual(ask(self.site, "POST", path, b"{").code, 401)


class NoKeyTests(ApiCase):
    """A site without keys, which only listens on loopback, answers programs on the machine."""

    def setUp(self) -> None:
        self.begin(http_api_keys=())

    def code(self, **headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.site, "POST", "/post_notification?appid=7&uid=2", b"x", sent).code

    def test_headers_that_are_not_text_are_refused(self) -> None:
        """They are no error of the daemon, so nothing is logged."""
        for name in (b"origin", b"sec-fetch-site", b"host"):
            wire = Wire(self.site)
            request = b"POST /kick?appid=7&uid=2 HTTP/1.1\r\n%s: \xff\xfe\r\n\r\n" % name
            wire.channel.dataReceived(request)
            self.assertEqual([one.code for one in wire.responses()], [403], name)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_programs_on_the_machine_have_access(self) -> None:
        """Each name of the loopback address will do."""
        for host in ("127.0.0.1:6666", "localhost", "LOCALHOST:6666", "[::1]:6666", "127.1.2.3"):
            self.assertEqual(self.code(host=host), 200, host)

    def test_pages_of_other_sites(self) -> None:
        """A page that a browser on the machine shows is refused, as is another host's name."""
        self.assertEqual(self.code(origin="http://evil.example"), 403)
        self.assertEqual(self.code(sec_fetch_site="cross-site"), 403)
        self.assertEqual(self.code(sec_fetch_site="same-site", origin="http://127.0.0.1:1"), 403)
        self.assertEqual(self.code(host="evil.example:6666"), 403)
        self.assertEqual(self.code(sec_fetch_site="same-origin", origin="http://127.0.0.1"), 200)
        self.assertEqual(self.routing.take()[-1][0], "publish")

    def test_open_routes_answer_under_any_name(self) -> None:
        """The routes that are open to all do not look at the host."""
        for path in PUBLIC:
            self.assertEqual(ask(self.site, "GET", path, None, {"host": "x.example"}).code, 200)


class TimeTests(SynchronousTestCase):
    """The time of a comparison tells nothing of the keys."""

    def test_all_keys_are_compared(self) -> None:
        """The function that compares takes equally long for every wrong key."""
        seen: list[tuple[bytes, bytes]] = []

        def compare(one: bytes, other: bytes) -> bool:
            seen.append((one, other))
            return one == other

        class Asked:
            def getHeader(self, name: bytes) -> bytes:
                return b"Bearer a"

        self.patch(hmac, "compare_digest", compare)
        ApiKeys(["a", "b"]).check(Asked())  # type: ignore[arg-type]
        self.assertEqual(seen, [(b"a", b"a"), (b"a", b"b")])
