"""Looking a whole directory through: every record of every block, every queue's chain.

Memory is what the heads of the queues take (`index`), whatever the blocks are long.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gobelieve.storage.files.read_only import Progress, ReadOnlyFolder
from gobelieve.storage.format.records import FILE_HEADER, FIRST_OFFSET, QUEUE_KINDS
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.tools.chains import NO_MESSAGES, Chains
from gobelieve.storage.tools.walk import Damage, walk


class Finding(NamedTuple):
    """Something that is not as it should be."""

    path: str
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.offset}: {self.what}"


class Torn(NamedTuple):
    """The end of a block that is no whole record, and behind which nothing whole comes."""

    number: int
    offset: int
    length: int


class Verification:
    """Looks at one directory, once. The figures are right when `findings` has come to its end."""

    def __init__(self, folder: ReadOnlyFolder, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._index = Index()
        self._chains = Chains(folder, self._index)
        self._fast_scan = FastScan(self._index)
        self._done = 0
        self.kinds = self._fast_scan.kinds
        """How many sound records there are of each cmd."""
        self.found = 0
        """How many findings there were."""
        self.torn: list[Torn] = []
        """The blocks that end badly."""
        self.in_flux = 0
        """So many bytes of the newest block are a write that is under way."""

    @property
    def queues(self) -> int:
        """How many queues have entries."""
        return len(self._index)

    @property
    def messages(self) -> int:
        """How many records are messages."""
        return sum(count for cmd, count in enumerate(self.kinds) if cmd not in NO_MESSAGES)

    def findings(self) -> Iterator[Finding]:
        """All findings, in the order of the files."""
        expected = self._folder.numbers[0]
        for number in self._folder.numbers:
            if expected < number:
                there = (
                    "the block is" if expected == number - 1 else f"blocks up to {number - 1} are"
                )
                yield self._finding(expected, 0, f"{there} missing")
            expected = number + 1
            yield from self._frame(number)
            yield from self._records(number)

    def _finding(self, number: int, offset: int, what: str) -> Finding:
        self.found += 1
        return Finding(self._folder.path(number), offset, what)

    def _frame(self, number: int) -> Iterator[Finding]:
        """What is wrong with a block as a file."""
        length = self._folder.lengths[number]
        if length < FIRST_OFFSET:
            if self._folder.in_use and number == self._folder.numbers[-1]:
                self.in_flux = length
                return
            self.torn.append(Torn(number, 0, length))
            yield self._finding(number, 0, f"torn end, {length} bytes: too short for a header")
            return
        if self._folder.reader(number)(FIRST_OFFSET, 0) != FILE_HEADER:
            yield self._finding(number, 0, "the header is not that of a block")
        if length > self._folder.size:
            behind = length - self._folder.size
            what = f"{behind} bytes behind the end that a block can have"
            yield self._finding(number, self._folder.size, what)

    def _records(self, number: int) -> Iterator[Finding]:
        """What is wrong with the records of a block."""
        base, end = number * self._folder.size, self._folder.end(number)
        reader, done = self._folder.reader(number), self._done
        fast_scan, kinds, enter = self._fast_scan, self.kinds, self._chains.enter

        def read(count: int, offset: int) -> bytes:
            # Where there is damage some is read twice.
            if done + offset > self._done:
                self._done = done + offset
                self._progress(self._done)
            return reader(count, offset)

        for found in walk(read, FIRST_OFFSET, end, fast_scan.within(base)):
            if isinstance(found, Damage):
                yield from self._damage(number, found)
                continue
            offset, cmd, _, flag, body = found
            kinds[cmd] += 1
            if cmd not in QUEUE_KINDS:
                fast_scan.message = base + offset
            elif wrong := enter(base + offset, cmd, flag, body, fast_scan.message):
                yield self._finding(number, offset, wrong)
        self._done = done + end

    def _damage(self, number: int, damage: Damage) -> Iterator[Finding]:
        (start, end, torn), what = damage
        length = self._folder.lengths[number]
        # As the daemon sees it at its start: what fills a block to its limit was not torn.
        if torn and length == end:
            if self._folder.in_use and number == self._folder.numbers[-1]:
                self.in_flux = length - start
                return
            self.torn.append(Torn(number, start, length - start))
            what = f"torn end, {length - start} bytes: {what}"
        else:
            what = f"{what}; {end - start} bytes skipped"
        yield self._finding(number, start, what)
