"""What the gateway shows of itself: its metrics and its summary."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gobelieve.protocols.metrics_page import TallyCollector
from gobelieve.services.gateway import Gateway


class GatewayStatus(Collector):
    """Shows it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        what = "What happened, by the names that /summary has under counts."
        self._events = TallyCollector("gobelieve_gateway_events", what, gateway.tally)

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        gateway = self._gateway
        for name, what, value in (
            ("connections", "Connections of clients.", len(gateway.watch)),
            ("clients", "Clients that are logged in.", gateway.sessions.count),
            ("users", "Users that have a client here.", len(gateway.sessions)),
            ("tasks", "Logins, syncs and writes that are under way.", len(gateway.tasks)),
        ):
            yield GaugeMetricFamily(f"gobelieve_gateway_{name}", what, value)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        """The figures of the status page: upstream's, and all that is counted."""
        gateway, tally = self._gateway, self._gateway.tally
        return {
            "connection_count": len(gateway.watch),
            "client_count": gateway.sessions.count,
            "clientset_count": len(gateway.sessions),
            "goroutine_count": len(gateway.tasks),
            "in_message_count": tally["messages"] + tally["live"],
            "out_message_count": tally["delivered"],
            "counts": dict(tally.counts),
        }
