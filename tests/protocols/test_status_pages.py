"""The status pages of a daemon."""

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from gobelieve.protocols.status_pages import status_site


class StatusPageTests(SynchronousTestCase):
    """``/summary`` and ``/health``."""

    def get(self, path: bytes) -> tuple[int, bytes]:
        """Status and body of a page."""
        request = DummyRequest([path])
        resource = status_site(lambda: {"client_count": 3}).getResourceFor(request)
        body = resource.render(request)
        return request.responseCode or 200, body

    def test_the_summary_shows_the_figures_as_json(self) -> None:
        """As they are when it is asked for."""
        status, body = self.get(b"summary")
        self.assertEqual((status, json.loads(body)), (200, {"client_count": 3}))

    def test_health_says_that_the_daemon_answers(self) -> None:
        """For whoever restarts it if it does not."""
        self.assertEqual(self.get(b"health"), (200, b'{"status":"ok"}'))

    def test_other_pages_are_not_found(self) -> None:
        """404."""
        self.assertEqual(self.get(b"nothing")[0], 404)
