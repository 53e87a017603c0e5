"""The status of the router."""

from struct import pack

from prometheus_client import generate_latest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.protocols.http.status.metrics import registry_of
from gobelieve.protocols.router.listener import GatewayConnection, RouteFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.build import build_router
from gobelieve.services.status.router import RouterStatus
from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import IM
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.routing.support import FakePushes


class RouterStatusTests(SynchronousTestCase):
    """The status of a router with one gateway, two users, a room and a kept push."""

    def setUp(self) -> None:
        clock, log = Clock(), Events().log()
        self.counters = Counters()
        router = build_router(
            FakePushes(),
            world=world(time=clock, counters=self.counters, log=log),
            limit=100,
            grace_after_start=10,
            grace_after_loss=3,
        )
        router.start()
        factory = RouteFactory(
            router, turn=ReactorTurn(clock), counters=self.counters, unread_limit=1000
        )
        self.patch(GatewayConnection, "log", log)
        self.status = RouterStatus(router, factory, None)
        link = factory.buildProtocol(None)
        link.makeConnection(StringTransport())
        inner = IM(sender=1, receiver=3, msgid=0, content=b"hi").frame()
        push = route.WidePush(appid=7, receivers=(1, 3), inner=inner).encode()
        for cmd, body in (
            (route.SUBSCRIBE, pack(">qqb", 7, 1, 1)),
            (route.SUBSCRIBE, pack(">qqb", 7, 2, 0)),
            (route.SUBSCRIBE_ROOM, pack(">qq", 7, 5)),
            (route.PUSH, push),
        ):
            link.dataReceived(encode_frame(cmd, body, 1, 1))
        self.counters.add("pushes_dropped", 2)
        self.counters.add("group_pushes_lost")

    def test_summary(self) -> None:
        """The summary has users, rooms, waiting and dropped pushes, in all and per gateway."""
        summary = self.status.summary()
        counts = summary.pop("counts")
        self.assertEqual(
            summary,
            {
                "gateway_count": 1,
                "user_count": 2,
                "room_count": 1,
                "pushes_waiting": 0,
                "pushes_kept": 1,
                "group_pushes_waiting": 0,
                "pushes_dropped": 3,
                "gateways": [
                    {
                        "peer": "192.168.1.1:54321",
                        "version": 1,
                        "users": 2,
                        "rooms": 1,
                        "unsent": 0,
                    }
                ],
            },
        )
        self.assertEqual(counts, dict(self.counters.counts))

    def test_metrics(self) -> None:
        """The metrics have the same figures for Prometheus."""
        page = generate_latest(registry_of([self.status])).decode()
        for line in (
            "gobelieve_router_gateways 1.0",
            "gobelieve_router_users 2.0",
            "gobelieve_router_rooms 1.0",
            "gobelieve_router_pushes_waiting 0.0",
            "gobelieve_router_pushes_kept 1.0",
            "gobelieve_router_group_pushes_waiting 0.0",
            'gobelieve_router_events_total{event="pushes_kept"} 1.0',
        ):
            self.assertIn(line + "\n", page)
