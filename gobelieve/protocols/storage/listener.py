"""Storage's side of its RPC; `gobelieve.wire.storage` describes the protocol.

Saves are handed over at once, and answered when they are on disk. Reads of one client are answered
in order. Clients take turns, one read each, and a read that does not fit into this turn of the
event loop waits for the next one. So a burst of reads delays neither saves nor other clients.

Storage stops reading from a client that does not read its answers, or that has too many reads
waiting. So one client uses a bounded amount of memory, and does not slow down the others.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from gobelieve.errors import BodyError, StorageError, WireError
from gobelieve.interfaces import Page as Messages
from gobelieve.interfaces import Turn, World
from gobelieve.metrics import Outcomes
from gobelieve.names import AckStatus, User
from gobelieve.protocols.draining import DrainingFactory
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.round_robin import RoundRobin
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, encode_frame
from gobelieve.wire.message import MESSAGES, Message
from gobelieve.wire.storage import (
    SUPER_GROUPS,
    Counted,
    CountNew,
    Failed,
    Fetch,
    FetchBefore,
    FetchGroup,
    FetchLatest,
    Page,
    Save,
    Saved,
    SaveItem,
    StoragePing,
    StoragePong,
    pack_messages,
    pack_saved,
    unpack_saves,
)

Result = tuple[int, int, tuple[int, ...]]
_SAVE = Save.number
FLUSH_BYTES = 256 << 10
"""Answers are written after this number of bytes, and not only at the end of the turn.

