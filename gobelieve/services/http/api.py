"""A gateway's HTTP server: its API, and its status pages."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gobelieve.config import ClientsConfig, parse_address
from gobelieve.interfaces import MessageReader
from gobelieve.protocols.http.access import ApiKeys
from gobelieve.protocols.http.gateway.about import About, api_router
from gobelieve.protocols.http.gateway.posts import Posts
from gobelieve.protocols.http.gateway.reads import Reads
from gobelieve.protocols.http.router import Router
from gobelieve.protocols.http.routes import Route
from gobelieve.protocols.http.status.metrics import labelled
from gobelieve.protocols.http.status.pages import Figures, Trouble, with_status
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.http.app_api import AppApi
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.ordered import OrderedService


class HttpStatus(Collector):
    """How many requests were answered how, for Prometheus."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def collect(self) -> Iterable[Metric]:
        answers = CounterMetricFamily(
            "gobelieve_gateway_http_answers",
            "Requests to the HTTP API, by path and status.",
            labels=["path", "code"],
        )
        answered = sorted(self._router.answered.items())
        yield labelled(answers, (((path, str(code)), count) for (path, code), count in answered))


def add_http(
    parent: OrderedService,
    config: ClientsConfig,
    gateway: Gateway,
    reader: MessageReader,
    summary: Figures,
    collectors: Iterable[Collector],
    trouble: Trouble | None = None,
    app: AppApi | None = None,
) -> None:
    """Add ``http``, if there is an address. Without `trouble` there is no ``/ready``."""
    if config.http_listen_address:
        router = api_router(routes(config, gateway, reader, summary, app))
        site = with_status(router, [*collectors, HttpStatus(router)], trouble)
        address = parse_address(config.http_listen_address, "http_listen_address")
        parent.add("http", Listening(address, site))


def routes(
    config: ClientsConfig,
    gateway: Gateway,
    reader: MessageReader,
    summary: Figures,
    app: AppApi | None = None,
) -> list[Route]:
    """Everything that can be asked for."""
    access = ApiKeys(config.http_api_keys)
    clients, keys = gateway.clients, gateway.unfinished.reports.keys
    posts = Posts(gateway.controls.app_server_messages, config.kefu_appid, access)
    reads = Reads(
        reader, keys, clients.sessions, gateway.controls.room_bans, gateway.counters, access
    )
    about = About(summary, clients.sessions, clients.rooms, access)
    of_apps = [] if app is None else app.routes(reads)
    return [*posts.routes(), *reads.routes(), *about.routes(), *of_apps]
