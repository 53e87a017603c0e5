"""The master's connection to one slave; `gobelieve.protocols.replication.master` describes it."""

from typing import Protocol

from twisted.python.failure import Failure

from gobelieve.errors import StorageError, WireError
from gobelieve.interfaces import Cancellable, Time, Turn
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.protocols.round_robin import RoundRobin
from gobelieve.storage.files.files import refusal
from gobelieve.storage.format.records import ENTRY_SIZE, FILE_HEADER
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication.reader import (
    RECORDS_PER_BATCH,
    Batch,
    BoundaryCheck,
    Bytes,
    ReplicationReader,
    Tail,
    check_tail,
    is_boundary,
    place_of,
)
from gobelieve.storage.replication.slaves import Slave
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, Frame
from gobelieve.wire.message import Message, Sender, sent_by
from gobelieve.wire.replication import (
    StorageSyncBegin,
    StorageSyncBytes,
    StorageSyncMessageBatch,
    StorageSyncPosition,
    StorageSyncRefused,
    StorageSyncTail,
)

ENOUGH_BYTES = RECORDS_PER_BATCH * ENTRY_SIZE
"""This number of bytes may be a whole batch, and is sent without a delay."""

OURS = 2
"""The version in the header of 220 with which a slave announces the checksum (225)."""

HANG_UP = 10.0
"""Seconds until the master disconnects a slave that requests nothing, or a refused slave of the Go
server."""


class Slaves(Protocol):
    """The connections of all slaves: `gobelieve.protocols.replication.master.SlavesFactory`."""

    store: Store
    turn: Turn
    time: Time
    delay: float
    feeds: RoundRobin
    connections: set["SlaveConnection"]

    @property
    def end(self) -> int: ...

    def left(self, connection: "SlaveConnection") -> None: ...