Only what is written shows whether the client reads.
"""
MAX_READS = 10_000
"""Reads of one client that may wait. Storage reads from it again when half of them are answered."""
DRAIN_TIMEOUT = 10.0
"""Seconds that a client has, when storage stops, to read the answers to its last saves."""


class Storage(Protocol):
    """The part of `gobelieve.storage.storage.Storage` that the listener uses."""

    def save(
        self, items: Sequence[SaveItem], done: Callable[[Any, list[Result]], None], argument: Any
    ) -> None: ...

    def fetch(self, user: User, after: int, limit: int = 0) -> Messages: ...

    def fetch_group(self, group: User, after: int, joined: int = 0, limit: int = 0) -> Messages: ...

    def fetch_latest(self, user: User, limit: int) -> Messages: ...

    def fetch_before(self, user: User, before: int, limit: int) -> Messages: ...

    def count_new(self, user: User, after: int) -> int: ...


class StorageListener(FramedProtocol):
    """The connection of one client, which is a gateway."""

    limit = RPC_BODY_LIMIT
    allowed = frozenset(
        cls.number
        for cls in (Save, Fetch, FetchGroup, FetchLatest, FetchBefore, CountNew, StoragePing)
    )

    def __init__(self, turn: Turn, factory: "StorageFactory") -> None:
        super().__init__(turn)
        self._factory = factory
        self._storage = factory.storage
        self._requests = factory.requests
        self._waiting: deque[Frame] = deque()
        self._reads: deque[Frame] = deque()
        self._in_line = False
        self._full = False
        self._unflushed = 0
        self._saving = 0
        self._finishing = False

    def opened(self) -> None:
        self._factory.connections.add(self)
        self.log.info("client {peer} connected", peer=self.peer)

    def closed(self, reason: Failure) -> None:
        self._factory.left(self)
        self._forget()
        self.log.info("client {peer} disconnected", peer=self.peer)

    def frames_received(self, frames: list[Frame]) -> None:
        self._factory.counters.add("asks", len(frames))
        self._waiting.extend(frames)
        self._work()

    def stalled(self) -> None:
        self.pause()

    def drained(self) -> None:
        self.resume()
        try:
            self._work()
        except WireError as why:
            self.cut(why)

    def finish(self) -> None:
        """Read no more requests, answer the saves in progress, then end the connection."""
        self._finishing = True
        self.pause()
        self._forget()
        if not self._saving:
            self.close()

    def work(self) -> bool:
        """Answer one read. Return whether there are more, and the client reads its answers."""
        self._in_line = False
        if self._reads and not self.congested:
            try:
                self._answer(self._reads.popleft())
            except WireError as why:
                self._forget()
                self.cut(why)
            except Exception:
                # A bug. Twisted too ends the connection of a protocol that raises.
                self._forget()
                self.log.failure("a request of {peer} failed", peer=self.peer)
                self.abort()
        if self._full and len(self._reads) <= MAX_READS // 2:
            self._full = False
            self.resume()
        self._in_line = bool(self._reads) and not self.congested
        return self._in_line

    def _work(self) -> None:
        """Hand over the saves that arrived, and queue the reads."""
        try:
            while self._waiting:
                frame = self._waiting.popleft()
                if frame.cmd == Save.number:
                    self._save(frame)
                else:
                    self._reads.append(frame)
        finally:
            # Reads before a malformed save, which ends the connection, are answered.
            if self._reads and not self._in_line and not self.congested:
                self._in_line = True
                self._factory.reads.join(self)
        if len(self._reads) > MAX_READS and not self._full:
            self._full = True
            self.pause()

    def _forget(self) -> None:
        self._waiting.clear()
        self._reads.clear()

    def _save(self, frame: Frame) -> None:
        items = unpack_saves(frame.body)
        for item in items:
            if item.kind > SUPER_GROUPS or not item.queues:
                raise BodyError("an item of SAVE names no queue, or queues of an unknown kind")
        self._factory.counters.add("saves", len(items))
        self._saving += 1
        self._storage.save(items, self._saved, frame.seq)

    def _saved(self, seq: int, results: list[Result]) -> None:
        body = b"".join([pack_saved(*result) for result in results])
        self.send(encode_frame(Saved.number, body, seq))
        for result in results:
            if result[0]:
                self._requests.failed[_SAVE] += 1
                self._factory.request_failed(self.peer, _SAVE, result[0])
                break
        else:
            self._requests.done[_SAVE] += 1
        self._saving -= 1
        if self._finishing and not self._saving:
            self.close()

    def _answer(self, frame: Frame) -> None:
        read, requests = _READS[frame.cmd], self._requests
        try:
            answer = read(self._storage, frame.body)
            requests.done[frame.cmd] += 1
        except StorageError as why:
            requests.failed[frame.cmd] += 1
            self._factory.request_failed(self.peer, frame.cmd, why.status, str(why))
            answer = Failed(status=why.status, reason=str(why).encode())
        data = answer.frame(frame.seq)
        self.send(data)
        self._unflushed += len(data)
        if self._unflushed > FLUSH_BYTES and self._writer is not None:
            self._unflushed = 0
            self._writer.flush()


def _fetch(storage: Storage, body: bytes) -> Message:
    ask = Fetch.decode(body)
    return _page(storage.fetch(User(ask.appid, ask.uid), ask.after, ask.limit))


def _fetch_group(storage: Storage, body: bytes) -> Message:
    ask = FetchGroup.decode(body)
    group = User(ask.appid, ask.group_id)
    return _page(storage.fetch_group(group, ask.after, ask.joined, ask.limit))


def _fetch_latest(storage: Storage, body: bytes) -> Message:
    ask = FetchLatest.decode(body)
    return _page(storage.fetch_latest(User(ask.appid, ask.uid), ask.limit))


def _fetch_before(storage: Storage, body: bytes) -> Message:
    ask = FetchBefore.decode(body)
    return _page(storage.fetch_before(User(ask.appid, ask.uid), ask.before, ask.limit))


def _count_new(storage: Storage, body: bytes) -> Message:
    ask = CountNew.decode(body)
    return Counted(count=storage.count_new(User(ask.appid, ask.uid), ask.after))


def _ping(storage: Storage, body: bytes) -> Message:
    return StoragePong()


def _name(status: int) -> str:
    return AckStatus(status).name if status in set(AckStatus) else "unknown"


def _page(page: Messages) -> Message:
    row = pack_messages(page.messages)
    return Page(last=page.last, newest=page.newest, more=int(page.more), messages=row)


_READS: dict[int, Callable[[Storage, bytes], Message]] = {
    Fetch.number: _fetch,
    FetchGroup.number: _fetch_group,
    FetchLatest.number: _fetch_latest,
    FetchBefore.number: _fetch_before,
    CountNew.number: _count_new,
    StoragePing.number: _ping,
}


class StorageFactory(DrainingFactory["StorageListener"]):
    """The connections of all clients. At the end, the saves in progress are answered."""

    drain_timeout = DRAIN_TIMEOUT

    def __init__(self, storage: Storage, *, world: World) -> None:
        super().__init__()
        self.storage = storage
        self.time = world.time
        self.counters = world.counters
        self.throttled = ThrottledLog(world.log, world.time)
        """One log for all connections: a client that connects again does not log more."""
        self.requests = Outcomes()
        self.reads = RoundRobin(world.turn, world.time)
        self._turn = world.turn

    def request_failed(self, peer: str, cmd: int, status: int, why: str = "") -> None:
        """Log that storage could not carry out a request: once per minute, command and status."""
        self.throttled.warn(
            ("failed", cmd, status),
            "{request} of {peer} failed with status {status}: {why}",
            request=MESSAGES[cmd].label,
            peer=peer,
            status=status,
            why=why or _name(status),
        )

    def buildProtocol(self, addr: IAddress | None) -> StorageListener:
        return StorageListener(self._turn, self)
