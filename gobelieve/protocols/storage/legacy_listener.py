"""Storage's side of the dialogue with its older clients (3333), which speak 200 to 212.

1. Every request gets one RESULT (204), with seq 0 and version 0, in the order of the requests: it
   is by this order that a client knows which is which.
2. SAVE_AND_ENQUEUE and its twin for super groups are answered when they are on disk. Saves that
   follow one another share a write; any other request waits until those before it are answered,
   and so sees them. Lists are read in turn with those of other clients, page by page.
3. A list that would be too long is cut. LOAD_LATEST gives the newest part. LOAD_HISTORY gives the
   oldest, newest message first: asked again from the first id in it, it gives what follows.
4. What failed is answered with an `AckStatus`, what is not done on this port with `NOT_DONE`, both
   without content. What makes no sense ends the connection.

Upstream is silent where we say `NOT_DONE`. Nobody is told of what is stored here: that is up to
the client. The requests are declared in `gobelieve.wire.storage`, frames and lists of them in
`gobelieve.wire.message_list`.
"""

from collections import deque

from twisted.internet.interfaces import IAddress

from gobelieve.errors import BodyError, StorageError, WireError
from gobelieve.interfaces import Turn
from gobelieve.names import User
from gobelieve.protocols.storage.listener import (
    FLUSH_BYTES,
    Result,
    Storage,
    StorageFactory,
    StorageListener,
)
from gobelieve.wire import storage as wire
from gobelieve.wire.client import GroupIM
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, Frame
from gobelieve.wire.message import Message
from gobelieve.wire.message_list import EMPTY_LIST, MessageList, read_inner

NOT_DONE = -1
"""The status of a RESULT: this is not done on this port."""
MAX_SAVES = 256
"""How many saves of one connection may be under way; more wait, and then we stop listening."""
NAMED = 10
"""How many of the messages that were left out of a list are named in the log."""

_SAVES: dict[int, tuple[type[wire.SaveAndEnqueue | wire.SaveAndEnqueueGroup], int]] = {
    wire.SaveAndEnqueue.number: (wire.SaveAndEnqueue, wire.USERS),
    wire.SaveAndEnqueueGroup.number: (wire.SaveAndEnqueueGroup, wire.SUPER_GROUPS),
}
_READS = frozenset({wire.LoadLatest.number, wire.LoadHistory.number})
_ALWAYS: dict[int, tuple[type[Message], int, bytes]] = {
    # Where a client has read to lies with the gateways; these have not done anything since 2017.
    wire.Dequeue.number: (wire.Dequeue, 0, b""),
    wire.DequeueGroup.number: (wire.DequeueGroup, 0, b""),
    wire.LoadOffline.number: (wire.LoadOffline, 0, EMPTY_LIST),
    wire.LoadGroupOffline.number: (wire.LoadGroupOffline, 0, EMPTY_LIST),
    wire.GetOfflineCount.number: (wire.GetOfflineCount, NOT_DONE, b""),
    wire.GetGroupOfflineCount.number: (wire.GetGroupOfflineCount, NOT_DONE, b""),
}


class _Answer:
    """The place of one answer in the order; None until it is there."""

    __slots__ = ("cmd", "frame")

    def __init__(self, cmd: int) -> None:
        self.cmd = cmd
        self.frame: bytes | None = None


class _Reading:
    """A list in the making: of the messages after an id, or of the latest ones."""

    __slots__ = ("_after", "_limit", "_user", "answer", "found")

    def __init__(
        self, answer: _Answer, user: User, *, after: int | None = None, limit: int = 0
    ) -> None:
        self.answer = answer
        self.found = MessageList()
        self._user = user
        self._after = after
        self._limit = limit

    def take_page(self, storage: Storage) -> bool:
        """Add a page; whether more belong to the list. StorageError."""
        if self._after is None:
            page = storage.fetch_latest(self._user, self._limit)
            self.found.add(reversed(page.messages))
            return False
        page = storage.fetch(self._user, self._after)
        self.found.add(page.messages)
        self._after = page.last
        return page.more and not self.found.full

    def content(self) -> bytes:
        """The list, newest message first."""
        return self.found.pack(reverse=self._after is not None)


