"""The router alone: publications between gateways, and pushes for offline users.

Gateways are raw links in this process, and each has a part of the users. A fixed number of
publications is in flight. When one has come to all gateways of its receiver, another gateway sends
the next. One in flight shows the duration; many show the load that a router carries. The limit is
this process, which needs as much CPU time as the router.
"""

import argparse
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from struct import pack
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from gobelieve.bench.daemons import router
from gobelieve.bench.processes import Running
from gobelieve.config import parse_address
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import Turn
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import client, encode_frame, route
from gobelieve.wire.frames import LINK_BODY_LIMIT, PUSH, Frame
from gobelieve.wire.publication import Publication

APP = 7
FIRST_UID = 1_000_000
NOBODY = 2
"""A user at no gateway."""
IN_FLIGHT = (1, 64)
PUSHES_PER_MARK = 64
DRAIN_SECONDS = 20.0


class Gateway(FramedProtocol):
    """A raw link to the router."""

    limit = LINK_BODY_LIMIT

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self.received: Callable[[Frame], None] = lambda frame: None

    def say(self, cmd: int, body: bytes) -> None:
        """Send a frame to the router."""
        self.send(encode_frame(cmd, body, 0, route.OUTER_VERSION))

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.received(frame)


class Publications:
    """Keeps `in_flight` publications in flight, each for `copies` gateways."""

    def __init__(self, gateways: Sequence[Gateway], copies: int, users: int, size: int) -> None:
        self.sent = self.done = self.doubled = 0
        self.going = True
        self.left: dict[int, int] = {}
        """By the publication's number: the gateways to which it has not come yet."""
        self._gateways = gateways
        self._copies = copies
        self._users = users
        self._filler = b"x" * max(0, size - 8)
        for gateway in gateways:
            gateway.received = self._received

    def subscribe(self) -> None:
        """Subscribe each user at `copies` gateways."""
        for user in range(self._users):
            for copy in range(self._copies):
                gateway = self._gateways[(user + copy) % len(self._gateways)]
                gateway.say(route.SUBSCRIBE, pack(">qqb", APP, FIRST_UID + user, 1))

    def unsubscribe(self) -> None:
        """Unsubscribe all users, for the next measurement."""
        for user in range(self._users):
            for gateway in self._gateways:
                gateway.say(route.UNSUBSCRIBE, pack(">qq", APP, FIRST_UID + user))

    def send_one(self) -> None:
        """Send the next publication."""
        number = self.sent
        self.sent += 1
        user = number % self._users
        content = self._filler + pack(">q", number)
        message = client.IM(sender=1, receiver=FIRST_UID + user, msgid=0, content=content)
        inner = message.frame(version=route.INNER_VERSION, flag=PUSH)
        publication = Publication(APP, FIRST_UID + user, number + 2, number + 1, 0, inner)
        self.left[number] = self._copies
        source = self._gateways[(user + self._copies) % len(self._gateways)]
        source.say(route.PUBLISH, publication.body(route.OUTER_VERSION))

    def _received(self, frame: Frame) -> None:
        number = int.from_bytes(frame.body[-8:], "big")
        left = self.left.get(number)
        if left is None:
            self.doubled += 1
        elif left > 1:
            self.left[number] = left - 1
        else:
            del self.left[number]
            self.done += 1
            if self.going:
                self.send_one()


class Pushes:
    """Asks for a batch of pushes and a MARK. When the MARK is answered, it asks for the next
    batch."""

    def __init__(self, gateway: Gateway, size: int) -> None:
        self.sent = 0
        self.going = True
        self._gateway = gateway
        gateway.received = self._received
        message = client.IM(sender=1, receiver=NOBODY, msgid=0, content=b"x" * size)
        inner = message.frame(version=route.INNER_VERSION)
        self._body = route.WidePush(appid=APP, receivers=(NOBODY,), inner=inner).encode()

    def send_some(self) -> None:
        """Send the next batch of pushes and its MARK."""
        for _ in range(PUSHES_PER_MARK):
            self._gateway.say(route.PUSH, self._body)
        self._gateway.say(route.MARK, b"")
        self.sent += PUSHES_PER_MARK

    def _received(self, frame: Frame) -> None:
        if frame.cmd == route.MARKED and self.going:
            self.send_some()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--gateways", type=int, default=11, help="links to the router, at least 3")
    parser.add_argument("--users", type=int, default=10_000, help="users, spread over them")
    parser.add_argument("--size", type=int, default=100, help="bytes of content")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of each line")


