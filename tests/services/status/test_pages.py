"""The status pages of whole daemons, compared with the documentation."""

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import parser
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from gobelieve.services import embedded, im, imr, ims
from gobelieve.services.http import api as http_api
from gobelieve.services.process.options import DaemonOptions
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.status import pages as status
from tests.fakes.reactor import FakeReactor
from tests.web import ask

ROOT = Path(__file__).parents[3]
OPERATIONS = ROOT / "docs" / "operations.md"
DASHBOARD = ROOT / "etc" / "grafana" / "gobelieve.json"
UNNAMED = {"asks", "saves", "left_out"}
"""Counters of storage that metrics show under names of their own."""
PARTS = {"gobelieve_storage": "ims", "gobelieve_gateway": "im", "gobelieve_router": "imr"}


def documented() -> dict[str, str]:
    """Return the metrics that the documentation names, with their daemons."""
    text = OPERATIONS.read_text("utf-8")
    section = text.partition("\n### Metrics\n")[2].partition("\n### ")[0]
    return dict(re.findall(r"^\| `([a-z_]+)` \| (\w+) \| \S", section, re.MULTILINE))


def counters() -> set[str]:
    """Return the names of the counters that the code adds to by a literal name."""
    return {
        name
        for path in (ROOT / "gobelieve").rglob("*.py")
        for name in re.findall(r"counters\.add\(\s*\"(\w+)\"", path.read_text("utf-8"))
    }


def shown(page: str) -> dict[str, str]:
    """Return the metrics of a page with their types."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))


class PagesTests(SynchronousTestCase):
    """The pages of daemons that are assembled, but not started."""

    def pages(self, module: Any, *settings: str) -> dict[str, tuple[int, str]]:
        """Return the status and the text of each page."""
        sites: list[Site] = []

        def listening(address: object, site: Site) -> OrderedService:
            sites.append(site)
            return OrderedService()

        for module_ in (status, http_api):
            self.patch(module_, "Listening", listening)
        options: DaemonOptions = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        module.makeService(options, FakeReactor())
        return {page: get(site, page) for site in sites for page in ("metrics", "summary", "ready")}

    def test_off(self) -> None:
        """Without an address there are no status pages."""
        for module in (im, imr, ims):
            self.assertEqual(self.pages(module), {})
        self.assertEqual(self.pages(embedded, "im.http_listen_address=''"), {})

    def test_the_documentation_names_every_metric(self) -> None:
        """The documentation names exactly the metrics of the pages."""
        page = self.pages(embedded, "im.enable_friendship=true")["metrics"][1]
        self.assertEqual(set(shown(page)), set(documented()))

    def test_the_documentation_names_the_daemon_of_each_metric(self) -> None:
        """Each daemon shows its own metrics, and those that all daemons have."""
        groups = "mysqldb_datasource=root@/im"
        for module, settings, names in (
            (im, [], ("im", "all")),
            (im, [groups], ("im", "groups", "all")),
            (im, [groups, "enable_blacklist=true"], ("im", "groups", "relations", "all")),
            (imr, [], ("imr", "all")),
            (imr, [groups], ("imr", "groups", "all")),
            (ims, [], ("ims", "all")),
        ):
            page = self.pages(module, "http_listen_address=127.0.0.1:1", *settings)["metrics"][1]
            mine = {metric for metric, whose in documented().items() if whose in names}
            self.assertEqual(set(shown(page)), mine)

    def test_the_documentation_names_every_counter(self) -> None:
        """Each counter that ``/summary`` and the metrics of events show is explained."""
        text = "".join(path.read_text("utf-8") for path in OPERATIONS.parent.glob("*.md"))
        self.assertIn("logins_refused", counters())
        self.assertEqual({n for n in counters() - UNNAMED if f"`{n}`" not in text}, set())

    def test_conventions(self) -> None:
        """Only counters end in _total, and each metric has a help text."""
        page = self.pages(embedded)["metrics"][1]
        for name, kind in shown(page).items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
        families = list(parser.text_string_to_metric_families(page))
        self.assertEqual([family.name for family in families if not family.documentation], [])

    def test_the_dashboard_uses_existing_metrics(self) -> None:
        """Each query of the dashboard names metrics of the page."""
        page = self.pages(embedded, "im.enable_friendship=true")["metrics"][1]
        there = set(shown(page))
        there |= {f"{name}_bucket" for name, kind in shown(page).items() if kind == "histogram"}
        dashboard = json.loads(DASHBOARD.read_text("utf-8"))
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        asked = [target["expr"] for panel in panels for target in panel["targets"]]
        asked.append(dashboard["templating"]["list"][1]["query"])
        self.assertGreater(len(asked), 40)
        for question in asked:
            names = re.findall(r"\b(?:gobelieve|process)_[a-z_]+", question)
            self.assertTrue(names, question)
            self.assertLessEqual(set(names), there, question)
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))

    def test_ready(self) -> None:
        """A daemon is ready when its storage is open, or its connections and Redis are there."""
        self.assertEqual(self.pages(embedded)["ready"][0], 503)
        code, text = self.pages(ims, "http_listen_address=127.0.0.1:1")["ready"]
        self.assertEqual(code, 503)
        self.assertEqual(json.loads(text)["why"], "storage is not open")
        for module in (im, imr):
            code, text = self.pages(module, "http_listen_address=127.0.0.1:1")["ready"]
            self.assertEqual(code, 503)
            self.assertEqual(json.loads(text)["why"], "redis: not connected yet")
        found = self.pages(imr, "http_listen_address=127.0.0.1:1", "push_disabled=true")
        self.assertEqual(found["ready"][0], 200)

    def test_summaries(self) -> None:
        """The summary has the keys of the Go server, and those of all parts of the daemon."""
        storage = json.loads(self.pages(ims, "http_listen_address=:1")["summary"][1])
        for key in ("goroutine_count", "request_count", "peer_message_count"):
            self.assertIsInstance(storage[key], int)
        self.assertEqual(storage["group_message_count"], 0)
        router = json.loads(self.pages(imr, "http_listen_address=:1")["summary"][1])
        self.assertEqual((router["gateway_count"], router["pushes_waiting"]), (0, 0))
        everything = json.loads(self.pages(embedded)["summary"][1])
        self.assertEqual(everything["client_count"], 0)
        self.assertEqual(everything["router"], router)
        self.assertEqual(set(everything["storage"]), set(storage))


def get(site: Site, page: str) -> tuple[int, str]:
    """Return the status and the text of a page."""
    response = ask(site, "GET", f"/{page}")
    return response.code, response.body.decode()
