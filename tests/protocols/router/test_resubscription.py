"""Gateway and router, when a router comes back to a gateway with many users."""

from time import process_time

from twisted.internet.task import Clock
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.protocols.router.connection import RouteConnection
from gobelieve.protocols.router.listener import GatewayConnection, RouteFactory
from gobelieve.protocols.router.pool import RoutePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.build import build_router
from tests.fakes.subscribers import FakeHeld, FakeRooms, FakeSubscriber
from tests.fakes.world import world
from tests.protocols.logs import Events
from tests.routing.support import FakePushes

USERS = 20_000


class ResubscriptionTests(SynchronousTestCase):
    """A gateway with 20,000 users resubscribes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = Events()
        self.patch(GatewayConnection, "log", self.events.log())
        self.turn = ReactorTurn(self.clock)
        self.router = build_router(FakePushes(), world=world(log=self.events.log()), limit=1000)
        self.factory = RouteFactory(
            self.router, turn=self.turn, counters=Counters(), unread_limit=1000
        )
        self.missed: list[User] = []

    def gateway(self, held: FakeHeld, rooms: FakeRooms) -> IOPump:
        """Connect a gateway, and return the pump between both ends."""
        pool = RoutePool(["router"], [], world(turn=self.turn, time=self.clock))
        pool.attach(held, rooms, FakeSubscriber(), users_missed=self.missed.extend)

        def near() -> RouteConnection:
            return pool.links[0].buildProtocol(None)

        def far() -> GatewayConnection:
            return self.factory.buildProtocol(None)

        _, _, pump = connectedServerAndClient(far, near, clock=self.clock)
        return pump

    def test_the_router_knows_all_in_less_than_a_second(self) -> None:
        """Both ends together take less than a second of processor time."""
        held = FakeHeld({User(7, uid): uid % 10 != 0 for uid in range(USERS)})
        rooms = FakeRooms(Room(7, number) for number in range(100))
        begun = process_time()
        pump = self.gateway(held, rooms)
        while not self.missed:
            self.clock.advance(0)
            pump.pump()
        self.assertLess(process_time() - begun, 1.0)
        table = self.router.table
        self.assertEqual(len(table), USERS)
        self.assertEqual({user: table.is_online(user) for user in held}, held)
        self.assertEqual(sum(len(table.holders_of_room(room)) for room in rooms), 100)
        self.assertEqual(set(self.missed), set(held))