class StorageClient(StorageListener):
    """One client's connection."""

    limit = CLIENT_BODY_LIMIT
    # A command that is not known is answered, if it has no body.
    allowed = frozenset(range(256))

    def __init__(self, turn: Turn, factory: "StorageClientFactory") -> None:
        super().__init__(turn, factory)
        self._answers: deque[_Answer] = deque()
        self._working = False
        self._reading: _Reading | None = None
        self._held = False

    def finish(self) -> None:
        """Take no more requests, answer those that are under way, then end the connection."""
        self._finishing = True
        self.pause()
        self._forget()
        if not self._answers:
            self.close()

    # --- requests, in order

    def _work(self) -> None:
        if self._working:
            # An answer that was there at once: the loop below goes on by itself.
            return
        self._working = True
        try:
            while self._waiting and not self._closing and self._may_begin(self._waiting[0]):
                self._begin(self._waiting.popleft())
        finally:
            self._working = False
        # What waits is never more than one read brought.
        if bool(self._waiting) != self._held:
            self._held = not self._held
            if self._held:
                self.pause()
            else:
                self.resume()

    def _may_begin(self, frame: Frame) -> bool:
        if self.congested:
            return False
        if frame.cmd in _SAVES:
            return len(self._answers) < MAX_SAVES and self._reading is None
        return not self._answers

    def _begin(self, frame: Frame) -> None:
        if frame.cmd in _SAVES:
            self._save(frame)
        elif frame.cmd in _READS:
            self._read(frame)
        elif frame.cmd in _ALWAYS:
            kind, status, content = _ALWAYS[frame.cmd]
            kind.decode(frame.body)
            self._told(self._expect(frame.cmd), status, content)
        elif frame.body:
            raise BodyError(f"command {frame.cmd} is not known here")
        else:
            self._refuse(self._expect(frame.cmd), f"command {frame.cmd} is not known here")

    def _save(self, frame: Frame) -> None:
        kind, queues = _SAVES[frame.cmd]
        ask = kind.decode(frame.body)
        cmd, body = read_inner(ask.inner)
        answer = self._expect(frame.cmd)
        if queues == wire.SUPER_GROUPS and cmd != GroupIM.number:
            self._refuse(answer, f"a super group's queue has no messages of command {cmd}")
            return
        self._factory.counters.add("saves")
        item = wire.SaveItem(ask.device_id, cmd, queues, (ask.appid, ask.receiver), body)
        self._storage.save([item], self._stored, answer)

    def _stored(self, answer: _Answer, results: list[Result]) -> None:
        status, msgid, _ = results[0]
        self._told(answer, status, b"" if status else msgid.to_bytes(8, "big"))

    def _read(self, frame: Frame) -> None:
        answer = self._expect(frame.cmd)
        if frame.cmd == wire.LoadLatest.number:
            latest = wire.LoadLatest.decode(frame.body)
            user = User(latest.appid, latest.uid)
            self._reading = _Reading(answer, user, limit=latest.limit)
        else:
            history = wire.LoadHistory.decode(frame.body)
            user = User(history.appid, history.uid)
            self._reading = _Reading(answer, user, after=history.msgid)
        self._factory.reads.join(self)

    def work(self) -> bool:
        """Take a page for the list that is asked for; whether there are more."""
        reading = self._reading
        if reading is None or self._writer is None:
            return False
        try:
            if reading.take_page(self._storage):
                return True
        except StorageError as why:
            self._reading = None
            self._failed(reading.answer, why)
        except Exception:
            # A bug. It may be met in another connection's turn, and must not end that one.
            self._reading = None
            self.log.failure("a request of {peer} failed", peer=self.peer)
            self.abort()
        else:
            self._reading = None
            self._listed(reading)
        return False

    # --- answers, in the same order

    def _expect(self, cmd: int) -> _Answer:
        answer = _Answer(cmd)
        self._answers.append(answer)
        return answer

    def _listed(self, reading: _Reading) -> None:
        left_out = reading.found.left_out
        if left_out:
            self._factory.counters.add("left_out", len(left_out))
            self.log.warn(
                "{peer} was not given {count} messages that are too long for a list: {ids}",
                peer=self.peer,
                count=len(left_out),
                ids=left_out[:NAMED],
            )
        self._told(reading.answer, 0, reading.content())

    def _refuse(self, answer: _Answer, why: str) -> None:
        self.log.warn("a request of {peer} is refused: {why}", peer=self.peer, why=why)
        self._told(answer, NOT_DONE)

    def _failed(self, answer: _Answer, why: StorageError) -> None:
        self.log.warn("a request of {peer} failed: {why}", peer=self.peer, why=why)
        self._told(answer, why.status)

    def _told(self, answer: _Answer, status: int, content: bytes = b"") -> None:
        """Send an answer when those before it are sent, and go on with what waits."""
        requests = self._factory.requests
        ended = requests.failed if status else requests.done
        if status == NOT_DONE:
            ended = requests.refused
        ended[answer.cmd] += 1
        answer.frame = wire.Result(status=status, content=content).frame(version=0)
        # A save may fail before an earlier one is on disk.
        while self._answers and self._answers[0].frame is not None:
            frame = self._answers.popleft().frame
            assert frame is not None
            self.send(frame)
            self._unflushed += len(frame)
            if self._unflushed > FLUSH_BYTES and self._writer is not None:
                self._unflushed = 0
                self._writer.flush()
        if self._finishing and not self._answers:
            self.close()
            return
        try:
            self._work()
        except WireError as why:
            self.cut(why)


class StorageClientFactory(StorageFactory):
    """The connections of all clients."""

    def buildProtocol(self, addr: IAddress | None) -> StorageClient:
        return StorageClient(self._turn, self)
