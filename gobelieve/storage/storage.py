"""Storage as the rest of the system uses it: the queues of one directory, with their group commit.

The RPC of gobelieve-ims uses this object, and so does the all-in-one daemon.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gobelieve.interfaces import InThread, Page, World
from gobelieve.names import AckStatus, User
from gobelieve.storage.queues.commit import Done, GroupCommit, Policy, Result
from gobelieve.storage.queues.counters import StorageCounters
from gobelieve.storage.queues.piece import Piece
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication import roles
from gobelieve.storage.replication.follower import Follower
from gobelieve.storage.tools.jump import first_block
from gobelieve.wire.storage import SaveItem

RESYNCABLE_BYTES = 16 << 20
"""The largest number of bytes at a slave's end that may be unsynced when its power is cut."""


class Storage:
    """Saves messages and reads queues. Nothing is opened before `open`.

    All methods are called in the event loop. Reads use the disk at once and may raise StorageError.
    With the policy `commit` they see only durable messages, otherwise all written ones.
    """

    def __init__(
        self,
        root: str,
        *,
        world: World,
        in_thread: InThread,
        fsync: str = "commit",
        fsync_interval: float = 1.0,
        limit: int = 3000,
        slave: bool = False,
    ) -> None:
        self.counters = StorageCounters()
        policy = Policy(fsync)
        self.store = Store(
            root,
            world=world,
            in_thread=in_thread,
            is_slave=slave,
            is_written_only=policy is not Policy.COMMIT,
        )
        self.follower = Follower(self.store.blocks, world.log)
        self.is_slave = slave
        self._turn = world.turn
        self._limit = limit
        self._commits = GroupCommit(
            self.store,
            world=world,
            in_thread=in_thread,
            policy=policy,
            interval=fsync_interval,
            counters=self.counters,
        )
        self._closing = False

    def open(self) -> None:
        """Read the whole directory. Raises StorageError, with one line, if it cannot be used."""
        root = self.store.blocks.root
        if self.is_slave:
            # The directory of a former master is not cut at damage: only it may have the messages.
            self.store.blocks.resyncable_bytes = RESYNCABLE_BYTES if roles.is_slave(root) else 0
            self.store.open(lambda: roles.mark(root))
        else:
            roles.check(root)
            first = first_block(root)
            self.store.open()
            self.store.jump(first)

    def close(self, done: Callable[[], None]) -> None:
        """Finish all saves, close the directory, then call `done`."""
        self._closing = True
        self._commits.close(lambda: self.store.close_with_snapshot(done))

    @property
    def trouble(self) -> str:
        """Return why messages cannot be stored at present; "" if nothing is known to prevent it."""
        if self._closing:
            return "storage ends"
        if not self.store.blocks.is_open:
            return "storage is not open"
        return self._commits.trouble

    def save(self, items: Sequence[SaveItem], done: Done, argument: Any) -> None:
        """Store items. Later, `done(argument, results)` is called once.

        Each item has a result: 0 or an `AckStatus`, the id, and the previous id of each queue. An
        item can fail alone, but all items of a turn share a write and fail together with it.
        A slave's storage answers READ_ONLY.
        """
        if self.is_slave:
            self.counters.not_stored[AckStatus.READ_ONLY] += len(items)
            refused: list[Result] = [(AckStatus.READ_ONLY, 0, ())] * len(items)
            self._turn.at_end(lambda: done(argument, refused))
            return
        self._commits.save(items, done, argument)

    def copy(self, piece: Piece, done: Done, argument: Any) -> None:
        """Store a piece of the master's files. Later, `done(argument, [result])` is called once."""
        self._commits.copy(piece, done, argument)

    def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        """Return the oldest messages of a user after an id. `limit` 0 is the daemon's limit."""
        return self._read(self.store.reader.fetch(user, after, self._within_limit(limit)))

    def fetch_group(self, group: User, after: int, joined: int = 0, limit: int = 0) -> Page:
        """Return the oldest messages of a super group after an id.

        GROUP_IM from before `joined` (seconds since 1970, 0 if unknown) is left out. `limit` 0 is
        the limit of the daemon.
        """
        reader = self.store.reader
        return self._read(reader.fetch_group(group, after, joined, self._within_limit(limit)))

    def fetch_latest(self, user: User, limit: int) -> Page:
        """Return the newest messages of a user, oldest first."""
        return self._read(self.store.reader.fetch_latest(user, min(max(limit, 1), self._limit)))

    def fetch_before(self, user: User, before: int, limit: int) -> Page:
        """Return the newest messages of a user before an id, oldest first."""
        limit = min(max(limit, 1), self._limit)
        return self._read(self.store.reader.fetch_before(user, before, limit))

    def count_new(self, user: User, after: int) -> int:
        """Return the number of entries in a user's queue after an id."""
        count = self.store.reader.count_new(user, after)
        self.counters.reads += 1
        return count

    def _read(self, page: Page) -> Page:
        self.counters.reads += 1
        self.counters.messages_read += len(page.messages)
        return page

    def _within_limit(self, limit: int) -> int:
        return min(limit, self._limit) if limit > 0 else self._limit
