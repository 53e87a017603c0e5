"""Storage's side of the protocol of its older clients (port 3333): the commands 200 to 212.

1. Every request gets one RESULT (204), with seq 0 and version 0. A client matches answers to
   requests by their order, so answers keep the order of the requests.
2. SAVE_AND_ENQUEUE and SAVE_AND_ENQUEUE_GROUP are answered when they are on disk. Consecutive saves
   share a write. Any other request waits until the requests before it are answered, so it sees what
   they stored. Clients take turns at reading lists, one page each.
3. A list that would be too long is cut. LOAD_LATEST returns the newest part. LOAD_HISTORY returns
   the oldest part, newest message first. The client requests the rest from the first id in it.
4. A request that fails is answered with an `AckStatus`. A request that this port does not carry out
   is answered with `NOT_DONE`. Neither answer has content. A malformed request ends the connection.

The Go server does not answer at all where we answer `NOT_DONE`. Storage notifies nobody of what it
stores here: the client must do that. `gobelieve.wire.older.storage_clients` declares the requests,
and `gobelieve.wire.older.message_list` describes the lists and the inner frames.
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
from gobelieve.wire.client import GroupIM
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, Frame
from gobelieve.wire.message import Message
from gobelieve.wire.older import storage_clients as requests
from gobelieve.wire.older.message_list import EMPTY_LIST, MessageList, read_inner
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem

NOT_DONE = -1
"""The status of a RESULT: this port does not carry out this request."""
MAX_SAVES = 256
"""Saves of one connection in progress. With more, storage stops reading from the client."""
MAX_LOGGED_IDS = 10
"""Ids in the log line about messages that were left out of a list."""

_SAVES: dict[int, tuple[type[requests.SaveAndEnqueue | requests.SaveAndEnqueueGroup], int]] = {
    requests.SaveAndEnqueue.number: (requests.SaveAndEnqueue, USERS),
    requests.SaveAndEnqueueGroup.number: (requests.SaveAndEnqueueGroup, SUPER_GROUPS),
}
_READS = frozenset({requests.LoadLatest.number, requests.LoadHistory.number})
_ALWAYS: dict[int, tuple[type[Message], int, bytes]] = {
    # The gateways keep the clients' keys. These requests have done nothing since 2017.
    requests.Dequeue.number: (requests.Dequeue, 0, b""),
    requests.DequeueGroup.number: (requests.DequeueGroup, 0, b""),
    requests.LoadOffline.number: (requests.LoadOffline, 0, EMPTY_LIST),
    requests.LoadGroupOffline.number: (requests.LoadGroupOffline, 0, EMPTY_LIST),
    requests.GetOfflineCount.number: (requests.GetOfflineCount, NOT_DONE, b""),
    requests.GetGroupOfflineCount.number: (requests.GetGroupOfflineCount, NOT_DONE, b""),
}


class _Answer:
    """The place of one answer in the order. `frame` is None until the answer is known."""

    __slots__ = ("cmd", "frame")

    def __init__(self, cmd: int) -> None:
        self.cmd = cmd
        self.frame: bytes | None = None


class _Reading:
    """A list that is being read: the messages after an id, or the latest ones."""

    __slots__ = ("_after", "_limit", "answer", "found", "user")

    def __init__(
        self, answer: _Answer, user: User, *, after: int | None = None, limit: int = 0
    ) -> None:
        self.answer = answer
        self.found = MessageList()
        self.user = user
        self._after = after
        self._limit = limit

    def take_page(self, storage: Storage) -> bool:
        """Add a page. Return whether the list has more pages. Raises `StorageError`."""
        if self._after is None:
            page = storage.fetch_latest(self.user, self._limit)
            self.found.add(reversed(page.messages))
            return False
        page = storage.fetch(self.user, self._after)
        self.found.add(page.messages)
        self._after = page.last
        return page.more and not self.found.full

    def content(self) -> bytes:
        """Return the list, newest message first."""
        return self.found.pack(reverse=self._after is not None)


class StorageClient(StorageListener):
    """The connection of one older client."""

    limit = CLIENT_BODY_LIMIT
    # An unknown command without a body is answered.
    allowed = frozenset(range(256))

    def __init__(self, turn: Turn, factory: "StorageClientFactory") -> None:
        super().__init__(turn, factory)
        self._answers: deque[_Answer] = deque()
        self._working = False
        self._reading: _Reading | None = None
        self._held = False

    def finish(self) -> None:
        """Read no more requests, answer those in progress, then end the connection."""
        self._finishing = True
        self.pause()
        self._forget()
        if not self._answers:
            self.close()

    # --- requests, in order

    def _work(self) -> None:
        if self._working:
            # Storage answered at once, inside the loop below, which continues by itself.
            return
        self._working = True
        try:
            while self._waiting and not self._closing and self._may_begin(self._waiting[0]):
                self._begin(self._waiting.popleft())
        finally:
            self._working = False
        # At most the requests of one read from the socket wait here.
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
            self._finished(self._expect(frame.cmd), status, content)
        elif frame.body:
            raise BodyError(f"command {frame.cmd} is not known here")
        else:
            answer = self._expect(frame.cmd)
            self._refuse(answer, "unknown", f"command {frame.cmd} is not known here")

    def _save(self, frame: Frame) -> None:
        kind, queues = _SAVES[frame.cmd]
        ask = kind.decode(frame.body)
        cmd, body = read_inner(ask.inner)
        answer = self._expect(frame.cmd)
        if queues == SUPER_GROUPS and cmd != GroupIM.number:
            why = f"a super group's queue has no messages of command {cmd}"
            self._refuse(answer, "not a GROUP_IM", why)
            return
        self._factory.counters.add("saves")
        item = SaveItem(ask.device_id, cmd, queues, (ask.appid, ask.receiver), body)
        self._storage.save([item], self._stored, answer)

    def _stored(self, answer: _Answer, results: list[Result]) -> None:
        status, msgid, _ = results[0]
        if status:
            self._factory.request_failed(self.peer, answer.cmd, status)
        self._finished(answer, status, b"" if status else msgid.to_bytes(8, "big"))

    def _read(self, frame: Frame) -> None:
        answer = self._expect(frame.cmd)
        if frame.cmd == requests.LoadLatest.number:
            latest = requests.LoadLatest.decode(frame.body)
            user = User(latest.appid, latest.uid)
            self._reading = _Reading(answer, user, limit=latest.limit)
        else:
            history = requests.LoadHistory.decode(frame.body)
            user = User(history.appid, history.uid)
            self._reading = _Reading(answer, user, after=history.msgid)
        self._factory.reads.join(self)

    def work(self) -> bool:
        """Read a page for the requested list. Return whether there are more."""
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
            # A bug. This may run in the turn of another connection, which must not end.
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
            self._factory.throttled.warn(
                ("left out", reading.user),
                "{count} messages of {user} are too long for the list of {peer}: {ids}",
                user=reading.user,
                peer=self.peer,
                count=len(left_out),
                ids=left_out[:MAX_LOGGED_IDS],
            )
        self._finished(reading.answer, 0, reading.content())

    def _refuse(self, answer: _Answer, key: str, why: str) -> None:
        self._factory.throttled.warn(
            ("refused", answer.cmd, key),
            "a request of {peer} is refused: {why}",
            peer=self.peer,
            why=why,
        )
        self._finished(answer, NOT_DONE)

    def _failed(self, answer: _Answer, why: StorageError) -> None:
        self._factory.request_failed(self.peer, answer.cmd, why.status, str(why))
        self._finished(answer, why.status)

    def _finished(self, answer: _Answer, status: int, content: bytes = b"") -> None:
        """Send an answer once those before it are sent, and continue with the next requests."""
        outcomes = self._factory.requests
        ended = outcomes.failed if status else outcomes.done
        if status == NOT_DONE:
            ended = outcomes.refused
        ended[answer.cmd] += 1
        answer.frame = requests.Result(status=status, content=content).frame(version=0)
        # A save may fail before an earlier save is on disk.
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
    """The connections of all older clients."""

    def buildProtocol(self, addr: IAddress | None) -> StorageClient:
        return StorageClient(self._turn, self)
