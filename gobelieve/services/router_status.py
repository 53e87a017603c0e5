"""What the router shows of itself: its metrics and its summary."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gobelieve.protocols.metrics_page import TallyCollector
from gobelieve.protocols.route_listener import RouteFactory
from gobelieve.routing.pushes import PushWriter
from gobelieve.routing.router import Router


class RouterStatus(Collector):
    """Shows it. Without `pushes` there are none."""

    def __init__(self, router: Router, factory: RouteFactory, pushes: PushWriter | None) -> None:
        self.router = router
        self._factory = factory
        self._pushes = pushes
        what = "What happened, by the names that /summary has under counts."
        self._events = TallyCollector("gobelieve_router_events", what, factory.tally)

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        what = "Gateways that are connected."
        yield GaugeMetricFamily("gobelieve_router_gateways", what, len(self._factory.connections))
        what = "Pushes that wait to be written."
        yield GaugeMetricFamily("gobelieve_router_pushes_waiting", what, self._waiting)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        """The figures of the status page."""
        return {
            "gateway_count": len(self._factory.connections),
            "pushes_waiting": self._waiting,
            "counts": dict(self._factory.tally.counts),
        }

    @property
    def _waiting(self) -> int:
        return 0 if self._pushes is None else len(self._pushes)
