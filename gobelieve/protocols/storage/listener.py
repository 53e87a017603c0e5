"""Storage's side of its RPC.

The dialogue is told in `gobelieve.wire.storage`. Asks are answered in any order: saves are handed
over at once and answered when they are on disk; reads are answered in the order they came, all
askers in turn, and what does not fit in a turn of the event loop waits for the next. So a burst of
reads holds up neither saves nor other askers.

To an asker that does not read its answers, or has too many reads waiting, we stop listening until
that is over: so it costs a bounded amount of memory, and nobody else anything.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from gobelieve.errors import BodyError, StorageError, WireError
from gobelieve.interfaces import Page as Messages
from gobelieve.interfaces import Time, Turn
from gobelieve.metrics import Counters, Outcomes
from gobelieve.names import User
from gobelieve.protocols.draining import DrainingFactory
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.round_robin import RoundRobin
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, encode_frame
from gobelieve.wire.message import Message
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
"""After so many bytes of answers in one turn they are written, which shows if they are read."""
MAX_READS = 10_000
"""How many reads of an asker may wait; we listen again when half of them are answered."""
DRAIN_TIMEOUT = 10.0
"""Seconds that an asker has, when storage stops, to take the answers to its last saves."""


class Storage(Protocol):
    """What the listener needs: `gobelieve.storage.storage.Storage` is one."""

    def save(
        self, items: Sequence[SaveItem], done: Callable[[Any, list[Result]], None], argument: Any
    ) -> None: ...

    def fetch(self, user: User, after: int, limit: int = 0) -> Messages: ...

    def fetch_group(self, group: User, after: int, joined: int = 0, limit: int = 0) -> Messages: ...

    def fetch_latest(self, user: User, limit: int) -> Messages: ...

    def fetch_before(self, user: User, before: int, limit: int) -> Messages: ...

    def count_new(self, user: User, after: int) -> int: ...


class StorageListener(FramedProtocol):
    """One asker's connection."""

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
        self.log.info("asker {peer} came", peer=self.peer)

    def closed(self, reason: Failure) -> None:
        self._factory.left(self)
        self._forget()
        self.log.info("asker {peer} left", peer=self.peer)

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
        """Take no more asks, answer the saves that are under way, then end the connection."""
        self._finishing = True
        self.pause()
        self._forget()
        if not self._saving:
            self.close()

    def work(self) -> bool:
        """Answer one read; whether there are more, as long as the answers are read."""
        self._in_line = False
        if self._reads and not self.congested:
            try:
                self._answer(self._reads.popleft())
            except WireError as why:
                self._forget()
                self.cut(why)
            except Exception:
                # A bug. The asker is told as Twisted does it: its connection is gone.
                self._forget()
                self.log.failure("an ask of {peer} failed", peer=self.peer)
                self.abort()
        if self._full and len(self._reads) <= MAX_READS // 2:
            self._full = False
            self.resume()
        self._in_line = bool(self._reads) and not self.congested
        return self._in_line

    def _work(self) -> None:
        """Hand over the saves that came, and have the reads answered in their turn."""
        try:
            while self._waiting:
                frame = self._waiting.popleft()
                if frame.cmd == Save.number:
                    self._save(frame)
                else:
                    self._reads.append(frame)
        finally:
            # Also before a bad save, which ends the connection.
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
                break
        else:
            self._requests.done[_SAVE] += 1
        self._saving -= 1
        if self._finishing and not self._saving:
            self.close()

    def _answer(self, frame: Frame) -> None:
        ask, requests = _ASKS[frame.cmd], self._requests
        try:
            answer = ask(self._storage, frame.body)
            requests.done[frame.cmd] += 1
        except StorageError as why:
            requests.failed[frame.cmd] += 1
            self.log.warn("an ask of {peer} failed: {why}", peer=self.peer, why=why)
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


def _page(page: Messages) -> Message:
    row = pack_messages(page.messages)
    return Page(last=page.last, newest=page.newest, more=int(page.more), messages=row)


_ASKS: dict[int, Callable[[Storage, bytes], Message]] = {
    Fetch.number: _fetch,
    FetchGroup.number: _fetch_group,
    FetchLatest.number: _fetch_latest,
    FetchBefore.number: _fetch_before,
    CountNew.number: _count_new,
    StoragePing.number: _ping,
}


class StorageFactory(DrainingFactory["StorageListener"]):
    """The connections of all askers. At the end the saves that are under way are answered."""

    drain_timeout = DRAIN_TIMEOUT

    def __init__(self, storage: Storage, turn: Turn, time: Time, counters: Counters) -> None:
        super().__init__()
        self.storage = storage
        self.time = time
        self.counters = counters
        self.requests = Outcomes()
        self.reads = RoundRobin(turn, time)
        self._turn = turn

    def buildProtocol(self, addr: IAddress | None) -> StorageListener:
        return StorageListener(self._turn, self)
