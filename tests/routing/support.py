"""What the tests of the router share."""

from collections.abc import Iterable

from twisted.internet.task import Clock
from twisted.logger import Logger

from gobelieve.metrics import Counters
from gobelieve.routing.build import build_router
from gobelieve.routing.pushes.payloads import Item
from gobelieve.routing.router import Router
from gobelieve.wire.message import Message
from gobelieve.wire.route import Subscribe, SubscribeRoom
from tests.fakes.world import world
from tests.protocols.logs import Events

Sent = tuple[int, bytes, int]


class TurnClock(Clock):
    """A clock that can go on by one turn of a reactor."""

    def turn(self) -> None:
        """Make the calls that are due now, and not those that they ask for."""
        now = self.seconds()
        for call in [call for call in self.calls if call.getTime() <= now]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class FakeLink:
    """A gateway that keeps what it gets."""

    def __init__(self, router: Router, version: int = 1) -> None:
        self.version = version
        self.got: list[Sent] = []
        self.router = router
        router.opened(self)

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        self.got.append((cmd, body, version))

    def say(self, cmd: int, body: bytes, version: int = 0) -> None:
        """Send this to the router."""
        self.router.received(self, cmd, body, version)

    def tell(self, said: Message) -> None:
        """Send this to the router, outer version 0."""
        self.say(said.number, said.encode())

    def hold(self, uid: int, online: bool = True, appid: int = 7) -> None:
        """Subscribe a user."""
        self.tell(Subscribe(appid=appid, uid=uid, online=int(online)))

    def enter(self, room: int, appid: int = 7) -> None:
        """Subscribe a room."""
        self.tell(SubscribeRoom(appid=appid, room_id=room))


class FakePushes(list[Item]):
    """Keeps what is to be pushed."""

    def add(self, items: Iterable[Item]) -> None:
        self.extend(items)


class Setting:
    """A router and what it did besides forwarding."""

    def __init__(self, push_system: bool = True, disabled: bool = False) -> None:
        self.pushes = FakePushes()
        self.counters = Counters()
        self.events = Events()
        self.log: Logger = self.events.log()
        self.router = build_router(
            None if disabled else self.pushes,
            world=world(counters=self.counters, log=self.log),
            limit=1000,
            push_system=push_system,
        )

    def link(self, version: int = 1) -> FakeLink:
        """A new gateway."""
        return FakeLink(self.router, version)
