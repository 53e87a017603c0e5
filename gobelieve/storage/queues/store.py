"""Saving: writing a body once, and an entry in each of its queues.

Appending, writing and syncing are three steps, each for many messages; `commit` says when. A save
can be taken back until it is durable, since the old head of each changed queue is kept. Readers
see these old heads meanwhile. So no reader sees a message that a power cut could still take away.
"""

from collections.abc import Callable, Iterable

from gobelieve.errors import StorageError
from gobelieve.interfaces import InThread, World
from gobelieve.names import AckStatus
from gobelieve.storage.files.blocks import Blocks, Position
from gobelieve.storage.files.files import Files, failure_of
from gobelieve.storage.format.records import (
    BLOCK_SIZE,
    BODY_LIMIT,
    ENTRIES_PER_BATCH,
    GROUP_IM,
    QUEUE_KINDS,
    Entry,
    pack_entry,
    pack_message,
)
from gobelieve.storage.index.heads import HEAD, LAST_ID, Head, Index
from gobelieve.storage.index.recovery import recover
from gobelieve.storage.index.snapshot import Snapshots
from gobelieve.storage.queues.durability import LOST_BLOCKS, Durability
from gobelieve.storage.queues.reading import QueueReader
from gobelieve.storage.queues.save_groups import SaveGroup, SaveGroups
from gobelieve.wire.frames import GROUP
from gobelieve.wire.storage import USERS, SaveItem

MAX_TOLD_BLOCKS = 1 << 20
"""A slave that says that it is further ahead (128 TiB) is not believed."""