def start(options: argparse.Namespace) -> AbstractContextManager[Running]:
    """Start a router and a Redis."""
    if options.gateways < 3:
        raise SystemExit("--gateways: at least 3")
    return router()


async def run(reactor: Reactor, running: Running, options: argparse.Namespace) -> bool:
    """Measure and print. Return False if a publication was lost or came twice."""
    gateways = await _connect(reactor, running, options.gateways)
    print(f"route, {options.gateways} gateways, {options.users} users, {options.size} bytes")
    heads = ("in flight", "to gateways", "a second", "us CPU each", "ms each")
    print("  " + "".join(f"{head:>13}" for head in heads))
    sound = True
    for copies in (1, options.gateways - 1):
        for in_flight in IN_FLIGHT:
            load = Publications(gateways, copies, options.users, options.size)
            load.subscribe()
            await _settled(reactor, gateways)
            for gateway in gateways:
                gateway.received = load._received
            sound &= await _publish(reactor, running, load, copies, in_flight, options)
            load.unsubscribe()
            await _settled(reactor, gateways)
    return await _push(reactor, running, gateways[0], options) and sound


async def _connect(reactor: Reactor, running: Running, count: int) -> list[Gateway]:
    turn = ReactorTurn(reactor)
    host, port = parse_address(running.clients)
    factory = Factory.forProtocol(lambda: Gateway(turn))
    factory.noisy = False
    endpoint: Any = HostnameEndpoint(reactor, host, port)
    return [await endpoint.connect(factory) for _ in range(count)]


async def _settled(reactor: Reactor, gateways: Sequence[Gateway]) -> None:
    """Wait until all sent frames are in effect."""
    waiting = set(range(len(gateways)))
    for number, gateway in enumerate(gateways):
        gateway.received = lambda frame, number=number: waiting.discard(number)  # type: ignore[misc]
        gateway.say(route.MARK, b"")
    while waiting:
        await deferLater(reactor, 0.01)


async def _publish(
    reactor: Reactor,
    running: Running,
    load: Publications,
    copies: int,
    in_flight: int,
    options: argparse.Namespace,
) -> bool:
    for _ in range(in_flight):
        load.send_one()
    await deferLater(reactor, 0.3)
    done, cpu, begun = load.done, running.cpu_seconds(), time.perf_counter()
    await deferLater(reactor, options.seconds)
    took = time.perf_counter() - begun
    count = max(1, load.done - done)
    spent = running.cpu_seconds()["imr"] - cpu["imr"]
    load.going = False
    end = time.perf_counter() + DRAIN_SECONDS
    while load.left and time.perf_counter() < end:
        await deferLater(reactor, 0.01)
    _print(str(in_flight), copies, count, took, spent, in_flight)
    return _sound(len(load.left), load.doubled)


async def _push(
    reactor: Reactor, running: Running, gateway: Gateway, options: argparse.Namespace
) -> bool:
    load = Pushes(gateway, options.size)
    cpu, begun = running.cpu_seconds(), time.perf_counter()
    load.send_some()
    await deferLater(reactor, options.seconds)
    load.going = False
    end = time.perf_counter() + DRAIN_SECONDS
    while (written := _length(running)) < load.sent and time.perf_counter() < end:
        await deferLater(reactor, 0.01)
    took = time.perf_counter() - begun
    spent = running.cpu_seconds()["imr"] - cpu["imr"]
    _print("pushes", 0, load.sent, took, spent, PUSHES_PER_MARK)
    return _sound(max(0, load.sent - written), max(0, written - load.sent))


def _length(running: Running) -> int:
    """Return the number of pushes in Redis."""
    assert running.redis is not None
    with socket.create_connection(parse_address(running.redis)) as redis:
        redis.sendall(b"LLEN push_queue\r\n")
        return int(redis.recv(100).strip(b":\r\n"))


def _print(what: str, copies: int, count: int, took: float, spent: float, in_flight: int) -> None:
    print(
        f"  {what:>13}{copies or '':>13}{count / took:13,.0f}{spent / count * 1e6:13.1f}"
        f"{took * in_flight / count * 1e3:13.3f}"
    )


def _sound(lost: int, doubled: int) -> bool:
    if lost or doubled:
        print(f"  {lost} LOST, {doubled} DOUBLED")
    return not (lost or doubled)
