"""What a daemon tells of itself over HTTP: ``/summary`` in figures, ``/health`` in a word."""

import json
from collections.abc import Callable, Mapping

from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

Figures = Callable[[], Mapping[str, object]]


class JsonPage(Resource):
    """A page that shows, as JSON, what a function returns."""

    isLeaf = True

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(self._figures(), sort_keys=True, separators=(",", ":")).encode()


def status_site(summary: Figures) -> Site:
    """The pages; everything else is not found."""
    root = Resource()
    root.putChild(b"summary", JsonPage(summary))
    root.putChild(b"health", JsonPage(lambda: {"status": "ok"}))
    root.putChild(b"", notFound())
    site = Site(root)
    site.noisy = False
    return site
