"""One storage directory and everything that happens to it, one life after another.

After each start all reads are compared with the model.
"""

import shutil
from collections.abc import Iterator

from gobelieve.names import User
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import FIRST_OFFSET, QUEUE_KINDS, block_header, skipped_of
from gobelieve.storage.queues.commit import Policy
from gobelieve.storage.queues.store import Store
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire.storage import USERS
from tests.fakes.world import world
from tests.storage.life import QUEUES, Life
from tests.storage.model import Fate, Message, Place
from tests.storage.power import PowerCut
from tests.storage.replication.test_replication import blocks
from tests.storage.support import APPID, QuickFiles


class History(Life):
    """A directory with its history.

    It is `begin`, and then rounds of `live`, `end` and `begin`, which checks everything.
    """

    # --- the end of a life, and changes to the files before the next one

    def end(self, alive: bool) -> None:
        """End a life by a clean stop, by killing the process, or by a power cut."""
        how = self.random.random()
        self.whole = True
        durable = self.policy is Policy.COMMIT
        if alive and how < 0.2:
            if how < 0.08:
                self.disk.left = self.random.randrange(12)
            try:
                self.stop()
                durable |= not self.failed
            except PowerCut:
                self.note("killed in the middle of it")
        self.disk.abandon()
        if durable and self.random.random() < 0.75:
            self._cut_power()
        else:
            self.note("killed")
        self._expect()

    def _cut_power(self) -> None:
        self.disk.cut_power()
        self.note("the power is cut", "and leaves holes" if self.disk.torn else "")
        self.whole &= not self.disk.torn

    def _expect(self) -> None:
        """Check that answered records are in the files, to the byte. Other records may be."""
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
        """Return the fate of a record.

        No checksum covers cmd, version, flag and the checksum mark.
        """
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
        """Return the paths of the blocks."""
        paths = {int(path.name[8:]): path for path in self.root.glob("message_*")}
        return {number: paths[number].read_bytes() for number in sorted(paths)}

    def meddle(self) -> bool:
        """Damage, exchange or remove files. Return whether damage may show only at a read."""
        random, heads = self.random, self.root / "heads"
        hidden = False
        if random.random() < 0.15:
            if random.random() < 0.5 and self.snapshots:
                data = random.choice(self.snapshots)
                self.note("an old snapshot")
                self.disk.replace(str(heads), data)
                hidden = self.rotten
            elif heads.exists():
                self.note("no snapshot")
                self.disk.remove(str(heads))
        if random.random() < 0.15:
            self._rot()
            hidden |= heads.exists()
        elif random.random() < 0.08:
            self._remove_oldest()
        return hidden

    def _rot(self) -> None:
        """Flip a bit in a record that was answered, or in one just before the end."""
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
        if number in self.guessed:
            return  # two damages may hide what is between them, if one is of a length
        if isinstance(one, Message) and 4 <= at < 8:
            if not self._can_tell(number, bytes(data)):
                return
            self.guessed.add(number)
        data[offset + at] ^= 1 << random.randrange(8)
        self.disk.replace(str(path), bytes(data))
        self.note("a bit of", type(one).__name__, id_, "flips at", at)
        self.rotten, self.whole = True, False
        self.drop_slave()
        one.fate = self._fate({number: bytes(data)}, id_)

    def _can_tell(self, number: int, data: bytes) -> bool:
        """Return whether a wrong length of a message can be told from a torn write inside it."""
        newest = max(self.files())
        return number < newest and self._sound_until(number, data) == len(data)

    def _remove_oldest(self) -> None:
        numbers = sorted(self.files())
        if len(numbers) < 3:
            return
        gone = self.random.randrange(1, len(numbers) - 1)
        self.note("blocks before", numbers[gone], "are removed")
        for number in numbers[:gone]:
            self.disk.remove(str(self.root / f"message_{number}"))
        self.drop_slave()
        first = numbers[gone] * self.size
        self.model.forget_before(first)
        self.candidates = [place for place in self.candidates if place.id >= first]
        self.records = {id_: data for id_, data in self.records.items() if id_ >= first}

    # --- the next start

    def begin(self, hidden: bool = False) -> None:
        """Open the directory again, and check everything."""
        before = self.files()
        if before and self.random.random() < 0.15:
            self.disk.left = self.random.randrange(6)
            try:
                self.start()
            except PowerCut:
                self.note("killed at the start")
                self.disk.abandon()
            else:
                self.disk.abandon()
            if self.policy is Policy.COMMIT and self.random.random() < 0.5:
                self._cut_power()
            before = {}
        self.start()
        if hidden:
            # A reader meets the damage. The start after that knows of it.
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
        self.check_slave()

    def _take_over(self) -> None:
        """Take over the unanswered saves that are there now. They must stay from now on."""
        files = self.files()
        for queue in QUEUES:
            seen = {message.msgid for message in self.seen[queue]}
            places = self.mine(queue)
            for place in places:
                if self._fate(files, place.id) is Fate.LOST:
                    place.fate = Fate.LOST
                elif place.message.msgid in seen:
                    place.fate = Fate.SURE
            # A lost entry is counted if a later entry's seq includes it.
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

    # --- checks

    def check_counts(self) -> None:
        """Check the counts and the newest messages."""
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
        """Check that only torn ends were cut off and kept, and that nothing else was logged."""
        newest = self.files()[self.store.blocks.numbers[-1]]
        is_whole = len(newest) > FIRST_OFFSET or skipped_of(newest) is not None
        assert is_whole, "a header is not written again"
        if not (self.whole and self.sound and before):
            return
        number = max(before)
        ends = {n: self._sound_until(n, data) for n, data in before.items()}
        if any(ends[n] < len(before[n]) for n in before if n < number):
            return  # the end of a block was torn, and the next one was begun
        end, data = ends[number], before[number]
        older = [n for n in before if n < number]
        header = block_header(number - older[-1] - 1 if older else 0)
        expected = before | {number: data[:end] if end > FIRST_OFFSET else header}
        assert self.files() == expected, "a whole record was cut off, or a torn one is left"
        if FIRST_OFFSET <= len(data) > end:
            found = [path.read_bytes() for path in self.root.glob(f"torn_{number}_{end}*")]
            assert data[end:] in found, "what was cut off is not kept"
        complaints = [line for line in self.log.of("error") if "damage" in line]
        if self.rotten:
            complaints = [line for line in complaints if "in what was on disk" not in line]
        assert not complaints, complaints

    def _sound_until(self, number: int, data: bytes) -> int:
        """Return how far a block has nothing but records, as they were written."""
        end = FIRST_OFFSET
        while record := self.records.get(number * self.size + end):
            if data[end : end + len(record)] != record:
                break
            end += len(record)
        return end

    def check_snapshot(self) -> None:
        """Check that a start that reads everything finds the same heads and bridges."""
        if self.rotten or not (self.root / "heads").exists():
            return  # the store knows of damage since its start, and a full start does not
        copy = self.root.with_name("copy")
        shutil.copytree(self.root, copy, ignore=shutil.ignore_patterns("heads*", "torn*"))
        try:
            files = QuickFiles()
            store = Store(str(copy), world=world(), block_size=self.size, files=files)
            store.open()
            assert list(_heads(store)) == list(_heads(self.store)), "the snapshot knows others"
            assert store.reader.bridges == self.store.reader.bridges
            store.close()
        finally:
            shutil.rmtree(copy)

    def check_slave(self) -> None:
        """Check that the slave gets everything, and that its files are equal."""
        if self.slave is not None and self.random.random() < 0.3:
            self.note("the slave takes all")
            self.slave.follow(self.store)
            # A block that a power cut left without a whole header is not sent.
            files = {
                n: data for n, data in blocks(str(self.root)).items() if len(data) >= FIRST_OFFSET
            }
            assert blocks(self.slave.root) == files, "the slave's files are others"
            assert list(_heads(self.slave.store)) == list(_heads(self.store))

    def check_all(self) -> None:
        """Check at the end that verification finds nothing in undamaged blocks."""
        self.drop_slave()
        if self.holed or not self._sound():
            return
        self.disk.abandon()
        folder = ReadOnlyFolder(str(self.root), self.size)
        try:
            verification = Verification(folder, lambda _: None)
            findings = [str(finding) for finding in verification.findings()]
            assert not findings, findings
        finally:
            folder.close()

    def _sound(self) -> bool:
        return all(self._sound_until(n, data) == len(data) for n, data in self.files().items())


def _heads(store: Store) -> Iterator[object]:
    for kind, owner in QUEUES:
        yield store.head(kind, APPID, owner)
