"""The parts that the fault tests share: bare connections, and traffic whose result is checked."""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.tcp import Connector
from twisted.python.failure import Failure

from gobelieve.client import Client, ClientCore, MessageReceived, Ponged, Synced, Timing
from gobelieve.errors import MessageRefusedError
from gobelieve.names import was_not_stored
from gobelieve.wire import Frame, FrameReader, client
from gobelieve.wire.frames import RPC_BODY_LIMIT
from tests.network.processes import Cluster, Daemon, Daemons
from tests.servers import RedisServer, shared_redis
from tests.waits import (
    DEADLINE,
    ProcessTestCase,
    for_this_machine,
    reactor,
    together,
    until,
    within,
)

STORAGE_FOUND = re.compile(r"storage \S+ is connected")
PATIENT = Timing(*[int(2 * DEADLINE)] * 4)
"""For clients that must not send messages again on their own."""


def pong_due() -> float:
    """Return the seconds until an app closes a connection without PONG, for this machine."""
    return for_this_machine(3.0)


def descriptors(daemon: Daemon) -> int:
    """Return the number of files and sockets that a daemon has open."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def memory(daemon: Daemon) -> int:
    """Return the memory of a daemon in bytes."""
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


class Bare(Protocol):
    """A connection that sends any bytes that a test wants, and keeps the frames that it receives.

    With a `core` it speaks like a client: the core takes the bytes and answers.
    """

    transport: Any

    def __init__(self, core: ClientCore | None = None) -> None:
        self.core = core
        self.frames: list[Frame] = []
        self.messages: list[MessageReceived] = []
        self.synced: list[Synced] = []
        self.data = b""
        self.gone: Deferred[None] = Deferred()
        self._reader = FrameReader(RPC_BODY_LIMIT)
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def write(self, data: bytes) -> None:
        """Send these bytes now."""
        self.transport.write(data)

    async def request(self, frames: bytes, answer: int) -> Frame:
        """Send frames, and return the next frame with the command `answer`."""
        known = len(self.frames)
        self.write(frames)
        return await self.frame(answer, known)

    async def frame(self, cmd: int, start: int = 0) -> Frame:
        """Return the first frame of this command among those from `start` on."""
        await self.until(lambda: any(f.cmd == cmd for f in self.frames[start:]), f"frame {cmd}")
        return next(f for f in self.frames[start:] if f.cmd == cmd)

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until it is true. It looks again whenever bytes are received."""
        if not true():
            came: Deferred[None] = Deferred()
            self._waiting.append((true, came))
            await within(DEADLINE, came, what)

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed."""
        return self.gone.called

    async def turn(self) -> None:
        """Let the written bytes leave."""
        await deferLater(reactor, 0)

    async def closed(self) -> None:
        """Wait until the other end has closed the connection."""
        await within(DEADLINE, self.gone, "the connection is closed")

    async def log_in(self, token: str, version: int = 2, platform: int = 2) -> int:
        """Log in, and return the status in the answer."""
        asked = client.AuthToken(platform=platform, token=token.encode(), device_id=b"bare")
        answer = await self.request(asked.frame(1, version), client.AuthStatus.number)
        return client.AuthStatus.decode(answer.body).status

    async def alive(self) -> None:
        """Send PING and wait for PONG. Raises `AssertionError` if the connection is closed
        instead."""
        known = len(self.frames)
        self.write(client.Ping().frame(9))
        await self.frame(client.Pong.number, known)

    def hang_up(self) -> None:
        """Abort the connection."""
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.data += data[: 65536 - len(self.data)]
        self.frames += self._reader.feed(data)
        if self.core is not None:
            events = self.core.receive_data(data)
            self.messages += [event for event in events if isinstance(event, MessageReceived)]
            self.synced += [event for event in events if isinstance(event, Synced)]
            self.transport.write(self.core.data_to_send())
        for entry in list(self._waiting):
            if entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)
        waiting, self._waiting = self._waiting, []
        for true, came in waiting:
            if true():
                came.callback(None)
            else:
                came.errback(AssertionError("the connection was closed"))


class _SmallBuffer(Connector):
    """Connects with the smallest receive buffer, so that the peer soon notices that nobody
    reads."""

    def _makeTransport(self) -> Any:
        import socket

        transport: Any = super()._makeTransport()
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return transport


async def bare(port: int, core: ClientCore | None = None, *, small: bool = False) -> Bare:
    """Return a bare connection to a port on loopback. With `small` it has the smallest receive
    buffer."""
    made: Deferred[Bare] = Deferred()

    class Factory(ClientFactory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Bare:
            protocol = Bare(core)
            reactor.callLater(0, made.callback, protocol)
            return protocol

        def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
            made.errback(reason)

    kind = _SmallBuffer if small else Connector
    kind("127.0.0.1", port, Factory(), 10, None, reactor).connect()
    return await within(DEADLINE, made, f"a connection to {port}")


async def summary(port: int) -> dict[str, Any]:
    """Return the status page of a gateway."""
    page = await bare(port)
    page.write(b"GET /summary HTTP/1.0\r\n\r\n")
    await page.closed()
    result: dict[str, Any] = json.loads(page.data.partition(b"\r\n\r\n")[2])
    return result


class Traffic:
    """Two clients that send messages to each other all the time.

    Every message must arrive, once and in order. `more` and `stop` raise an error if one does not.
    """

    _numbers = itertools.count(1)

    def __init__(self, alice: Client, bob: Client) -> None:
        self._pair = (alice, bob)
        self._going = True
        self._watching: list[tuple[int, Deferred[None]]] = []
        self.rounds = 0
        self.slowest = 0.0
        """Seconds of the slowest round."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._failed)
        self._why: Failure | None = None

    async def _run(self) -> None:
        while self._going:
            begun = reactor.seconds()
            await exchange(*self._pair)
            self.slowest = max(self.slowest, reactor.seconds() - begun)
            self.rounds += 1
            for entry in list(self._watching):
                if self.rounds >= entry[0]:
                    self._watching.remove(entry)
                    entry[1].callback(None)

    def _failed(self, why: Failure) -> None:
        self._why = why
        for _, waiting in self._watching:
            waiting.errback(why)
        self._watching = []

    async def more(self, rounds: int = 5) -> None:
        """Wait for this number of further rounds."""
        if self._why is not None:
            self._why.raiseException()
        waiting: Deferred[None] = Deferred()
        self._watching.append((self.rounds + rounds, waiting))
        await within(DEADLINE, waiting, "messages go to and fro")

    async def stop(self) -> None:
        """Stop sending, and wait for the last round."""
        self._going = False
        await self._running
        if self._why is not None:
            self._why.raiseException()


