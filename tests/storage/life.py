"""The lives of one storage directory: saves, reads and failures while a storage runs.

A `Random` chooses everything, so the same seed is the same history, to the byte. The module `world`
has the ends of lives and the checks at the next start.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from twisted.internet.task import Clock

from gobelieve.names import User
from gobelieve.storage.format.records import (
    BODY_LIMIT,
    FIRST_OFFSET,
    MAGIC,
    OVERHEAD,
    pack_entry,
    pack_message,
)
from gobelieve.storage.queues.commit import GroupCommit, Policy, Result
from gobelieve.storage.queues.store import Store
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem, StoredMessage
from tests.fakes.world import FakeThread, FakeTurn, Lines, world
from tests.storage.model import Message, Model, Place, Queue
from tests.storage.power import PowerCut, PowerDisk
from tests.storage.replication.test_replication import Slave
from tests.storage.support import APPID, pages

UIDS, GIDS = (101, 102, 103, 104), (101, 500)
QUEUES: list[Queue] = [*((USERS, uid) for uid in UIDS), *((SUPER_GROUPS, gid) for gid in GIDS)]
KINDS = (4, 4, 4, 8, 8, 7, 21, 64, 99)
FORGED = pack_message(4, b"forged")
FORGED += pack_entry(USERS, APPID, UIDS[0], FIRST_OFFSET, 0, 1, 0, 0, 0, 0)
"""A body that a user may send, hoping that it becomes the first message in a queue."""
PAGES = ((2, 1 << 22), (7, 1 << 22), (3000, 2000), (3000, 1 << 22), (3000, 1 << 22))
"""Limits of a page, in entries and bytes."""
BLOCKS = (700, 1500, 6000, 40_000, 100_000)


class Life:
    """A storage that runs, with a model of the messages that it should have."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = Random(seed)
        self.steps: list[str] = []
        """A log of the history, printed when a check fails."""
        self.disk = PowerDisk(self.random)
        self.model = Model()
        self.size = self.random.choice(BLOCKS)
        self.policy = Policy.COMMIT if self.random.random() < 0.85 else Policy.INTERVAL
        self.every = self.random.choice((1, 500, 5000, 1 << 40))
        self.pending: list[Message] = []
        """Messages that are appended and not answered."""
        self.candidates: list[Place] = []
        self.records: dict[int, bytes] = {}
        """All records that were appended and not taken back, by id."""
        self.snapshots: list[bytes] = []
        self.rotten = False
        """Whether damage has hit an old record."""
        self.guessed: set[int] = set()
        """Blocks in which the length of a message is damaged, so that its end is guessed."""
        self.holed = False
        """Whether an unanswered save was lost although a later unanswered one was not."""
        self.number = 0
        self.whole = True
        """Whether the last crash left no holes. It may have left a torn end."""
        self.sound = True
        """Whether the blocks had nothing but records when they were last opened."""
        self.disk.tidy = self.random.random() < 0.3
        self.slave: Slave | None = None
        if self.policy is Policy.COMMIT and self.random.random() < 0.4:
            self.slave = Slave(str(root.with_name("slave")), self.size)
        self.note(f"blocks of {self.size}, {self.policy.value}, a snapshot every {self.every}")

    def note(self, *what: object) -> None:
        self.steps.append(" ".join(str(part) for part in what))

    def start(self) -> None:
        """Open the directory, with a new group commit."""
        self.turn, self.thread, self.writer = FakeTurn(), FakeThread(), FakeThread()
        self.clock, self.log, self.failed = Clock(), Lines(), False
        self.store = Store(
            str(self.root),
            world=world(log=self.log),
            block_size=self.size,
            files=self.disk,
            in_thread=self.writer,
            snapshot_every=self.every,
            is_written_only=self.policy is not Policy.COMMIT,
        )
        self._listen_in()
        self.store.open()
        self.commits = GroupCommit(
            self.store,
            world=world(turn=self.turn, time=self.clock, log=self.log),
            in_thread=self.thread,
            policy=self.policy,
        )

    def _listen_in(self) -> None:
        """Note each appended message with its records, since the answers come only later."""
        append, enter = self.store.append, self.store.blocks.append

        def enter_record(record: bytes) -> int:
            id_ = enter(record)
            self.records[id_] = record
            self.appended.append(id_)
            return id_

        def save(item: SaveItem) -> tuple[int, tuple[int, ...]]:
            self.appended: list[int] = []
            found = append(item)
            message = Message(item)
            message.msgid, message.prevs = found
            owners = dict.fromkeys(message.owners)
            entries = zip(owners, self.appended[1:], strict=True)
            message.entries = {(item.kind, owner): id_ for owner, id_ in entries}
            self.pending.append(message)
            return found

        self.store.blocks.append = enter_record  # type: ignore[method-assign]
        self.store.append = save  # type: ignore[method-assign]

    def live(self) -> bool:
        """Save, read and fail for a while. Return whether the process is still alive."""
        random = self.random
        if random.random() < 0.5:
            self.disk.left = random.randrange(25)
        deeds: list[Callable[[], None]] = [self.save] * 5 + [self.work] * 4
        deeds += [self.write_snapshot] * 4 + [self.elapse, self.look, self.replicate]
        deeds += [self.save_on_a_full_disk, self.fail_to_sync, self.jump]
        try:
            for _ in range(random.randrange(2, 14)):
                random.choice(deeds)()
        except PowerCut:
            self.note("killed in the middle of a change")
            return False
        self.disk.left = None
        return True

    def save(self) -> None:
        """Save several messages with one request. Several requests may share a turn."""
        items = [self._item() for _ in range(self.random.choice((1, 1, 2, 3, 6)))]
        self.note("save", *(f"{i.cmd}:{i.kind}:{i.queues[1::2]}:{len(i.body)}" for i in items))
        self.commits.save(items, self._answered, items)
        if self.random.random() < 0.8:
            self.turn.end()

    def _item(self) -> SaveItem:
        random = self.random
        self.number += 1
        kind, owners = USERS, [random.choice(UIDS) for _ in range(random.choice((1, 2, 2, 3, 5)))]
        if random.random() < 0.3:
            kind, owners = SUPER_GROUPS, [random.choice(GIDS)]
        queues = tuple(part for owner in owners for part in (APPID, owner))
        return SaveItem(random.randrange(9), random.choice(KINDS), kind, queues, self._body())

    def _body(self) -> bytes:
        random = self.random
        most = min(self.size - FIRST_OFFSET - OVERHEAD, BODY_LIMIT)
        length = random.choice(
            (0, random.randrange(40), random.randrange(200), random.randrange(1, 2000))
        )
        if random.random() < 0.02:
            length = random.choice((BODY_LIMIT, BODY_LIMIT + 1))
        if length <= BODY_LIMIT:
            length = min(length, most)
        filler = random.choice((bytes(8), MAGIC, b"\xff" * 5, random.randbytes(16)))
        if self.disk.tidy and random.random() < 0.7:
            # Where there may be holes, such a message cannot be told from records.
            filler = FORGED
        return (b"%d " % self.number + filler * (length // len(filler) + 1))[:length]

    def _answered(self, items: list[SaveItem], results: list[Result]) -> None:
        for item, (status, msgid, prevs) in zip(items, results, strict=True):
            if len(item.body) > BODY_LIMIT:
                assert status, "too large, and answered as stored"
                continue
            (message,) = [message for message in self.pending if message.item is item]
            assert status or message is self.pending[0], "answered out of order"
            self.pending.remove(message)
            if status:
                self._never_was(message)
                continue
            assert (msgid, prevs) == (message.msgid, message.prevs)
            self.model.add(message)

    def _never_was(self, message: Message) -> None:
        for id_ in (message.msgid, *message.entries.values()):
            del self.records[id_]

    def work(self) -> None:
        """End the turn, and finish the running sync."""
        self.turn.end()
        if self.thread.waiting:
            self.note("sync")
            self.thread.run()
            self.turn.end()

    def write_snapshot(self) -> None:
        """Let the thread that writes snapshots take one step."""
        if self.writer.waiting:
            self.note("a step of the snapshot")
            self.writer.run()
            self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        with suppress(FileNotFoundError):
            data = (self.root / "heads").read_bytes()
            if data not in self.snapshots:
                self.snapshots.append(data)

    def save_on_a_full_disk(self) -> None:
        """Save while the disk gets full at some byte."""
        self.disk.room = self.random.randrange(400)
        self.note("room for", self.disk.room)
        self.save()
        self.turn.end()
        self.disk.room = None

    def fail_to_sync(self) -> None:
        """Let the next sync fail, while cutting the files back works."""
        self.turn.end()
        if self.thread.waiting:
            self.note("a sync fails")
            self.disk.broken, self.failed = 1, True
            self.thread.run()
            self.disk.broken = 0
            self.turn.end()

    def jump(self) -> None:
        """Skip some blocks, as a directory does that may have lost told ids."""
        if self.random.random() < 0.2:
            number = self.store.blocks.end[0] + self.random.randrange(1, 4)
            self.note("a jump to block", number)
            self.store.jump(number)

    def elapse(self) -> None:
        """Let a second pass."""
        self.clock.advance(1)

    def look(self) -> None:
        """Check that readers see the answered saves and nothing else."""
        self.check_reads(cut=False)

    def stop(self) -> None:
        self.note("a clean stop")
        ended: list[int] = []
        self.commits.close(lambda: self.store.close_with_snapshot(lambda: ended.append(1)))
        while not ended:
            self.turn.end()
            for thread in (self.thread, self.writer):
                if thread.waiting:
                    thread.run()
        assert not self.pending, "not answered"
        self._keep_snapshot()

    # --- a slave

    def replicate(self) -> None:
        """Let the slave take one or two settled pieces; it may be killed then."""
        if self.slave is not None:
            self.note("the slave takes a piece")
            self.slave.follow(self.store, self.random.randrange(1, 3))
            if self.random.random() < 0.3:
                self.slave.store.close()
                self.slave.open()

    def drop_slave(self) -> None:
        """Drop the slave, since from now on its files may differ from the master's."""
        if self.slave is not None:
            self.slave.store.close()
            self.slave = None

    # --- reading

    def mine(self, queue: Queue) -> list[Place]:
        """Return the candidates of one queue."""
        mine = [place for place in self.candidates if queue in place.message.entries]
        return [place for place in mine if place.message.entries[queue] == place.id]

    def read(self, queue: Queue) -> list[StoredMessage]:
        """Return the messages of all pages of a queue."""
        kind, user = queue[0], User(APPID, queue[1])
        limit, room = self.random.choice(PAGES)
        if kind == USERS:
            found = pages(lambda after: self.store.reader.fetch(user, after, limit, room))
        else:
            found = pages(lambda after: self.store.reader.fetch_group(user, after, 0, limit, room))
        return [message for page in found for message in page.messages]

    def check_reads(self, cut: bool) -> None:
        """Compare all queues with the model."""
        self.seen = {queue: self.read(queue) for queue in QUEUES}
        for queue, found in self.seen.items():
            self.model.check_page(queue, found, self.mine(queue), cut)
