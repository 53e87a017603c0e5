"""The HTTP server of a gateway: its API and its status pages."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gobelieve.config import ClientsConfig, parse_address
from gobelieve.interfaces import MessageReader
from gobelieve.protocols.http.access import ApiKeys
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.gateway.diagnostics import Diagnostics
from gobelieve.protocols.http.gateway.documents import api_router
from gobelieve.protocols.http.gateway.group_posts import GroupPosts
from gobelieve.protocols.http.gateway.live_posts import LivePosts
from gobelieve.protocols.http.gateway.queue_reader import QueueReader
from gobelieve.protocols.http.gateway.queues import Queues
from gobelieve.protocols.http.gateway.sessions import UserSessions
from gobelieve.protocols.http.gateway.system_posts import SystemPosts
from gobelieve.protocols.http.gateway.user_posts import UserPosts
from gobelieve.protocols.http.router import Router
from gobelieve.protocols.http.status.metrics import labelled
from gobelieve.protocols.http.status.pages import Figures, with_status
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.http.app_api import AppApi
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.status.pages import DaemonStatus


class HttpStatus(Collector):
    """The metrics of the HTTP API: its answers by path and status."""

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
    *,
    gateway: Gateway,
    storage: MessageReader,
    status: DaemonStatus,
    app: AppApi | None,
) -> None:
    """Add ``http``, if there is an address. `app`: None if there is no app API."""
    if config.http_listen_address:
        router = api_router(routes(config, gateway, storage, status.summary, app))
        site = with_status(router, [*status.collectors, HttpStatus(router)], status.trouble)
        address = parse_address(config.http_listen_address, "http_listen_address")
        parent.add("http", Listening(address, site))


def routes(
    config: ClientsConfig,
    gateway: Gateway,
    storage: MessageReader,
    summary: Figures,
    app: AppApi | None = None,
) -> list[Route]:
    """Return all routes of the API: the gateway's own, and those of the app API."""
    access = ApiKeys(config.http_api_keys)
    clients, controls = gateway.clients, gateway.controls
    messages, reader = controls.app_server_messages, QueueReader(storage)
    queues = Queues(reader, gateway.unfinished.reports.keys)
    sessions = UserSessions(clients.sessions, controls.room_bans, gateway.counters)
    diagnostics = Diagnostics(summary, clients.sessions, clients.rooms)
    return [
        *UserPosts(messages, config.kefu_appid).routes(access),
        *GroupPosts(messages.groups).routes(access),
        *SystemPosts(messages).routes(access),
        *LivePosts(messages).routes(access),
        *queues.routes(access),
        *sessions.routes(access),
        *queues.idle_routes(access),
        *diagnostics.routes(access),
        *([] if app is None else app.routes(reader)),
    ]
