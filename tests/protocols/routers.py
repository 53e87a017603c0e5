"""The router's end of a gateway's links, without sockets."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.protocols.router.connection import RouteConnection
from gobelieve.protocols.router.pending_subscriptions import Owns
from gobelieve.protocols.router.pool import RoutePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Frame, FrameReader, client, encode_frame, route
from gobelieve.wire.frames import LINK_BODY_LIMIT
from tests.fakes.subscribers import FakeHeld, FakeRooms, FakeSubscriber
from tests.fakes.world import world

BODY = client.IM(sender=1, receiver=2, timestamp=3, msgid=0, content=b"hi").encode()
ALICE, BOB = User(7, 1), User(7, 2)


class RouterEnd:
    """The end of one link at which a router would be."""

    def __init__(self, pool: RoutePool, index: int = 0) -> None:
        self.connection: RouteConnection = pool.links[index].buildProtocol(None)
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)
        self._reader = FrameReader(LINK_BODY_LIMIT)

    def all_frames(self) -> list[Frame]:
        """Return the frames since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return self._reader.feed(data)

    def frames(self) -> list[Frame]:
        """Return the frames since the last call, without MARK."""
        return [frame for frame in self.all_frames() if frame.cmd != route.MARK]

    def send(self, cmd: int, body: bytes, version: int = 1) -> None:
        """Send a frame to the gateway."""
        self.connection.dataReceived(encode_frame(cmd, body, 1, version))

    def answer_mark(self, abilities: int = 0) -> None:
        """Answer a MARK."""
        self.send(route.MARKED, bytes((abilities,)))

    def disconnect(self) -> None:
        """End the connection."""
        self.connection.connectionLost()


class RouterCase(SynchronousTestCase):
    """A gateway with one router or several."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.counters = Counters()
        self.held = FakeHeld()
        self.rooms = FakeRooms()
        self.subscriber = FakeSubscriber()
        self.missed: list[User] = []
        self.groups_missed: list[Owns] = []

    def pool(self, count: int = 1, groups: int = 0) -> RoutePool:
        """Return links that are not connected."""
        addresses = [f"127.0.0.1:{n}" for n in range(count)]
        of_groups = [f"127.0.0.1:{n}" for n in range(count, count + groups)]
        turn = ReactorTurn(self.clock)
        pool = RoutePool(
            addresses, of_groups, world(turn=turn, time=self.clock, counters=self.counters)
        )
        pool.attach(
            self.held,
            self.rooms,
            self.subscriber,
            users_missed=self.missed.extend,
            groups_missed=self.groups_missed.append,
        )
        return pool

    def connected(self, pool: RoutePool, index: int = 0, abilities: int = 0) -> RouterEnd:
        """Return a connection whose resubscription is in effect; its frames are read."""
        wire = RouterEnd(pool, index)
        self.turn()
        wire.answer_mark(abilities)
        self.turn()
        wire.all_frames()
        return wire

    def turn(self) -> None:
        """Run the event loop until nothing is due."""
        self.clock.advance(0)
