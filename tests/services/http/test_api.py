"""The HTTP server of a gateway, as the daemons assemble it."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from gobelieve.protocols.http.site import LimitedSite
from gobelieve.services import embedded, im
from gobelieve.services.http import api as http_api
from gobelieve.services.process.ordered import OrderedService
from tests.fakes.reactor import FakeReactor
from tests.web import ask


class ServiceTests(SynchronousTestCase):
    """Daemons that are assembled, but not started."""

    def site(self, module: Any, prefix: str) -> Site:
        """Return the daemon's HTTP server, which needs a key."""
        sites: list[Site] = []

        def listening(address: object, site: Site) -> OrderedService:
            sites.append(site)
            return OrderedService()

        self.patch(http_api, "Listening", listening)
        options = module.Options()
        keys = f"{prefix}http_api_keys=['0123456789abcdef']"
        where = f"{prefix}http_listen_address=127.0.0.1:1"
        options.parseOptions(["--set", keys, "--set", where])
        module.makeService(options, FakeReactor())
        (site,) = sites
        return site

    def test_both_daemons_have_the_whole_api(self) -> None:
        """The gateway and the all-in-one daemon have the same routes, status pages and limits."""
        found = []
        for module, prefix in ((im, ""), (embedded, "im.")):
            site = self.site(module, prefix)
            self.assertIsInstance(site, LimitedSite)
            found.append(json.loads(ask(site, "GET", "/openapi.json").body)["paths"])
            for path in ("/health", "/metrics", "/summary", "/docs"):
                self.assertEqual(ask(site, "GET", path).code, 200, path)
            self.assertEqual(ask(site, "GET", "/").code, 404)
            self.assertEqual(ask(site, "GET", "/online?appid=7&uid=1").code, 401)
            key = {"authorization": "Bearer 0123456789abcdef"}
            answer = ask(site, "GET", "/online?appid=7&uid=1", None, key)
            self.assertEqual(answer.json["data"]["sessions"], [])
        self.assertEqual(found[0], found[1])
        self.assertIn("/post_peer_message", found[0])

    def test_storage_is_not_connected(self) -> None:
        """A post that must be stored is answered 503; a live one is delivered."""
        site = self.site(im, "")
        key = {"authorization": "Bearer 0123456789abcdef"}
        read = ask(site, "GET", "/load_latest_message?appid=7&uid=1&limit=1", None, key)
        self.assertEqual((read.code, read.message), (503, "storage away"))
        live = ask(site, "POST", "/post_notification?appid=7&uid=1", b"x", key)
        self.assertEqual(live.code, 200)
        ask(site, "GET", "/none", None, key)
        page = ask(site, "GET", "/metrics").body.decode()
        for path, code in (
            ("/load_latest_message", 503),
            ("/post_notification", 200),
            ("other", 404),
        ):
            line = f'gobelieve_gateway_http_answers_total{{code="{code}",path="{path}"}} 1.0'
            self.assertIn(line, page.splitlines())