class SlaveConnection(FramedProtocol):
    """The connection of one slave."""

    limit = CLIENT_BODY_LIMIT
    allowed = sent_by(Sender.SLAVE)

    def __init__(self, factory: Slaves) -> None:
        super().__init__(factory.turn)
        self._factory = factory
        self._store = factory.store
        self._begun: StorageSyncBegin | None = None
        self._ours = False
        self._boundary: BoundaryCheck | None = None
        self._replication_reader: ReplicationReader | None = None
        self._in_line = False
        self._timer: Cancellable | None = None
        self._finishing = False
        self.slave = Slave("")

    @property
    def is_fed(self) -> bool:
        """True if the slave has sent its request, and is not refused."""
        return self._replication_reader is not None

    def opened(self) -> None:
        probe_soon(self.transport)
        self.slave = Slave(self.peer)
        self._factory.connections.add(self)
        silent = WireError("it asks for nothing")
        self._timer = self._factory.time.callLater(HANG_UP, self.cut, silent)

    def closed(self, reason: Failure) -> None:
        self._factory.left(self)
        self._cancel()
        if self._replication_reader is not None:
            self._replication_reader = None
            why = reason.getErrorMessage()
            self.log.info("slave {peer} left: {why}", peer=self.peer, why=why)

    def frames_received(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self._closing:
                return
            if frame.cmd == StorageSyncPosition.number:
                self._reported(StorageSyncPosition.decode(frame.body).cursor)
            elif frame.cmd == StorageSyncTail.number:
                self._tail_came(StorageSyncTail.decode(frame.body))
            elif self._begun is not None:
                raise WireError("it asks a second time")
            else:
                self._begun = StorageSyncBegin.decode(frame.body)
                self._ours = frame.version >= OURS
                if not self._ours:
                    self._begin(None)

    def drained(self) -> None:
        self._join()

    # --- the beginning

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _tail_came(self, sent: StorageSyncTail) -> None:
        if not self._ours or self._replication_reader is not None:
            raise WireError("its tail is not wanted")
        self._begin(Tail(sent.first_id, sent.end_id, sent.checksum))

    def _begin(self, tail: Tail | None) -> None:
        assert self._begun is not None
        self._cancel()
        cursor = self._begun.cursor
        try:
            place = place_of(self._store, cursor)
            if tail is not None:
                check_tail(self._store, tail, cursor)
            if tail is None or not is_boundary(self._store, place):
                self._boundary = BoundaryCheck(self._store, place, self._ours)
        except StorageError as why:
            if cursor > self._factory.end:
                self._store.told(cursor)
            self._refuse(why)
            return
        self._replication_reader = ReplicationReader(self._store, place)
        self.slave.sent = cursor
        self._note()
        self.log.info("slave {peer} came, its end is {end}", peer=self.peer, end=cursor)
        self._join()

    def _refuse(self, why: StorageError) -> None:
        self.log.error("slave {peer} gets nothing: {why}", peer=self.peer, why=why)
        self._replication_reader = None
        if self._ours:
            self._say(StorageSyncRefused(reason=str(why).encode()))
            self.close()
            return
        self._cancel()
        self._timer = self._factory.time.callLater(HANG_UP, self.close)

    # --- what is new

    def moved(self) -> None:
        """Send new data, now or soon; called when more of the files is settled."""
        if self._replication_reader is None:
            return
        self._note()
        if self._in_line or self.congested:
            return
        if self._replication_reader.waiting() >= ENOUGH_BYTES:
            # It is sent after the answers to the clients that saved it.
            self._turn.at_end(self._join_behind)
        elif self._timer is None or not self._timer.active():
            self._timer = self._factory.time.callLater(self._factory.delay, self._join)

    def _join_behind(self) -> None:
        self._turn.at_end(self._join)

    def _join(self) -> None:
        if self._replication_reader is not None and not self._in_line and not self.congested:
            self._in_line = True
            self._factory.feeds.join(self)

    def work(self) -> bool:
        """Send one piece. Return True if there is more and the slave takes it."""
        more = False
        try:
            if self._replication_reader is not None and not self._closing and not self.congested:
                more = self._look() or self._send_piece(self._replication_reader)
        except StorageError as why:
            self._refuse(why)
        except Exception:
            # A bug. Twisted too ends the connection of a protocol that raises.
            self.log.failure("slave {peer} cannot be fed", peer=self.peer)
            self.abort()
        self._in_line = more
        return more

    def _look(self) -> bool:
        """Search on for a record that begins at the slave's end. Return False when it is found."""
        if self._boundary is not None and self._boundary.found():
            self._boundary = None
        return self._boundary is not None

    def _send_piece(self, replication_reader: ReplicationReader) -> bool:
        piece = replication_reader.next()
        if piece is None:
            self._end_if_done()
            return False
        if isinstance(piece, Batch):
            first, last, count, frames = piece
            sent = StorageSyncMessageBatch(first_id=first, last_id=last, count=count, frames=frames)
            self._say(sent)
        elif self._ours:
            ended, first, data = piece
            self._say(StorageSyncBytes(ended=ended, first_id=first, content=data))
        elif not _is_header(piece, self._store.blocks.size):
            raise refusal(f"there is damage at {piece.first}, and it cannot be told so")
        self.slave.sent = replication_reader.id
        return not self.congested

    def _say(self, sent: Message) -> None:
        self.send(sent.frame(version=0))
        if self._writer is not None:
            # Only what is written shows whether the slave reads.
            self._writer.flush()

    # --- the end

    def finish(self) -> None:
        """Send the rest, then end the connection."""
        self._finishing = True
        if self._replication_reader is None:
            self.close()
        else:
            self._join()

    def _end_if_done(self) -> None:
        if (
            not self._finishing
            or self._replication_reader is None
            or self._replication_reader.waiting()
        ):
            return
        # Our slave reports when it has stored the rest. A slave of the Go server reports nothing.
        if not self._ours or self.slave.durable == self._replication_reader.id:
            self.close()

    # --- what is known of it

    def _reported(self, durable: int) -> None:
        if self._replication_reader is None:
            raise WireError("it says how far it is before it asks")
        if not 0 <= durable <= self._replication_reader.id:
            raise WireError(
                f"it says that it has {durable}, and was sent {self._replication_reader.id}"
            )
        self.slave.durable = durable
        self._note()
        self._end_if_done()

    def _note(self) -> None:
        self.slave.note(self._factory.end, self._factory.time.seconds())


def _is_header(piece: Bytes, size: int) -> bool:
    """Return True for the header of a block, which every slave writes by itself."""
    return piece.first % size == 0 and piece.data == FILE_HEADER
