"""A slave's link to its master.

The slave reports the end of its files (220, with version 2) and the checksum of its last bytes
(225). It stores what the master sends like any save: one sync for everything that came meanwhile.
Then it reports how much is on disk (223).

The slave disconnects if the data does not begin at its end, or is malformed. The next connection
requests the data from its own end again, so no hole can form. A new connection waits until the data
of the earlier one is on disk or removed. The slave stops reading while too much is not on disk.
"""

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.errors import StorageError
from gobelieve.interfaces import World
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.keepalive import probe_soon
from gobelieve.storage.queues.commit import Result
from gobelieve.storage.replication.reader import id_of, tail_of
from gobelieve.storage.storage import Storage
from gobelieve.wire.frames import Frame
from gobelieve.wire.message import decode
from gobelieve.wire.replication import (
    StorageSyncBegin,
    StorageSyncBytes,
    StorageSyncMessage,
    StorageSyncMessageBatch,
    StorageSyncPosition,
    StorageSyncRefused,
    StorageSyncTail,
)

MAX_BODY_BYTES = 32 << 20
"""The longest body from a master, in bytes. The batches of the Go server are long."""
UNSYNCED = 8 << 20
"""The slave stops reading while this number of bytes is not on disk."""


class MasterConnection(FramedProtocol):
    """The connection to the master."""

    limit = MAX_BODY_BYTES
    allowed = frozenset(
        cls.number
        for cls in (
            StorageSyncMessage,
            StorageSyncMessageBatch,
            StorageSyncBytes,
            StorageSyncRefused,
        )
    )

    def __init__(self, link: "MasterLink") -> None:
        super().__init__(link.turn)
        self._link = link
        self._storage = link.storage
        self._asked = False
        self._full = False
        self._news = False

    def opened(self) -> None:
        probe_soon(self.transport)
        self._link.connection = self
        self._link.refused = self._link.failed = False
        what = "master {address} is connected, our end is {end}"
        self.log.info(what, address=self._link.address, end=self._storage.follower.end)
        self.moved()

    def moved(self) -> None:
        """Continue, since more of the data is on disk, or was removed again."""
        unsynced = self._link.unsynced
        if not self._asked:
            if not unsynced:
                self._ask()
            return
        if self._full and unsynced <= UNSYNCED // 2:
            self._full = False
            self.resume()
        self._report()

    def _ask(self) -> None:
        self._asked = True
        try:
            tail = tail_of(self._storage.store)
        except StorageError as why:
            self.log.error("our own files cannot be read: {why}", why=why)
            self._link.failed = True
            self.abort()
            return
        first, end_id, checksum = tail
        self.send(StorageSyncBegin(cursor=self._storage.follower.end).frame(1))
        told = StorageSyncTail(first_id=first, end_id=end_id, checksum=checksum)
        self.send(told.frame(2))
        self._report()

    def closed(self, reason: Failure) -> None:
        self._link.connection = None
        what = "master {address} is gone: {why}"
        self.log.warn(what, address=self._link.address, why=reason.getErrorMessage())

    def frames_received(self, frames: list[Frame]) -> None:
        self._link.heard_at = self._link.time.seconds()
        for frame in frames:
            if self._closing:
                return
            sent = decode(frame)
            if isinstance(sent, StorageSyncRefused):
                self._refused(sent.reason.decode(errors="replace"))
                return
            piece = self._storage.follower.piece(sent)
            self._link.unsynced += len(piece.data)
            self._storage.copy(piece, self._copied, len(piece.data))
        if self._link.unsynced > UNSYNCED and not self._full:
            self._full = True
            self.pause()

    def drained(self) -> None:
        if self._asked:
            self._report()

    def _refused(self, reason: str) -> None:
        self._link.refused = True
        self.log.error(
            "master {address} gives us nothing, it says of us: {reason}",
            address=self._link.address,
            reason=reason,
        )
        self.close()

    def _copied(self, length: int, results: list[Result]) -> None:
        ((status, _, _),) = results
        link = self._link
        link.unsynced -= length
        link.failed = status != 0
        if status and not self._closing:
            self.log.error("what our master sent is not stored: status {s}", s=status)
            self.abort()
        if link.connection is not None:
            link.connection.moved()

    def _report(self) -> None:
        if not self._news:
            self._news = True
            self._link.turn.at_end(self._say)

    def _say(self) -> None:
        self._news = False
        # A master of the Go server never reads. Reports must not collect in memory.
        if not self.congested:
            store = self._storage.store
            self.send(StorageSyncPosition(cursor=id_of(store, store.settled)).frame())


class MasterLink(Factory):
    """The connections to the master, one after another."""

    log = Logger()
    noisy = False

    def __init__(self, storage: Storage, address: str, *, world: World) -> None:
        self.storage = storage
        self.address = address
        self.turn = world.turn
        self.time = world.time
        self.connection: MasterConnection | None = None
        self.unsynced = 0
        """The received bytes, on all connections, that are neither on disk nor removed again."""
        self.refused = False
        """True if the last thing that the master sent was a refusal."""
        self.failed = False
        """True if our files could not be read, or the last data could not be stored."""
        self.heard_at = 0.0
        """The time of the last bytes from the master, in seconds since 1970; 0 before the first."""

    def buildProtocol(self, addr: IAddress | None) -> MasterConnection:
        return MasterConnection(self)
