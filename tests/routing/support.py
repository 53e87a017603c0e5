"""Helpers for the tests of the router: gateways, pushes and a clock."""

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
    """A clock that can advance by one turn of a reactor."""

    def turn(self) -> None:
        """Make the calls that are due now, but not the calls that these schedule."""
        now = self.seconds()
        for call in [call for call in self.calls if call.getTime() <= now]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class FakeLink:
    """The link of a gateway that keeps the frames it receives."""

    def __init__(self, router: Router, version: int = 1) -> None:
        self.version = version
        self.received: list[Sent] = []
        self.router = router
        router.opened(self)

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        self.received.append((cmd, body, version))

    def send_frame(self, cmd: int, body: bytes, version: int = 0) -> None:
        """Send a frame to the router."""
        self.router.received(self, cmd, body, version)

    def send(self, message: Message) -> None:
        """Send a message to the router in a frame of version 0."""
        self.send_frame(message.number, message.encode())

    def subscribe(self, uid: int, online: bool = True, appid: int = 7) -> None:
        """Report a user of this gateway to the router."""
        self.send(Subscribe(appid=appid, uid=uid, online=int(online)))

    def subscribe_room(self, room: int, appid: int = 7) -> None:
        """Report a room of this gateway to the router."""
        self.send(SubscribeRoom(appid=appid, room_id=room))


class FakePushes(list[Item]):
    """Keeps the items that would be written to the push lists."""

    def add(self, items: Iterable[Item]) -> None:
        self.extend(items)


class Setting:
    """A router with its pushes, counters and log."""

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
        """Connect a new gateway."""
        return FakeLink(self.router, version)