_texts = itertools.count(1)


async def exchange(alice: Client, bob: Client) -> None:
    """Send a message each way. Each must be the very next message that its receiver gets."""
    for one, other in ((alice, bob), (bob, alice)):
        content = b"exchange %d" % next(_texts)
        await within(DEADLINE, one.send(other.uid, content), f"ack of {content!r}")
        message = await within(DEADLINE, other.receive(), f"{content!r} at {other.uid}")
        if message.content != content:
            raise AssertionError(f"{message.content!r} came where {content!r} belongs")


async def pong_in_time(*clients: Client) -> None:
    """Check that each client gets its PONG before an app would close the connection."""
    for one in clients:
        one.ping()
    await together(
        within(pong_due(), one.next_event(Ponged), f"PONG for {one.uid}") for one in clients
    )


class Load:
    """Clients that send numbered messages to one receiver, and a record of what was sent and acked.

    Each client has `window` messages without an ack at a time. A message that was refused as not
    stored is sent again. With a window of 1 the order stays.
    """

    def __init__(self, senders: Iterable[Client], receiver: int, *, window: int = 1) -> None:
        self._senders = list(senders)
        self._receiver = receiver
        self._window = window
        self._going = False
        self._running: list[Deferred[None]] = []
        self._watching: list[tuple[int, Deferred[None]]] = []
        self._next = dict.fromkeys((one.uid for one in self._senders), 0)
        self._under_way: set[bytes] = set()
        self.attempts: dict[bytes, int] = {}
        """The largest number of times that each message may have been sent."""
        self.acked: list[bytes] = []
        self.refused = 0
        self.statuses: set[int] = set()
        """The statuses of all refused messages."""

    def start(self) -> None:
        """Begin to send, or continue."""
        self._going = True
        self._running = [
            Deferred.fromCoroutine(self._write(one))
            for one in self._senders
            for _ in range(self._window)
        ]

    async def stop(self) -> None:
        """Send no further messages, and wait for the acks of those that were sent."""
        self._going = False
        await within(DEADLINE, gatherResults(self._running, consumeErrors=True), "the last acks")

    async def more(self, acks: int) -> None:
        """Wait for this number of further acks."""
        waiting: Deferred[None] = Deferred()
        self._watching.append((len(self.acked) + acks, waiting))
        await within(DEADLINE, waiting, f"{acks} more acks")

    def interrupted(self) -> None:
        """Note that connections were cut. The clients send messages without an ack again."""
        for content in self._under_way:
            self.attempts[content] += 1

    async def _write(self, sender: Client) -> None:
        while self._going:
            self._next[sender.uid] = number = self._next[sender.uid] + 1
            content = b"%d:%d" % (sender.uid, number)
            self.attempts[content] = 0
            await self._send(sender, content)
            self.acked.append(content)
            for entry in list(self._watching):
                if len(self.acked) >= entry[0]:
                    self._watching.remove(entry)
                    entry[1].callback(None)

    async def _send(self, sender: Client, content: bytes) -> None:
        while True:
            self.attempts[content] += 1
            self._under_way.add(content)
            try:
                await sender.send(self._receiver, content)
                return
            except MessageRefusedError as why:
                if not was_not_stored(why.status):
                    raise
                self.refused += 1
                self.statuses.add(why.status)
                await deferLater(reactor, 0.01)
            finally:
                self._under_way.discard(content)

    def check(self, received: list[bytes]) -> None:
        """Check the received messages.

        Every acked message must be there. No message may be there more often than it was sent. The
        messages of each sender must be in order.
        """
        counts: dict[bytes, int] = {}
        rows: dict[bytes, list[int]] = {}
        for content in received:
            counts[content] = counts.get(content, 0) + 1
            if counts[content] == 1:
                uid, number = content.split(b":")
                rows.setdefault(uid, []).append(int(number))
        lost = [content for content in self.acked if content not in counts]
        doubled = [c for c, count in counts.items() if count > self.attempts.get(c, 0)]
        if lost or doubled:
            raise AssertionError(
                f"of {len(self.acked)} acked messages {len(lost)} are lost: {lost[:5]},"
                f" {len(doubled)} are doubled: {doubled[:5]}"
            )
        for uid, numbers in rows.items():
            if numbers != sorted(numbers):
                raise AssertionError(f"the messages of {uid.decode()} came out of order: {numbers}")


