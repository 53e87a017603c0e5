"""The sessions in each room, and the subscriptions at the routers."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.session import Session
from gobelieve.metrics import GatewayCounters
from gobelieve.names import Room
from tests.gateway.support import APP, FakeConnection, FakeRouting

LOBBY, BAR = Room(APP, 50), Room(APP, 51)


class RoomsTests(SynchronousTestCase):
    """First in, last out."""

    def setUp(self) -> None:
        self.routing = FakeRouting()
        self.rooms = Rooms(self.routing)
        self.alice, self.bob = (
            Session(FakeConnection(), (), GatewayCounters(), 0) for _ in range(2)
        )

    def test_the_first_and_the_last(self) -> None:
        """Are what the routers learn."""
        self.rooms.enter(LOBBY, self.alice)
        self.rooms.enter(LOBBY, self.bob)
        self.rooms.enter(BAR, self.alice)
        self.assertEqual(self.routing.take(), [("subscribe_room", LOBBY), ("subscribe_room", BAR)])
        self.assertEqual(list(self.rooms.of(LOBBY)), [self.alice, self.bob])
        self.rooms.leave(LOBBY, self.alice)
        self.assertEqual(self.routing.take(), [])
        self.rooms.leave(LOBBY, self.bob)
        self.assertEqual(self.routing.take(), [("unsubscribe_room", LOBBY)])
        self.assertEqual(list(self.rooms.of(LOBBY)), [])

    def test_twice_is_once(self) -> None:
        """In and out; and out of where one was not."""
        for _ in range(2):
            self.rooms.enter(LOBBY, self.alice)
        self.rooms.leave(LOBBY, self.bob)
        self.rooms.leave(BAR, self.bob)
        self.assertEqual(self.routing.take(), [("subscribe_room", LOBBY)])
        for _ in range(2):
            self.rooms.leave(LOBBY, self.alice)
        self.assertEqual(self.routing.take(), [("unsubscribe_room", LOBBY)])

    def test_what_is_said_again_to_a_router(self) -> None:
        """The rooms that are not empty."""
        self.rooms.enter(LOBBY, self.alice)
        self.rooms.enter(BAR, self.bob)
        self.rooms.leave(BAR, self.bob)
        self.assertEqual(list(self.rooms.rooms()), [LOBBY])
        self.assertEqual(
            (LOBBY in self.rooms, BAR in self.rooms, len(self.rooms)), (True, False, 1)
        )
