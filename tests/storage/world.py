"""One storage directory and all that happens to it, one life after another.

Everything is chosen by a `Random`: the same seed is the same history, to the byte.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock

from gobelieve.names import User
from gobelieve.storage.commit import GroupCommit, Policy, Result
from gobelieve.storage.folder import Folder
from gobelieve.storage.records import (
    BODY_LIMIT,
    FILE_HEADER,
    FIRST,
    MAGIC,
    OVERHEAD,
    QUEUE_KINDS,
    pack_entry,
    pack_message,
)
from gobelieve.storage.store import Store
from gobelieve.storage.verify import Verification
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem, StoredMessage
from tests.storage.model import Fate, Message, Model, Place, Queue
from tests.storage.power import PowerCut, PowerDisk
from tests.storage.support import APPID, FakeThread, FakeTurn, Lines, QuickFiles, pages

UIDS, GIDS = (101, 102, 103, 104), (101, 500)
QUEUES: list[Queue] = [*((USERS, uid) for uid in UIDS), *((SUPER_GROUPS, gid) for gid in GIDS)]
KINDS = (4, 4, 4, 8, 8, 7, 21, 64, 99)
FORGED = pack_message(4, b"forged") + pack_entry(USERS, APPID, UIDS[0], FIRST, 0, 1, 0, 0, 0, 0)
"""What a user may send, in the hope that it becomes the first message of all in a queue."""
PAGES = ((2, 1 << 22), (7, 1 << 22), (3000, 2000), (3000, 1 << 22), (3000, 1 << 22))
"""Limits of a page, in entries and bytes."""
BLOCKS = (700, 1500, 6000, 40_000, 100_000)


class World:
    """`begin`, then rounds: `live`, `end`, `begin` again, which checks all there is to see."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = Random(seed)
        self.steps: list[str] = []
        """What happened, for whoever wants to know how it came."""
        self.disk = PowerDisk(self.random)
        self.model = Model()
        self.size = self.random.choice(BLOCKS)
        self.policy = Policy.COMMIT if self.random.random() < 0.85 else Policy.INTERVAL
        self.every = self.random.choice((1, 500, 5000, 1 << 40))
        self.pending: list[Message] = []
        """Appended, and not answered."""
        self.candidates: list[Place] = []
        self.records: dict[int, bytes] = {}
        """All that was appended and not taken back, by id."""
        self.snapshots: list[bytes] = []
        self.rotten = False
        """Damage at rest has hit something."""
        self.holed = False
        """Something was lost before something that was not, both unanswered."""
        self.number = 0
        self.whole = True
        """What the last crash left may be cut short, but has no holes."""
        self.sound = True
        """The blocks were nothing but records when they were opened last."""
        self.disk.tidy = self.random.random() < 0.2
        self._note(f"blocks of {self.size}, {self.policy.value}, a snapshot every {self.every}")

    def _note(self, *what: object) -> None:
        self.steps.append(" ".join(str(part) for part in what))

    # --- a life

    def start(self) -> None:
        """Open the directory."""
        self.turn, self.thread, self.writer = FakeTurn(), FakeThread(), FakeThread()
        self.clock, self.log, self.failed = Clock(), Lines(), False
        self.store = Store(
            str(self.root),
            self.log,
            block_size=self.size,
            files=self.disk,
            in_thread=self.writer,
            snapshot_every=self.every,
        )
        self._listen_in()
        self.store.open()
        self.commits = GroupCommit(
            self.store,
            in_thread=self.thread,
            turn=self.turn,
            time=self.clock,
            log=self.log,
            policy=self.policy,
        )

    def _listen_in(self) -> None:
        """Keep what is appended, and where: the answers only say it later."""
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
        """Save, read and fail for a while; whether the process is still there."""
        random = self.random
        if random.random() < 0.5:
            self.disk.left = random.randrange(25)
        deeds: list[Callable[[], None]] = [self.save] * 5 + [self.work] * 4
        deeds += [self.write_snapshot, self.write_snapshot, self.elapse, self.look]
        deeds += [self.save_on_a_full_disk, self.fail_to_sync]
        try:
            for _ in range(random.randrange(2, 14)):
                random.choice(deeds)()
        except PowerCut:
            self._note("killed in the middle of a change")
            return False
        self.disk.left = None
        return True

    def save(self) -> None:
        """One ask with several messages; several asks may share a turn."""
        items = [self._item() for _ in range(self.random.choice((1, 1, 2, 3, 6)))]
        self._note("save", *(f"{i.cmd}:{i.kind}:{i.queues[1::2]}:{len(i.body)}" for i in items))
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
        most = min(self.size - FIRST - OVERHEAD, BODY_LIMIT)
        length = random.choice(
            (0, random.randrange(40), random.randrange(200), random.randrange(1, 2000))
        )
        if random.random() < 0.02:
            length = random.choice((BODY_LIMIT, BODY_LIMIT + 1))
        if length <= BODY_LIMIT:
            length = min(length, most)
        filler = random.choice((bytes(8), MAGIC, b"\xff" * 5, random.randbytes(16)))
        if self.disk.tidy and random.random() < 0.5:
            # Where holes may be, such a message can not be told from records.
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
        """The turn ends, and a sync with it if one is under way."""
        self.turn.end()
        if self.thread.waiting:
            self._note("sync")
            self.thread.run()
            self.turn.end()

    def write_snapshot(self) -> None:
        """A step of the thread that writes snapshots."""
        if self.writer.waiting:
            self._note("a step of the snapshot")
            self.writer.run()
            self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        with suppress(FileNotFoundError):
            data = (self.root / "heads").read_bytes()
            if data not in self.snapshots:
                self.snapshots.append(data)

    def save_on_a_full_disk(self) -> None:
        """The write stops at some byte."""
        self.disk.room = self.random.randrange(400)
        self._note("room for", self.disk.room)
        self.save()
        self.turn.end()
        self.disk.room = None

    def fail_to_sync(self) -> None:
        """The next sync fails, if there is one; cutting back works."""
        self.turn.end()
        if self.thread.waiting:
            self._note("a sync fails")
            self.disk.broken, self.failed = 1, True
            self.thread.run()
            self.disk.broken = 0
            self.turn.end()

    def elapse(self) -> None:
        """A second goes by."""
        self.clock.advance(1)

    def look(self) -> None:
        """Readers see what was answered, and nothing else."""
        self.check_reads(cut=False)

    # --- its end, and what happens to the files before the next one

    def end(self, alive: bool) -> None:
        """A clean stop, the end of the process, or of the machine."""
        how = self.random.random()
        self.whole = True
        durable = self.policy is Policy.COMMIT
        if alive and how < 0.2:
            self._stop()
            durable |= not self.failed
        self.disk.abandon()
        if durable and self.random.random() < 0.75:
            self._cut_power()
        else:
            self._note("killed")
        self._expect()

    def _cut_power(self) -> None:
        self.disk.cut_power()
        self._note("the power is cut", "and leaves holes" if self.disk.torn else "")
        self.whole &= not self.disk.torn

    def _stop(self) -> None:
        self._note("a clean stop")
        ended: list[int] = []
        self.commits.close(lambda: self.store.leave(lambda: ended.append(1)))
        while not ended:
            self.turn.end()
            for thread in (self.thread, self.writer):
                if thread.waiting:
                    thread.run()
        assert not self.pending, "not answered"
        self._keep_snapshot()

    def _expect(self) -> None:
        """What was answered is in the files, to the byte; the rest may be."""
        files = self.files()
        for message in self.model.messages():
            if message.fate is Fate.SURE:
                fate = self._fate(files, message.msgid)
                assert fate is Fate.SURE, f"{message.msgid} was answered, and lost"
        for queue, places in self.model.queues.items():
            for place in places:
                if place.fate is Fate.SURE:
                    fate = self._fate(files, place.id)
                    assert fate is Fate.SURE, f"entry {place.id} of {queue} was lost"
        for message in self.pending:
            message.fate = self._fate(files, message.msgid)
        self.candidates = [
            Place(id_, message, Fate.MAYBE)
            for message in self.pending
            for id_ in message.entries.values()
        ]

    def _fate(self, files: dict[int, bytes], id_: int) -> Fate:
        """What became of a record. No checksum covers cmd, version, flag and the mark for it."""
        number, offset = divmod(id_, self.size)
        record = self.records.get(id_, b"")
        found = files.get(number, b"")[offset : offset + len(record)]
        if found == record != b"":
            return Fate.SURE
        if len(found) < len(record) or not record:
            return Fate.LOST
        if record[12] not in QUEUE_KINDS and found[13] != 2 and found[15] == 0:
            return Fate.MAYBE  # with the version and the mark gone the checksum is not looked at
        if found[:12] + found[16:] != record[:12] + record[16:]:
            return Fate.LOST
        if record[12] in QUEUE_KINDS:
            return Fate.SURE if found[12] == record[12] else Fate.LOST
        return Fate.SURE if found[12:14] == record[12:14] else Fate.MAYBE

    def files(self) -> dict[int, bytes]:
        """The blocks."""
        paths = {int(path.name[8:]): path for path in self.root.glob("message_*")}
        return {number: paths[number].read_bytes() for number in sorted(paths)}

    def meddle(self) -> bool:
        """Damage, another snapshot, blocks removed; whether damage may show only at a reader."""
        random, heads = self.random, self.root / "heads"
        hidden = False
        if random.random() < 0.15:
            if random.random() < 0.5 and self.snapshots:
                data = random.choice(self.snapshots)
                self._note("an old snapshot")
                self.disk.replace(str(heads), data)
                hidden = self.rotten
            elif heads.exists():
                self._note("no snapshot")
                self.disk.remove(str(heads))
        if random.random() < 0.15:
            self._rot()
            hidden |= heads.exists()
        elif random.random() < 0.08:
            self._remove_oldest()
        return hidden

    def _rot(self) -> None:
        """A bit flips in a record that was answered long ago, or just before the end."""
        random = self.random
        sure = {m.msgid: m for m in self.model.messages() if m.fate is Fate.SURE}
        found: dict[int, Message | Place] = dict(sure)
        if random.random() < 0.5:
            places = [place for places in self.model.queues.values() for place in places]
            found = {place.id: place for place in places if place.fate is Fate.SURE}
        if not found:
            return
        id_ = random.choice(random.choice((sorted(found), sorted(found)[-5:])))
        length = len(self.records[id_])
        at = random.choice((random.randrange(16), random.randrange(length), length - 2))
        number, offset = divmod(id_, self.size)
        path = self.root / f"message_{number}"
        data = bytearray(path.read_bytes())
        one = found[id_]
        if isinstance(one, Message) and 4 <= at < 8 and not self._can_tell(number, bytes(data)):
            return
        data[offset + at] ^= 1 << random.randrange(8)
        self.disk.replace(str(path), bytes(data))
        self._note("a bit of", type(one).__name__, id_, "flips at", at)
        self.rotten, self.whole = True, False
        one.fate = self._fate({number: bytes(data)}, id_)

    def _can_tell(self, number: int, data: bytes) -> bool:
        """Whether a wrong length of a message can be told from a write that was torn in it."""
        newest = max(self.files())
        return number < newest and self._sound_until(number, data) == len(data)

    def _remove_oldest(self) -> None:
        numbers = sorted(self.files())
        if len(numbers) < 3:
            return
        gone = self.random.randrange(1, len(numbers) - 1)
        self._note("blocks before", numbers[gone], "are removed")
        for number in numbers[:gone]:
            self.disk.remove(str(self.root / f"message_{number}"))
        first = numbers[gone] * self.size
        self.model.forget_before(first)
        self.candidates = [place for place in self.candidates if place.id >= first]
        self.records = {id_: data for id_, data in self.records.items() if id_ >= first}

    # --- the next beginning

    def begin(self, hidden: bool = False) -> None:
        """Open it again, and see that all is as it should be."""
        before = self.files()
        if before and self.random.random() < 0.15:
            self.disk.left = self.random.randrange(6)
            try:
                self.start()
            except PowerCut:
                self._note("killed at the start")
                self.disk.abandon()
            else:
                self.disk.abandon()
            if self.policy is Policy.COMMIT and self.random.random() < 0.5:
                self._cut_power()
            before = {}
        self.start()
        if hidden:
            # A reader comes upon the damage; the start after that knows of it.
            self.check_reads(cut=True)
            self.disk.abandon()
            self.disk.settle()
            self.start()
        self.check_files(before)
        self.check_reads(cut=False)
        self._take_over()
        self.check_counts()
        self.check_snapshot()
        self.sound = self._sound()

    def _take_over(self) -> None:
        """Saves that were not answered: what of them is there now has to stay."""
        files = self.files()
        for queue in QUEUES:
            seen = {message.msgid for message in self.seen[queue]}
            places = self._mine(queue)
            for place in places:
                if self._fate(files, place.id) is Fate.LOST:
                    place.fate = Fate.LOST
                elif place.message.msgid in seen:
                    place.fate = Fate.SURE
            # A lost one is counted if a later one says so by its number.
            while places and places[-1].fate is Fate.LOST:
                places.pop()
            self.model.queues.setdefault(queue, []).extend(places)
        ids: list[int] = []
        for message in self.pending:
            message.fate = self._fate(files, message.msgid)
            ids += [message.msgid, *message.entries.values()]
        gone = [self._fate(files, id_) is Fate.LOST for id_ in ids]
        self.holed |= gone != sorted(gone)
        for id_ in [id_ for id_ in self.records if self._fate(files, id_) is Fate.LOST]:
            del self.records[id_]
        self.pending, self.candidates = [], []

    def _mine(self, queue: Queue) -> list[Place]:
        """The candidates of one queue."""
        mine = [place for place in self.candidates if queue in place.message.entries]
        return [place for place in mine if place.message.entries[queue] == place.id]

    # --- looking at it

    def read(self, queue: Queue) -> list[StoredMessage]:
        """All pages."""
        kind, user = queue[0], User(APPID, queue[1])
        limit, room = self.random.choice(PAGES)
        if kind == USERS:
            found = pages(lambda after: self.store.reader.fetch(user, after, limit, room))
        else:
            found = pages(lambda after: self.store.reader.fetch_group(user, after, 0, limit, room))
        return [message for page in found for message in page.messages]

    def check_reads(self, cut: bool) -> None:
        """All queues, against the model."""
        self.seen = {queue: self.read(queue) for queue in QUEUES}
        for queue, found in self.seen.items():
            self.model.check_page(queue, found, self._mine(queue), cut)

    def check_counts(self) -> None:
        """Counts and latest messages."""
        reader = self.store.reader
        for queue in QUEUES:
            if queue[0] != USERS:
                continue
            user, places = User(APPID, queue[1]), self.model.queues.get(queue, [])
            marks = [0, *(place.message.msgid for place in places)]
            for after in {0, *self.random.choices(marks, k=3)}:
                count = reader.count_new(user, after)
                least, most = self.model.counts(queue, after)
                assert least <= count <= most, f"{count} after {after}, not {least} to {most}"
            limit = self.random.randrange(1, 9)
            latest = self.model.latest(queue, limit)
            if latest is not None:
                found = [m.msgid for m in reader.fetch_latest(user, limit).messages]
                assert found == latest, f"the latest {limit} are {found}, not {latest}"

    def check_files(self, before: dict[int, bytes]) -> None:
        """Nothing but a torn end was cut off, and it is kept; and nothing was complained of."""
        newest = self.files()[self.store.blocks.numbers[-1]]
        assert len(newest) > FIRST or newest == FILE_HEADER, "a header is not written again"
        if not (self.whole and self.sound and before):
            return
        number = max(before)
        ends = {n: self._sound_until(n, data) for n, data in before.items()}
        if any(ends[n] < len(before[n]) for n in before if n < number):
            return  # the end of a block was torn, and the next one was begun
        end, data = ends[number], before[number]
        expected = before | {number: data[:end] if end > FIRST else FILE_HEADER}
        assert self.files() == expected, "a whole record was cut off, or a torn one is left"
        if FIRST <= len(data) > end:
            found = [path.read_bytes() for path in self.root.glob(f"torn_{number}_{end}*")]
            assert data[end:] in found, "what was cut off is not kept"
        complaints = [line for line in self.log.of("error") if "damage" in line]
        assert not complaints, complaints

    def _sound_until(self, number: int, data: bytes) -> int:
        """How far a block is nothing but records, as they were written."""
        end = FIRST
        while record := self.records.get(number * self.size + end):
            if data[end : end + len(record)] != record:
                break
            end += len(record)
        return end

    def check_snapshot(self) -> None:
        """A start that reads everything knows the same."""
        if self.rotten or not (self.root / "heads").exists():
            return  # it knows what has been damaged since, and who reads everything does not
        copy = self.root.with_name("copy")
        shutil.copytree(self.root, copy, ignore=shutil.ignore_patterns("heads*", "torn*"))
        try:
            files = QuickFiles()
            store = Store(str(copy), Lines(), block_size=self.size, files=files)
            store.open()
            assert list(_heads(store)) == list(_heads(self.store)), "the snapshot knows others"
            assert store.reader.bridges == self.store.reader.bridges
            store.close()
        finally:
            shutil.rmtree(copy)

    def check_all(self) -> None:
        """At the end: verification finds nothing in what was never damaged."""
        if self.holed or not self._sound():
            return
        self.disk.abandon()
        folder = Folder(str(self.root), self.size)
        try:
            verification: Any = Verification(folder, lambda *_: None)
            findings = [str(finding) for finding in verification.findings()]
            assert not findings, findings
        finally:
            folder.close()

    def _sound(self) -> bool:
        return all(self._sound_until(n, data) == len(data) for n, data in self.files().items())


def _heads(store: Store) -> Iterator[object]:
    for kind, owner in QUEUES:
        yield store.head(kind, APPID, owner)
