"""The gateway's link to one storage: one connection carries many requests at the same time.

All saves of one turn go to one storage as one SAVE. A request has a tag in the seq of its header,
and the answer has the same tag.

A request fails if storage does not answer within `timeout` seconds, or if the connection ends. It
is then unknown whether storage carried it out. If storage sends nothing at all for that time, the
gateway connects again. Without a connection a request fails at once: the client decides whether to
try again.
"""

from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import BodyError, StorageError
from gobelieve.interfaces import Entries, MessageInFlight, Page, Time, Turn
from gobelieve.metrics import Histogram
from gobelieve.names import AckStatus
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.wire import Message, storage
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, encode_frame
from gobelieve.wire.message import Sender, decode, sent_by

SAVE_BYTES = 1 << 20
"""A SAVE of this size is sent at once, and the next save of the turn begins another one."""
SWEEP = 0.5
"""Seconds between two searches for overdue requests."""


ASK_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The upper bounds of the buckets of `AskTimes`, in seconds."""

Saving = tuple[MessageInFlight, int]
"""One item of a SAVE: the message that waits for the answer, and its number of queues."""


class _Asked(NamedTuple):
    """An unanswered request: the callbacks of a SAVE, or a Deferred for any other answer."""

    overdue_at: float
    waiting: list[Saving] | Deferred[Message]


class AskTimes:
    """The time in seconds that storage took to answer, per request and per message.

    The time of a message is the time until its ack, without the turns before and after.
    """

    __slots__ = ("asks", "messages")

    def __init__(self) -> None:
        self.asks = Histogram(ASK_SECONDS)
        self.messages = Histogram(ASK_SECONDS)


class StorageConnection(FramedProtocol):
    """The connection to a storage daemon."""

    limit = RPC_BODY_LIMIT
    allowed = sent_by(Sender.STORAGE)

    def __init__(self, link: "StorageLink") -> None:
        super().__init__(link.turn)
        self._link = link

    def opened(self) -> None:
        probe_soon(self.transport)
        self._link.connected(self)

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._link.answered(frame)

    def closed(self, reason: Failure) -> None:
        self._link.disconnected(reason)


class StorageLink(Factory):
    """The requests to one storage daemon, over one connection after another."""

    log = Logger()
    noisy = False

    def __init__(
        self,
        address: str,
        turn: Turn,
        time: Time,
        timeout: float = 4.0,
        times: AskTimes | None = None,
    ) -> None:
        self.address = address
        self.times = times or AskTimes()
        self.turn = turn
        self._time = time
        self._timeout = timeout
        self._connection: StorageConnection | None = None
        self._items: list[bytes] = []
        self._bytes = 0
        self._savings: list[Saving] = []
        self._asked: dict[int, _Asked] = {}
        self._tag = 0
        self._heard = 0.0
        self.newest = 0
        """The newest id that storage gave to a message of ours; 0 before the first."""
        self._sweeping = False

    def buildProtocol(self, addr: IAddress | None) -> StorageConnection:
        return StorageConnection(self)

    def __len__(self) -> int:
        """Return the number of unanswered requests."""
        return len(self._asked)

    @property
    def is_connected(self) -> bool:
        """True if there is a connection."""
        return self._connection is not None

    # --- asking

    def save(self, item: bytes, waiting: MessageInFlight, queues: int) -> None:
        """Save one item, packed by `storage.pack_save`; `waiting` gets one entry per queue."""
        if not self._savings:
            self.turn.at_end(self._flush)
        self._savings.append((waiting, queues))
        self._items.append(item)
        self._bytes += len(item)
        if self._bytes >= SAVE_BYTES:
            self._flush()

    def _flush(self) -> None:
        savings, self._savings = self._savings, []
        body = b"".join(self._items)
        self._items.clear()
        self._bytes = 0
        if savings:
            self._ask(storage.Save.number, body, savings)

    async def ask(self, question: Message) -> Message:
        """Send a request other than SAVE, and return the answer. Raises `StorageError`."""
        waiting: Deferred[Message] = Deferred()
        self._ask(question.number, question.encode(), waiting)
        answer = await waiting
        if isinstance(answer, storage.Failed):
            raise StorageError(answer.status, answer.reason.decode(errors="replace"))
        return answer

    async def decided(self) -> None:
        """Return when all earlier saves are on disk or have failed. Raises `StorageError`.

        Storage answers an empty SAVE at that time.
        """
        self._flush()
        await self.ask(storage.Save(items=b""))

    def _ask(self, cmd: int, body: bytes, waiting: list[Saving] | Deferred[Message]) -> None:
        if self._connection is None:
            self._fail(waiting, AckStatus.STORAGE_AWAY, "is not connected")
            return
        if len(body) > RPC_BODY_LIMIT:
            self._fail(waiting, AckStatus.TOO_LARGE, "takes no ask so long")
            return
        self._tag = tag = self._tag % 0x7FFFFFFF + 1
        self._asked[tag] = _Asked(self._time.seconds() + self._timeout, waiting)
        self._connection.send(encode_frame(cmd, body, tag))
        if not self._sweeping:
            self._sweeping = True
            self._time.callLater(SWEEP, self._sweep)

    def _sweep(self) -> None:
        now = self._time.seconds()
        overdue = [tag for tag, asked in self._asked.items() if asked.overdue_at <= now]
        if overdue:
            self.log.warn(
                "storage {address} left {count} asks unanswered",
                address=self.address,
                count=len(overdue),
            )
        for tag in overdue:
            waiting = self._asked.pop(tag).waiting
            self._fail(waiting, AckStatus.STORAGE_AWAY, "did not answer in time")
        if overdue and self._connection is not None and self._heard <= now - self._timeout:
            # Storage sends nothing at all. Requests would only collect in its socket.
            self._connection.abort()
        self._sweeping = bool(self._asked)
        if self._sweeping:
            self._time.callLater(SWEEP, self._sweep)

    # --- told by the connection

    def connected(self, connection: StorageConnection) -> None:
        """Send requests over this connection from now on."""
        self._connection = connection
        self._heard = self._time.seconds()
        self.log.info("storage {address} is connected", address=self.address)

    def disconnected(self, reason: Failure) -> None:
        """Let all unanswered requests fail."""
        self._connection = None
        self.log.warn(
            "storage {address} is gone: {why}", address=self.address, why=reason.getErrorMessage()
        )
        asked, self._asked = self._asked, {}
        for ask in asked.values():
            self._fail(ask.waiting, AckStatus.STORAGE_AWAY, "is gone")

    def answered(self, frame: Frame) -> None:
        """Handle an answer; `BodyError` if it is malformed."""
        self._heard = self._time.seconds()
        asked = self._asked.pop(frame.seq, None)
        if asked is None:
            return  # The request was overdue, and has failed already.
        took = self._heard - asked.overdue_at + self._timeout
        self.times.asks.observe(took)
        if not isinstance(asked.waiting, Deferred):
            self.times.messages.observe(took, len(asked.waiting))
        if frame.cmd == storage.Saved.number and not isinstance(asked.waiting, Deferred):
            self._saved(frame.body, asked.waiting)
            return
        try:
            answer = decode(frame)
        except BodyError:
            self._fail(asked.waiting, AckStatus.STORAGE_FAILED, "makes no sense")
            raise
        if isinstance(asked.waiting, Deferred):
            asked.waiting.callback(answer)
        elif isinstance(answer, storage.Failed):
            self._fail(asked.waiting, answer.status, answer.reason.decode(errors="replace"))
        else:
            self._fail(asked.waiting, AckStatus.STORAGE_FAILED, f"answered {answer.label}")

    def _saved(self, results: bytes, waiting: list[Saving]) -> None:
        at = 0
        for place, (message, queues) in enumerate(waiting):
            try:
                status, msgid, prevs, at = storage.unpack_saved(results, at, queues)
            except BodyError:
                self._fail(waiting[place:], AckStatus.STORAGE_FAILED, "makes no sense")
                raise
            if status:
                entries: Entries = ((0, 0),) * queues
            else:
                self.newest = max(self.newest, msgid)
                entries = [(msgid, prev) for prev in prevs]
            self._answer(message, status, entries)

    def _fail(self, waiting: list[Saving] | Deferred[Message], status: int, why: str) -> None:
        """Report a failure to everything that waits for the answer."""
        if isinstance(waiting, Deferred):
            waiting.errback(StorageError(status, f"storage {self.address} {why}"))
        else:
            for message, queues in waiting:
                self._answer(message, status, ((0, 0),) * queues)

    def _answer(self, message: MessageInFlight, status: int, entries: Entries) -> None:
        try:
            message.stored(status, entries)
        except Exception:
            # The other messages of the batch must be answered all the same.
            self.log.failure("a saved message could not be handled")


def page_of(answer: Message) -> Page:
    """Return a PAGE in the form of the interfaces; `StorageError` for another answer."""
    if not isinstance(answer, storage.Page):
        raise StorageError(AckStatus.STORAGE_FAILED, f"{answer.label} where PAGE belongs")
    try:
        messages = list(storage.unpack_messages(answer.messages))
    except BodyError as why:
        raise StorageError(AckStatus.STORAGE_FAILED, str(why)) from None
    return Page(answer.last, answer.newest, answer.more != 0, messages)
