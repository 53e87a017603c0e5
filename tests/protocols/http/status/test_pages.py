"""The status pages of a daemon."""

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from gobelieve.protocols.http.status.pages import Trouble, status_site


class StatusPageTests(SynchronousTestCase):
    """A daemon shows its summary, its health and its readiness."""

    def get(self, path: bytes, trouble: Trouble | None = None) -> tuple[int, bytes]:
        """Return status and body of a page."""
        request = DummyRequest([path])
        site = status_site(lambda: {"client_count": 3}, [], trouble)
        resource = site.getResourceFor(request)
        body = resource.render(request)
        return request.responseCode or 200, body

    def test_the_summary_shows_the_figures_as_json(self) -> None:
        """The figures are those of the moment."""
        status, body = self.get(b"summary")
        self.assertEqual((status, json.loads(body)), (200, {"client_count": 3}))

    def test_health_shows_that_the_daemon_answers(self) -> None:
        """A supervisor restarts a daemon that does not."""
        self.assertEqual(self.get(b"health"), (200, b'{"status":"ok"}'))

    def test_ready_shows_whether_the_daemon_can_work(self) -> None:
        """The reason is in the 503. A daemon that cannot tell has no such page."""
        self.assertEqual(self.get(b"ready", lambda: ""), (200, b'{"status":"ready"}'))
        status, body = self.get(b"ready", lambda: "the disk is full")
        self.assertEqual(status, 503)
        self.assertEqual(json.loads(body), {"status": "not ready", "why": "the disk is full"})
        self.assertEqual(self.get(b"ready")[0], 404)

    def test_metrics_are_there(self) -> None:
        """Each daemon has the page."""
        status, body = self.get(b"metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"gobelieve_build_info", body)

    def test_other_pages_are_not_found(self) -> None:
        """The answer to an unknown path is 404."""
        self.assertEqual(self.get(b"nothing")[0], 404)
