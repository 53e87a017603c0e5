"""Verifying a whole directory: every record of every block, and every queue's chain.

The memory it takes is that of the heads of the queues (`index`), however long the blocks are.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gobelieve.storage.files.missing import missing_blocks
from gobelieve.storage.files.read_only import Progress, ReadOnlyFolder
from gobelieve.storage.format.records import FIRST_OFFSET, QUEUE_KINDS, skipped_of
from gobelieve.storage.index.fast_scan import FastScan
from gobelieve.storage.index.heads import Index
from gobelieve.storage.tools.chains import NO_MESSAGES, Chains
from gobelieve.storage.tools.walk import Damage, walk


class Finding(NamedTuple):
    """A fault, with its place in a file."""

    path: str
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.offset}: {self.what}"


class Torn(NamedTuple):
    """The end of a block from the last complete record on; it is not a complete record."""

    number: int
    offset: int
    length: int


class Verification:
    """Verifies one directory, once. The figures are right when `findings` has ended."""

    def __init__(self, folder: ReadOnlyFolder, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._index = Index()
        self._chains = Chains(folder, self._index)
        self._fast_scan = FastScan(self._index)
        self._done = 0
        self.kinds = self._fast_scan.kinds
        """The number of sound records, by cmd."""
        self.found = 0
        """The number of findings."""
        self.skipped: list[range] = []
        """The numbers of blocks that were skipped on purpose, see `jump`. They are no findings."""
        self.torn: list[Torn] = []
        """The torn ends of blocks."""
        self.in_flux = 0
        """The bytes at the end of the newest block that belong to an unfinished write."""

    @property
    def queues(self) -> int:
        """Return the number of queues that have entries."""
        return len(self._index)

    @property
    def messages(self) -> int:
        """Return the number of messages."""
        return sum(count for cmd, count in enumerate(self.kinds) if cmd not in NO_MESSAGES)

    def findings(self) -> Iterator[Finding]:
        """Yield all findings, in the order of the files."""
        missing = {gap.stop: gap for gap in missing_blocks(self._folder.numbers, self._header)}
        for number in self._folder.numbers:
            skipped = skipped_of(self._header(number)) or 0
            if skipped:
                self.skipped.append(range(number - skipped, number))
            if gap := missing.get(number - skipped):
                there = "the block is" if len(gap) == 1 else f"blocks up to {gap[-1]} are"
                yield self._finding(gap.start, 0, f"{there} missing")
            yield from self._frame(number)
            yield from self._records(number)

    def _header(self, number: int) -> bytes:
        return self._folder.reader(number)(FIRST_OFFSET, 0)

    def _finding(self, number: int, offset: int, what: str) -> Finding:
        self.found += 1
        return Finding(self._folder.path(number), offset, what)

    def _frame(self, number: int) -> Iterator[Finding]:
        """Yield the findings about a block's header and length."""
        length = self._folder.lengths[number]
        if length < FIRST_OFFSET:
            if self._folder.in_use and number == self._folder.numbers[-1]:
                self.in_flux = length
                return
            self.torn.append(Torn(number, 0, length))
            yield self._finding(number, 0, f"torn end, {length} bytes: too short for a header")
            return
        if skipped_of(self._header(number)) is None:
            yield self._finding(number, 0, "the header is not that of a block")
        if length > self._folder.size:
            behind = length - self._folder.size
            what = f"{behind} bytes behind the end that a block can have"
            yield self._finding(number, self._folder.size, what)

    def _records(self, number: int) -> Iterator[Finding]:
        """Yield the findings about the records of a block."""
        base, end = number * self._folder.size, self._folder.end(number)
        reader, done = self._folder.reader(number), self._done
        fast_scan, kinds, enter = self._fast_scan, self.kinds, self._chains.enter

        def read(count: int, offset: int) -> bytes:
            # Near damage some bytes are read twice.
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
        # As at the start of the daemon, a block of the largest length is not torn.
        if torn and length == end:
            if self._folder.in_use and number == self._folder.numbers[-1]:
                self.in_flux = length - start
                return
            self.torn.append(Torn(number, start, length - start))
            what = f"torn end, {length - start} bytes: {what}"
        else:
            what = f"{what}; {end - start} bytes skipped"
        yield self._finding(number, start, what)
