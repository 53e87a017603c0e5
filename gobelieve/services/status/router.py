"""The status of the router: its metrics and its summary."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from gobelieve.protocols.http.status.metrics import CountersCollector
from gobelieve.protocols.router.listener import GatewayConnection, RouteFactory
from gobelieve.routing.pushes.writer import PushWriter
from gobelieve.routing.router import Router
from gobelieve.services.status.pages import PartStatus


class RouterStatus(PartStatus):
    """The metrics and figures of a router. `pushes`: None if the router pushes nothing."""

    def __init__(self, router: Router, factory: RouteFactory, pushes: PushWriter | None) -> None:
        self.router = router
        self._factory = factory
        self._pushes = pushes
        what = "Events, by the names that /summary has under counts."
        self._events = CountersCollector("gobelieve_router_events", what, factory.counters)

    def collect(self) -> Iterable[Metric]:
        for name, what, value in (
            ("gateways", "Gateways that are connected.", len(self._factory.connections)),
            ("users", "Users whom gateways hold.", len(self.router.table)),
            ("rooms", "Rooms that gateways hold.", self.router.table.rooms),
            ("pushes_waiting", "Pushes that wait to be written.", self._waiting),
            ("pushes_kept", "Pushes kept until it is known who is online.", self._kept),
            ("group_pushes_waiting", "Pushes that wait for their group.", self._group_waiting),
        ):
            yield GaugeMetricFamily(f"gobelieve_router_{name}", what, value)
        yield from self._events.collect()

    def summary(self) -> dict[str, object]:
        table = self.router.table
        counts = self._factory.counters
        return {
            "gateway_count": len(self._factory.connections),
            "user_count": len(table),
            "room_count": table.rooms,
            "pushes_waiting": self._waiting,
            "pushes_kept": self._kept,
            "group_pushes_waiting": self._group_waiting,
            "pushes_dropped": counts["pushes_dropped"] + counts["group_pushes_lost"],
            "gateways": [self._gateway(link) for link in self._factory.connections],
            "counts": dict(counts.counts),
        }

    def _gateway(self, link: GatewayConnection) -> dict[str, object]:
        users, rooms = self.router.table.held_by(link)
        return {
            "peer": link.peer,
            "version": link.version,
            "users": users,
            "rooms": rooms,
            "unsent": link.unsent(),
        }

    @property
    def _waiting(self) -> int:
        return 0 if self._pushes is None else len(self._pushes)

    @property
    def _kept(self) -> int:
        return len(self.router.grace)

    @property
    def _group_waiting(self) -> int:
        return 0 if self.router.groups is None else len(self.router.groups)