class FaultTestCase(ProcessTestCase):
    """Daemons and clients that end with the test. No daemon may have logged a traceback."""

    async def running(
        self, daemons: Daemons, leave_out: Iterable[Daemon] = (), *, linked: bool = True
    ) -> None:
        """Start all daemons but `leave_out` at the same time, and wait for their links to each
        other."""
        self.addCleanup(daemons.stop)
        left_out = list(leave_out)
        await together(one.start() for one in daemons.daemons if one not in left_out)
        if linked and isinstance(daemons, Cluster):
            for im in daemons.im:
                for what, there in (("storage", daemons.ims), ("router", daemons.imr)):
                    await im.logged(rf"(?s)({what} \S+ is connected.*){{{len(there)}}}")

    async def cluster(self, redis: RedisServer | None = None, **options: Any) -> Cluster:
        """Return a cluster that is running."""
        cluster = Cluster(redis or shared_redis(), **options)
        await self.running(cluster)
        return cluster

    def own_redis(self) -> RedisServer:
        """Return a Redis of this test, which the test may kill."""
        redis = RedisServer()
        redis.start()
        self.addCleanup(redis.stop)
        return redis

    async def connected(self, *clients: Client) -> tuple[Client, ...]:
        """Connect the clients, and sync until there is nothing new."""
        for one in clients:
            self.addCleanup(one.close)
            await one.connect()
            await one.sync_to_end()
        return clients

    async def traffic(self, alice: Client, bob: Client) -> Traffic:
        """Connect two clients, and return the traffic between them after its first round."""
        await self.connected(alice, bob)
        traffic = Traffic(alice, bob)
        await traffic.more(1)
        return traffic

    async def storage_found(self, cluster: Cluster) -> None:
        """Wait until each gateway has connected to storage once more."""
        said = [(im, len(STORAGE_FOUND.findall(im.log))) for im in cluster.im]
        for im, known in said:
            await until(
                lambda im=im, known=known: len(STORAGE_FOUND.findall(im.log)) > known,  # type: ignore[misc]
                "the gateway finds storage",
            )

    async def everything(self, port: int, uid: int, token: str) -> list[bytes]:
        """Return the content of all messages in the user's queue, as a new device syncs them."""
        reader = await bare(port, ClientCore(uid, report_keys=False, timing=PATIENT))
        self.addCleanup(reader.hang_up)
        assert reader.core is not None
        reader.core.log_in(token, device_id="for the first time")
        while True:
            known = len(reader.synced)
            reader.core.sync()
            reader.write(reader.core.data_to_send())
            await reader.until(lambda known=known: len(reader.synced) > known, "a sync")  # type: ignore[misc]
            if reader.synced[-1].key == reader.synced[-1].before:
                reader.hang_up()
                return [message.content for message in reader.messages]

    async def status_of(self, sender: Client, seconds: float = DEADLINE) -> int:
        """Send a message, and return the status with which it is refused, or 0."""
        try:
            await within(seconds, sender.send(1, "to be refused"), "an ack")
        except AssertionError as why:
            if isinstance(why.__cause__, MessageRefusedError):
                return why.__cause__.status
            raise
        return 0