class Store:
    """The queues of one directory. Nothing is opened before `open`.

    A save takes the steps `append`, `flush`, `begin_sync`, and then `synced` or `take_back`.
    """

    def __init__(
        self,
        root: str,
        *,
        world: World,
        in_thread: InThread | None = None,
        block_size: int = BLOCK_SIZE,
        files: Files | None = None,
        snapshot_every: int | None = None,
        is_slave: bool = False,
        is_written_only: bool = False,
    ) -> None:
        """Write a snapshot of the index every `snapshot_every` bytes (default: two blocks).

        Without `in_thread` no snapshot is written. A slave's files equal those of its master. With
        `is_written_only` saves are answered before they are on disk.
        """
        files = files or Files()
        self.blocks = Blocks(root, world.log, block_size, files)
        self.index = Index()
        self.snapshots = Snapshots(
            self.blocks,
            self.index,
            world=world,
            files=files,
            in_thread=in_thread,
            every=2 * block_size if snapshot_every is None else snapshot_every,
            unwritten=lambda: self._groups.appended.heads,
            bridges=lambda: self.reader.bridges,
        )
        self.reader = QueueReader(
            self.blocks, heads=self.head, on_damage=self.snapshots.distrust, log=world.log
        )
        self._world = world
        self._is_slave = is_slave
        self._durability = Durability(
            root, files, world, is_slave=is_slave, is_written_only=is_written_only
        )
        self._groups = SaveGroups()
        self._sync_end: Position = (0, 0)
        # The position up to which all is on disk. It is None, for unknown, after a failed sync of
        # which nothing was taken back. `_sync_open`: a sync has begun and not succeeded yet.
        self._durable: Position | None = (0, 0)
        self._sync_open = False
        # The number of the block in which the next record is at the earliest.
        self._first_block = 0
        self.watchers: list[Callable[[], None]] = []
        """Called when readers may see more; `settled` is the new end."""

    def open(self, locked: Callable[[], None] = lambda: None) -> None:
        """Lock the directory and read it. Raises StorageError, with one line, if that fails.

        `locked` is called between the two, and may raise StorageError.
        """
        try:
            self.blocks.open()
            locked()
            if not self._is_slave:
                self.blocks.mend_header()
            found = recover(self.blocks, self.index, self._world, self._durability.read())
            position, self.reader.bridges = found.snapshot, found.bridges
            # A killed daemon may have left written records that are not on disk yet.
            self.blocks.sync_from(position[0])
        except OSError as why:
            self.blocks.close()
            where = why.filename or self.blocks.root
            raise StorageError(failure_of(why).status, f"{where}: {why.strerror}") from why
        except StorageError:
            self.blocks.close()
            raise
        self._sync_end = self._durable = end = self.blocks.end
        self._groups.appended = SaveGroup(end, len(self.index))
        self.jump(self._durability.begin(end, found.is_damaged))
        self.snapshots.started(position)
        self.snapshots.mark(end, len(self.index))
        self.snapshots.begin()
        self._world.log.info(
            "{root}: {queues} queues in {blocks} blocks",
            root=self.blocks.root,
            queues=len(self.index),
            blocks=len(self.blocks.numbers),
        )

    def jump(self, number: int) -> None:
        """Give no id below the block `number` from now on. No id after it is lost meanwhile.

        Used when ids may have been told whose records are lost: a client that holds such an id does
        not ask for smaller ones. The blocks between are skipped for ever. A slave gives no ids.
        """
        if self._is_slave:
            return
        self._first_block = max(self._first_block, number)
        if self.blocks.end[0] < self._first_block:
            self.blocks.begin_block(self._first_block)

    def told(self, end: int) -> None:
        """Note that a slave has records up to an id beyond the end of this directory.

        They were lost here after they were sent, so clients may hold their ids.
        """
        number = end // self.blocks.size
        own = self.blocks.end[0]
        if self._is_slave or not max(own, self._first_block) <= number <= own + MAX_TOLD_BLOCKS:
            return
        self.jump(number + LOST_BLOCKS)
        what = "{root}: records up to {end} are lost here, but a slave has them: "
        what += "new ids begin in message_{first}"
        self._world.log.warn(what, root=self.blocks.root, end=end, first=self._first_block)

    def close(self) -> None:
        """Close the directory. Saves that are not written are lost."""
        self._durability.close()
        self.blocks.close()

    def close_with_snapshot(self, done: Callable[[], None]) -> None:
        """Write a last snapshot, close the directory, and call `done`.

        No save may follow.
        """

        end = self._durable if self._durable == self.blocks.end else None

        def left() -> None:
            self._durability.close(end)
            self.close()
            done()

        self.snapshots.close(end, len(self.index), left)

    # --- saving

    def append(self, item: SaveItem) -> tuple[int, tuple[int, ...]]:
        """Append a message and its entries. Return its id, and the previous id of each queue or 0.

        Raises StorageError, and changes nothing, if the body is too long or the cmd is not one of a
        message.
        """
        device, cmd, kind, queues, body = item
        if len(body) > BODY_LIMIT:
            raise StorageError(
                AckStatus.TOO_LARGE, f"a body of {len(body)} bytes, the limit is {BODY_LIMIT}"
            )
        if cmd in QUEUE_KINDS:
            raise StorageError(
                AckStatus.STORAGE_FAILED, f"{cmd} is not a message but a queue record"
            )
        msgid = self.blocks.append(pack_message(cmd, body))
        enter = self._enter
        if len(queues) == 2:
            return msgid, (enter(kind, queues[0], queues[1], msgid, device, cmd),)
        if len(queues) == 4:
            appid, owner, appid2, owner2 = queues
            if owner != owner2 or appid != appid2:
                prev = enter(kind, appid, owner, msgid, device, cmd)
                return msgid, (prev, enter(kind, appid2, owner2, msgid, device, cmd))
        prevs: dict[tuple[int, int], int] = {}
        named = list(zip(queues[::2], queues[1::2], strict=True))
        for queue in named:
            if queue not in prevs:
                prevs[queue] = enter(kind, queue[0], queue[1], msgid, device, cmd)
        return msgid, tuple([prevs[queue] for queue in named])

    def _enter(self, kind: int, appid: int, owner: int, msgid: int, device: int, cmd: int) -> int:
        values, place = self.index.values, self.index.place(kind, appid, owner)
        head: Head = HEAD.unpack_from(values, place * 8)
        prev, last, peer, batch, seq = head
        seq += 1
        grouped = GROUP if kind == USERS and cmd == GROUP_IM else 0
        before = peer if kind == USERS else 0
        id_ = self.blocks.append(
            pack_entry(kind, appid, owner, msgid, device, seq, last, before, batch, grouped)
        )
        self._groups.appended.heads.setdefault(place, head)
        if not grouped:
            peer = id_
        if seq % ENTRIES_PER_BATCH == 0:
            batch = id_
        HEAD.pack_into(values, place * 8, msgid, id_, peer, batch, seq)
        return prev

    def copy(self, position: Position, data: bytes, entries: Iterable[tuple[int, Entry]]) -> None:
        """Append a piece of the master's files, with its queue records and their ids."""
        index = self.index
        self.blocks.append_piece(position, data)
        for id_, entry in entries:
            place = index.place(entry.kind, entry.appid, entry.owner)
            self._groups.appended.heads.setdefault(place, index.head(place))
            before = index.apply(id_, entry)
            if before and before != entry.prev:
                self.reader.bridges[id_] = before

    @property
    def settled(self) -> Position:
        """Return the end of the records that readers may see. They are never taken back."""
        return self._groups.all[0].start

    @property
    def unwritten(self) -> bool:
        """Return whether `flush` has something to write."""
        return self.blocks.end != self._groups.appended.start

    @property
    def unsynced_blocks(self) -> int:
        """Return the number of blocks begun since the last sync began, or since the start."""
        return self._groups.appended.start[0] - self._sync_end[0]

    def flush(self) -> None:
        """Write the appended saves. On a StorageError they are taken back."""
        try:
            self.blocks.flush()
        except OSError as why:
            self._undo([self._groups.appended])
            raise failure_of(why) from why
        self.snapshots.changed(self._groups.appended.heads)
        self._groups.flushed(self.blocks.end, len(self.index))

    def show_written(self) -> None:
        """Let readers see all written saves, durable or not. They are not taken back any more."""
        self._groups.written = None
        self._notify_watchers()

    def begin_sync(self) -> Callable[[], None]:
        """Return a function that blocks and makes all written saves durable. One may run at a time.

        After an OSError of the function call `take_back`, otherwise `synced`.
        """
        self._groups.begin_sync()
        self._sync_end = self._groups.appended.start
        if self._sync_open:
            self._durable = None
        self._sync_open = True
        if self._durable is None:
            self.snapshots.forget()
        else:
            self.snapshots.mark(self._sync_end, self._groups.appended.queues)
        work, end = self.blocks.sync_work(), self._sync_end
        if self._durable is None:
            return work

        def sync_and_mark() -> None:
            work()
            self._durability.note(end)

        return sync_and_mark

    def synced(self) -> None:
        """Note that the sync succeeded. Readers may see the saves that it covered."""
        self._groups.syncing = None
        self._sync_open = False
        self.blocks.synced(self._sync_end)
        if self._durable is not None:
            self._durable = self._sync_end
            self.snapshots.begin()
        self._notify_watchers()

    def _notify_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def take_back(self) -> None:
        """Take back all saves that are not durable, since the sync failed."""
        self._sync_open = False
        self.snapshots.forget()
        self._undo(self._groups.all)
        self._groups.syncing = self._groups.written = None

    def _undo(self, groups: list[SaveGroup]) -> None:
        for group in groups:
            self.snapshots.changed(group.heads)
        for group in reversed(groups):
            for place, head in group.heads.items():
                self.index.put(place, head)
        number, offset = start = groups[0].start
        self.reader.forget(number * self.blocks.size + offset)
        self.blocks.cut(start)
        self._groups.appended = SaveGroup(self.blocks.end, len(self.index))
        self.jump(self._first_block)

    # --- for readers

    def head(self, kind: int, appid: int, owner: int) -> Head | None:
        """Return the head of a queue as readers may see it; None if the queue is empty."""
        place = self.index.find(kind, appid, owner)
        if place < 0:
            return None
        head = self._groups.head_before(place) or self.index.head(place)
        return head if head[LAST_ID] else None
