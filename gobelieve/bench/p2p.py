"""Messages from user to user, by pairs of a sender and a receiver.

Each sender has a fixed number of messages without an ack. Receivers take pushes, or sync, as apps
do. At the end each acked message must have come once and in order. All clients run in this process,
which needs as much CPU time as the daemons. A compiled load generator shows more messages per
second, but the same cost of each message.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from gobelieve.backends.redis.keys import RedisTokenAdmin
from gobelieve.backends.redis.service import RedisService
from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService, SqliteTokenAdmin
from gobelieve.bench.daemons import all_in_one, three_daemons
from gobelieve.bench.processes import Running
from gobelieve.config import RedisConfig, parse_address
from gobelieve.errors import LoginRefusedError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import Turn
from gobelieve.names import User
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import bodies, client, encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, Frame

APP = 7
FIRST_UID = 1_000_000
LOGIN_SECONDS = 60.0
"""Seconds for the server to answer a login."""
DRAIN_SECONDS = 60.0
"""Seconds at the end for messages in flight to arrive."""


class BenchClient(FramedProtocol):
    """The common part of senders and receivers."""

    limit = CLIENT_BODY_LIMIT

    def __init__(self, turn: Turn, uid: int) -> None:
        super().__init__(turn)
        self.uid = uid
        self.logged_in: Deferred[None] = Deferred()
        self.seq = 0

    def say(self, cmd: int, body: bytes) -> int:
        """Send a frame and return its seq."""
        self.seq += 1
        self.send(encode_frame(cmd, body, self.seq, 2))
        return self.seq

    def log_in(self, token: str) -> Deferred[None]:
        """Send the token. The Deferred fires when the server accepts it."""
        device = f"bench-{self.uid}".encode()
        auth = client.AuthToken(platform=2, token=token.encode(), device_id=device)
        self.say(auth.number, auth.encode())
        return self.logged_in

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.cmd == client.AuthStatus.number:
                status = client.AuthStatus.decode(frame.body).status
                if status:
                    self.logged_in.errback(LoginRefusedError(status))
                else:
                    self.logged_in.callback(None)
            else:
                self.received(frame)

    def received(self, frame: Frame) -> None:
        """Handle a frame that comes after the login."""
        raise NotImplementedError


class Sender(BenchClient):
    """Keeps `window` messages without an ack in flight, while `going` is True."""

    def begin(self, receiver: int, window: int, size: int, now: Callable[[], float]) -> None:
        """Begin to send messages of `size` bytes to the receiver."""
        self._receiver = receiver
        self._filler = b"x" * max(0, size - 10)
        self._now = now
        self.acked = 0
        self.refused = 0
        self.sent = 0
        self.delays: list[float] = []
        self.going = True
        self._due: dict[int, float] = {}
        for _ in range(window):
            self._send_one()

    def _send_one(self) -> None:
        self.sent += 1
        content = b"%010d" % self.sent + self._filler
        message = client.IM(sender=self.uid, receiver=self._receiver, msgid=0, content=content)
        self._due[self.say(message.number, message.encode())] = self._now()

    def received(self, frame: Frame) -> None:
        if frame.cmd != client.Ack.number:
            return
        ack = client.Ack.decode(frame.body)
        if ack.status:
            self.refused += 1
        else:
            self.acked += 1
        self.delays.append(self._now() - self._due.pop(ack.seq))
        if self.going:
            self._send_one()


class Receiver(BenchClient):
    """Receives messages, and checks that each comes once and in order."""

    def begin(self) -> None:
        """Begin to count messages, with an empty queue."""
        self.got = 0
        self.doubled = 0
        self.disordered = 0
        self._key = 0
        self._pending = 0
        self._syncing = False
        self._seen: set[int] = set()
        self._highest = 0
        self._metadata: tuple[int, int, int] = (-1, 0, 0)

    def received(self, frame: Frame) -> None:
        cmd = frame.cmd
        if cmd == client.Metadata.number:
            metadata = client.Metadata.decode(frame.body)
            self._metadata = (frame.seq, metadata.sync_key, metadata.prev_sync_key)
        elif cmd == client.IM.number:
            self._message(frame)
        elif cmd == client.SyncNotify.number:
            self._pending = max(self._pending, bodies.key_of(frame.body))
            self._sync()
        elif cmd == client.SyncEnd.number:
            self._key = bodies.key_of(frame.body)
            self._syncing = False
            self._report()
            self._sync()

    def _message(self, frame: Frame) -> None:
        if frame.flag & PUSH:
            seq, key, prev = self._metadata
            if seq + 1 != frame.seq or not prev or prev != self._key:
                return
            self._key = key
            self._report()
        self.say(client.Ack.number, frame.seq.to_bytes(4, "big"))
        number = int(frame.body[24:34])
        if number in self._seen:
            self.doubled += 1
            return
        if number < self._highest:
            self.disordered += 1
        self._highest = max(number, self._highest)
        self._seen.add(number)
        self.got += 1

    def _sync(self) -> None:
        if self._pending > self._key and not self._syncing:
            self._syncing = True
            self.say(client.Sync.number, self._key.to_bytes(8, "big"))

    def _report(self) -> None:
        self.say(client.SyncKey.number, self._key.to_bytes(8, "big"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--embedded", action="store_true", help="measure the all-in-one daemon")
    policies = ["commit", "interval", "never"]
    parser.add_argument(
        "--cluster",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of [cluster] for all three daemons: secret_file, cert_file, key_file, ca_file",
    )
    parser.add_argument(
        "--fsync", default="commit", choices=policies, help="the sync policy of storage"
    )
    parser.add_argument("--pairs", type=int, default=50, help="senders, each with a receiver")
    parser.add_argument(
        "--window", type=int, default=64, help="messages without an ack, per sender"
    )
    parser.add_argument("--size", type=int, default=100, help="bytes of content")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before it")


def start(options: argparse.Namespace) -> AbstractContextManager[Running]:
    """Start the daemons that the options name."""
    settings = [f"fsync={options.fsync}"]
    if options.embedded:
        return all_in_one(settings)
    return three_daemons(settings, options.cluster)


async def run(reactor: Reactor, running: Running, options: argparse.Namespace) -> bool:
    """Measure and print. Return False if a message was lost, doubled or out of order."""
    tokens = [f"bench-token-{n}" for n in range(2 * options.pairs)]
    await grant(reactor, running, tokens)
    turn = ReactorTurn(reactor)
    senders: list[Sender] = []
    receivers: list[Receiver] = []
    for n in range(options.pairs):
        receiver = Receiver(turn, FIRST_UID + options.pairs + n)
        await connect(reactor, running, receiver, tokens[options.pairs + n])
        receiver.begin()
        receivers.append(receiver)
        sender = Sender(turn, FIRST_UID + n)
        await connect(reactor, running, sender, tokens[n])
        senders.append(sender)
    for sender, receiver in zip(senders, receivers, strict=True):
        sender.begin(receiver.uid, options.window, options.size, time.perf_counter)

    await deferLater(reactor, options.warmup)
    for sender in senders:
        sender.delays.clear()
    acked, cpu, start = sum(s.acked for s in senders), running.cpu_seconds(), time.perf_counter()
    await deferLater(reactor, options.seconds)
    took = time.perf_counter() - start
    spent = {name: now - cpu[name] for name, now in running.cpu_seconds().items()}
    messages = sum(s.acked for s in senders) - acked
    delays = sorted(delay for s in senders for delay in s.delays)
    for sender in senders:
        sender.going = False
    await _drained(reactor, senders, receivers)
    return _print(options, messages, took, spent, delays, senders, receivers)


async def grant(reactor: Reactor, running: Running, tokens: list[str]) -> None:
    """Make tokens for the users from `FIRST_UID` on."""
    service: Any
    if running.redis is not None:
        service = RedisService(RedisConfig(address=running.redis), reactor)
        admin: Any = RedisTokenAdmin(service)
    else:
        service = SqliteService(f"{running.data}/{FILE_NAME}", reactor)
        admin = SqliteTokenAdmin(service)
    service.startService()
    for n, token in enumerate(tokens):
        await admin.create(User(APP, FIRST_UID + n), token, "bench")
    await service.stopService()


async def connect(reactor: Reactor, running: Running, protocol: BenchClient, token: str) -> None:
    """Connect a client and log it in."""
    host, port = parse_address(running.clients)
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    await HostnameEndpoint(reactor, host, port).connect(factory)
    await protocol.log_in(token).addTimeout(LOGIN_SECONDS, reactor)


async def _drained(reactor: Reactor, senders: list[Sender], receivers: list[Receiver]) -> None:
    end = time.perf_counter() + DRAIN_SECONDS
    while time.perf_counter() < end and any(
        s.sent > s.acked + s.refused or r.got < s.acked
        for s, r in zip(senders, receivers, strict=True)
    ):
        await deferLater(reactor, 0.05)


def _print(
    options: argparse.Namespace,
    messages: int,
    took: float,
    spent: dict[str, float],
    delays: list[float],
    senders: list[Sender],
    receivers: list[Receiver],
) -> bool:
    lost = sum(max(0, s.acked - r.got) for s, r in zip(senders, receivers, strict=True))
    doubled = sum(r.doubled for r in receivers)
    disordered = sum(r.disordered for r in receivers)
    refused = sum(s.refused for s in senders)
    each = max(messages, 1)
    print(f"p2p, {options.pairs} pairs, window {options.window}, {options.size} bytes")
    print(f"  messages/s    {messages / took:10,.0f}   (stored, delivered and acked)")
    for name, seconds in spent.items():
        print(f"  us CPU {name:10}{seconds / each * 1e6:7.1f}")
    print(f"  us CPU total     {sum(spent.values()) / each * 1e6:7.1f}")
    for share in (50, 99):
        at = delays[min(len(delays) - 1, len(delays) * share // 100)] if delays else 0.0
        print(f"  ms to ack p{share}     {at * 1e3:6.2f}")
    print(f"  lost {lost}, doubled {doubled}, out of order {disordered}, refused {refused}")
    return not (lost or doubled or disordered or refused)
