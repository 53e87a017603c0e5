"""A daemon's status over HTTP.

``/summary`` has figures, ``/metrics`` has them for Prometheus. ``/health`` shows that the process
is up, ``/ready`` whether it can do its work.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from prometheus_client.registry import Collector
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from gobelieve.protocols.http.site import LimitedSite
from gobelieve.protocols.http.status.metrics import MetricsPage, registry_of

Figures = Callable[[], Mapping[str, object]]
Trouble = Callable[[], str]
"""Returns why a daemon cannot do its work, or ""."""


class JsonPage(Resource):
    """A page of the figures that a function returns, as JSON."""

    isLeaf = True

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def render_GET(self, request: Request) -> bytes:
        return self.show(request, self._figures())

    def show(self, request: Request, figures: Mapping[str, object]) -> bytes:
        """Return the page with these figures."""
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(figures, sort_keys=True, separators=(",", ":")).encode()


class ReadyPage(JsonPage):
    """A page with status 200; while there is trouble 503, and the reason."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(dict)
        self._trouble = trouble

    def render_GET(self, request: Request) -> bytes:
        trouble = self._trouble()
        if not trouble:
            return self.show(request, {"status": "ready"})
        request.setResponseCode(SERVICE_UNAVAILABLE)
        return self.show(request, {"status": "not ready", "why": trouble})


def status_site(
    summary: Figures,
    collectors: Iterable[Collector] = (),
    trouble: Trouble | None = None,
    pages: Mapping[bytes, IResource] = MappingProxyType({}),
) -> Site:
    """Return a site with the status pages, and with others by their paths.

    Other paths are not found. Without `trouble` there is no ``/ready``.
    """
    root = Resource()
    for path, page in pages.items():
        root.putChild(path, page)
    root.putChild(b"summary", JsonPage(summary))
    root.putChild(b"", notFound())
    return with_status(root, collectors, trouble)


def with_status(
    root: Resource, collectors: Iterable[Collector] = (), trouble: Trouble | None = None
) -> Site:
    """Return a site of a root, with all status pages except the summary."""
    root.putChild(b"health", JsonPage(lambda: {"status": "ok"}))
    root.putChild(b"metrics", MetricsPage(registry_of(collectors)))
    if trouble is not None:
        root.putChild(b"ready", ReadyPage(trouble))
    return LimitedSite(root)
