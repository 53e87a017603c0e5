"""The status of the gateway: its metrics, its summary, and whether it is ready."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gobelieve.gateway.sessions.session import ACKS
from gobelieve.protocols.http.status.metrics import histogram, labelled
from gobelieve.protocols.router.link import RouteLink
from gobelieve.protocols.storage.link import AskTimes, StorageLink
from gobelieve.services.components.gateway import Gateway
from gobelieve.services.status.pages import PartStatus
from gobelieve.wire.message import MESSAGES

PREFIX = "gobelieve_gateway_"
Counted = Mapping[str, str]
"""The names of counters, each with the label that metrics have for it."""

LOGINS: Counted = {
    "logins": "accepted",
    "logins_refused": "refused",
    "logins_without_backend": "unanswered",
}
OUTCOMES: Counted = {"messages": "stored", "messages_not_stored": "not_stored", "live": "live"}
STATUSES: Counted = {name: name.removeprefix("acks_") for name in (*ACKS.values(), "acks_other")}
DROPPED: Counted = {
    "live_dropped": "live",
    "notifies_dropped": "notifies",
    "pushes_dropped": "pushes",
    "sync_keys_dropped": "sync_keys",
    "unread_counts_dropped": "unread_counts",
    "daily_users_dropped": "daily_users",
}
CLOSED: Counted = {
    "closed_idle": "idle",
    "closed_stuck": "stuck",
    "closed_without_login": "no_login",
    "closed_for_others": "crowd",
    "closed_for_others_of_the_address": "crowd_of_one_address",
    "refused_for_memory": "memory",
}
COUNTERS = (
    ("logins", "outcome", LOGINS, "Logins that were asked for."),
    ("messages", "outcome", OUTCOMES, "Messages of clients and of the app's server."),
    ("acks", "status", STATUSES, "Answers to messages of clients."),
    ("dropped", "what", DROPPED, "Items that were dropped, since too many waited."),
    ("closed", "why", CLOSED, "Connections that the gateway closed, by reason."),
)
SHOWN = {name for _, _, counted, _ in COUNTERS for name in counted} | {"delivered"}


@dataclass(frozen=True)
class Links:
    """The connections of a gateway to other daemons; none if they are in the same process."""

    storages: Sequence[StorageLink] = ()
    routers: Sequence[RouteLink] = ()

    @property
    def trouble(self) -> str:
        """The storages and routers that are not connected, as a text; "" if all are."""
        storages = [f"storage {link.address}" for link in self.storages if not link.is_connected]
        routers = [f"router {link.address}" for link in self.routers if not link.is_connected]
        gone = [*storages, *routers]
        return f"not connected: {', '.join(gone)}" if gone else ""


class GatewayStatus(PartStatus):
    """The metrics and figures of a gateway. `times`: None if storage is in the same process."""

    def __init__(
        self, gateway: Gateway, links: Links = Links(), times: AskTimes | None = None
    ) -> None:
        self._counters = gateway.counters
        self._clients = gateway.clients
        self._unfinished = gateway.unfinished
        self._links = links
        self._times = times or AskTimes()

    def collect(self) -> Iterable[Metric]:
        yield from self._present()
        yield from self._traffic()
        yield from self._daemons()

    def _present(self) -> Iterable[Metric]:
        """Yield the present numbers: connections, users, and work that waits."""
        clients, unfinished = self._clients, self._unfinished
        arrived, left = clients.registry.arrivals, clients.registry.departures
        yield labelled(
            _gauge("connections", "Connections of clients.", "transport"),
            (
                ([transport_name], count - left[transport_name])
                for transport_name, count in sorted(arrived.counts.items())
            ),
        )
        for name, what, value in (
            ("clients", "Clients that are logged in.", clients.sessions.count),
            ("users", "Users that have a client here.", len(clients.sessions)),
            ("anonymous", "Connections that have not logged in.", len(clients.unauthenticated)),
            ("rooms", "Rooms that have clients here.", len(clients.rooms)),
            ("tasks", "Logins, syncs and writes that are under way.", len(unfinished.tasks)),
            ("saves", "Messages that storage has not answered.", len(unfinished.saves_in_flight)),
        ):
            yield GaugeMetricFamily(PREFIX + name, what, value)
        kept = [link.kept for link in self._links.routers]
        yield labelled(
            _gauge("waiting", "Work that waits, by queue.", "queue"),
            (
                (["group_messages"], len(unfinished.fan_out)),
                (["sync_keys"], len(unfinished.reports.keys)),
                (["group_sync_keys"], len(unfinished.reports.group_keys)),
                (["unread_counts"], len(unfinished.reports.unread)),
                (["daily_users"], len(unfinished.reports.daily)),
                (["notifies"], sum(notifies for notifies, _ in kept)),
                (["pushes"], sum(pushes for _, pushes in kept)),
            ),
        )

    def _traffic(self) -> Iterable[Metric]:
        """Yield the numbers of events since the start."""
        registry, counters = self._clients.registry, self._counters
        yield labelled(
            _counter("arrivals", "Connections of clients since the start.", "transport"),
            (
                ([transport_name], count)
                for transport_name, count in sorted(registry.arrivals.counts.items())
            ),
        )
        for name, what, counts in (
            ("received", "Frames from clients.", registry.received),
            ("sent", "Frames to clients.", counters.sent),
        ):
            yield labelled(
                _counter(name, what, "command"),
                (
                    ([MESSAGES[number].label.lower()], count)
                    for number, count in enumerate(counts)
                    if count
                ),
            )
        for name, label, counted, what in COUNTERS:
            yield labelled(
                _counter(name, what, label),
                (
                    ([shown], counters[key])
                    for key, shown in counted.items()
                    if key in counters.counts
                ),
            )
        what = "Messages sent to clients, pushed or synced."
        yield CounterMetricFamily(PREFIX + "delivered", what, counters["delivered"])
        rest = (
            (name, count) for name, count in sorted(counters.counts.items()) if name not in SHOWN
        )
        yield labelled(
            _counter("events", "Other events, by their names in /summary.", "event"),
            (([name], count) for name, count in rest),
        )

    def _daemons(self) -> Iterable[Metric]:
        """Yield the state of the connections to storage and routers."""
        storages, routers = self._links.storages, self._links.routers
        yield labelled(
            _gauge("storage_connected", "1 if it is connected.", "storage"),
            (([link.address], link.is_connected) for link in storages),
        )
        yield labelled(
            _gauge("storage_asks", "Requests that it has not answered.", "storage"),
            (([link.address], len(link)) for link in storages),
        )
        what = "Seconds from a request to the answer of storage."
        yield histogram(PREFIX + "storage_ask_seconds", what, self._times.asks)
        what = "Seconds from a message to its ack, while storage stored it."
        yield histogram(PREFIX + "store_seconds", what, self._times.messages)
        yield labelled(
            _gauge("router_connected", "1 if it is connected.", "router"),
            (([link.address], link.is_connected) for link in routers),
        )
        yield labelled(
            _counter("router_connects", "Connections made since the start.", "router"),
            (([link.address], link.connects) for link in routers),
        )

    def summary(self) -> dict[str, object]:
        """Return the figures of the Go server's status page, and all counters."""
        clients, counters = self._clients, self._counters
        return {
            "connection_count": len(clients.timeouts),
            "client_count": clients.sessions.count,
            "clientset_count": len(clients.sessions),
            "goroutine_count": len(self._unfinished.tasks),
            "in_message_count": counters["messages"] + counters["live"],
            "out_message_count": counters["delivered"],
            "counts": dict(counters.counts),
        }


def _gauge(name: str, what: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, what, labels=[label])


def _counter(name: str, what: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, what, labels=[label])
