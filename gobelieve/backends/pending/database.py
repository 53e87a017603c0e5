"""The messages of ordinary groups that not all members have yet, in a SQLite file of their own.

What was asked for meanwhile is written in one transaction, in a thread, one at a time: a busy
gateway syncs its disk once for many messages. Which batches of a message are done is written
without a sync: a killed process loses none of it, a power cut may, and whoever reads must live with
that.

Groups speak often and change seldom, so a list of members is kept once, under its hash.
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gobelieve.errors import BackendError
from gobelieve.interfaces import InThread, Log, PendingMessage

FILE_NAME = "pending.db"
"""What the file is called in the folder ``pending_root``."""
VERSION = 2

_FIRST = """
CREATE TABLE members (hash BLOB PRIMARY KEY, uids BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    appid INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    device INTEGER NOT NULL,
    cmd INTEGER NOT NULL,
    body BLOB NOT NULL,
    members BLOB NOT NULL,
    known BLOB NOT NULL
);
CREATE TABLE part (
    number INTEGER NOT NULL,
    part INTEGER NOT NULL,
    PRIMARY KEY (number, part)
) WITHOUT ROWID;
"""
_IMPORTS = "CREATE TABLE imported (digest BLOB PRIMARY KEY) WITHOUT ROWID;"
_MIGRATIONS = (_FIRST, _IMPORTS)
"""The statements that make version n + 1 of version n."""
_FORGET_MEMBERS = "DELETE FROM members WHERE hash NOT IN (SELECT members FROM message)"
_TIDY_AFTER = 100_000
"""Lists of members that nobody needs are thrown away at the start, and after so many messages."""

Kept = Callable[[int], None]


class Left(NamedTuple):
    """A message that was not finished, as it is found at the start."""

    number: int
    message: PendingMessage
    done: frozenset[int]
    """The batches of it that are."""


class _Round(NamedTuple):
    """What one transaction writes."""

    keeps: list[tuple[int, PendingMessage, Kept]]
    batches: list[tuple[int, int]]
    finished: list[tuple[int]]

    def __bool__(self) -> bool:
        return bool(self.keeps or self.batches or self.finished)


class PendingDatabase:
    """`gobelieve.interfaces.PendingMessages`. Call `open` first, and `close` at the end."""

    def __init__(self, root: str | Path, in_thread: InThread, log: Log) -> None:
        self.path = Path(root) / FILE_NAME
        self._in_thread = in_thread
        self._log = log
        self._db: sqlite3.Connection | None = None
        self._last = 0
        self._next = _Round([], [], [])
        self._writing = False
        self._failing = False
        self._member_hashes: dict[tuple[int, ...], bytes] = {}
        self._since_tidy = 0
        self._closed: Callable[[], None] | None = None

    def open(self) -> list[Left]:
        """Make or open the file; what was left, in the order in which it was kept.

        `BackendError` if that cannot be, or if another process uses it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._connect()
            return list(self._left(self._db))
        except (sqlite3.Error, OSError) as why:
            if "locked" in str(why):
                raise BackendError(f"{self.path} is in use by another gateway") from None
            raise BackendError(f"{self.path}: {why}") from None

    def _left(self, db: sqlite3.Connection) -> Iterable[Left]:
        lists = dict(db.execute("SELECT hash, uids FROM members"))
        batches: dict[int, set[int]] = {}
        for number, batch in db.execute("SELECT number, part FROM part"):
            batches.setdefault(number, set()).add(batch)
        members: dict[bytes, tuple[int, ...]] = {}
        for number, *plain, hash_, after_ids in db.execute("SELECT * FROM message ORDER BY number"):
            try:
                if hash_ not in members:
                    members[hash_] = _numbers(lists[hash_])
                message = PendingMessage._make([*plain, members[hash_], _numbers(after_ids)])
            except (KeyError, ValueError):
                self._log.error(
                    "{path}: message {number} makes no sense and stays there",
                    path=str(self.path),
                    number=number,
                )
            else:
                yield Left(number, message, frozenset(batches.get(number, ())))

    def imports(self) -> set[bytes]:
        """What `take_over` was ever given, by its digest."""
        assert self._db is not None
        return {digest for (digest,) in self._db.execute("SELECT digest FROM imported")}

    def take_over(self, messages: Sequence[PendingMessage], digests: Iterable[bytes]) -> list[Left]:
        """Keep messages that waited elsewhere: all, with where they are from, or none.

        They are on disk when this returns; it blocks. `BackendError` if that cannot be. Only
        between `open` and the first message.
        """
        assert self._db is not None and not self._writing
        left = []
        for message in messages:
            self._last += 1
            left.append(Left(self._last, message, frozenset()))
        keeps: list[tuple[int, PendingMessage, Kept]]
        keeps = [(one.number, one.message, _nobody_waits) for one in left]
        try:
            self._write(_Round(keeps, [], []), digests)
        except sqlite3.Error as why:
            raise BackendError(f"{self.path}: {why}") from None
        return left

    def close(self, closed: Callable[[], None]) -> None:
        """Write what waits, then close the file and call `closed`."""
        if self._db is None:
            closed()
            return
        self._closed = closed
        self._begin()

    def keep(self, message: PendingMessage, kept: Kept) -> None:
        """See `gobelieve.interfaces.PendingMessages`."""
        if self._db is None or self._closed is not None:
            kept(0)
            return
        self._last += 1
        self._next.keeps.append((self._last, message, kept))
        self._begin()

    def batch_done(self, number: int, batch: int) -> None:
        """See `gobelieve.interfaces.PendingMessages`."""
        self._next.batches.append((number, batch))
        self._begin()

    def finished(self, number: int) -> None:
        """See `gobelieve.interfaces.PendingMessages`."""
        self._next.finished.append((number,))
        self._begin()

    def _connect(self) -> sqlite3.Connection:
        # Used by one thread at a time, but not always by the same.
        db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise BackendError(f"{self.path} was written by a later version")
            if version < VERSION:
                made = " ".join(_MIGRATIONS[version:])
                db.executescript(f"BEGIN; {made} PRAGMA user_version = {VERSION}; COMMIT")
            db.execute(_FORGET_MEMBERS)
            (self._last,) = db.execute("SELECT coalesce(max(number), 0) FROM message").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    # --- writing

    def _begin(self) -> None:
        if self._writing or self._db is None:
            return
        round_, self._next = self._next, _Round([], [], [])
        if round_:
            self._writing = True
            self._in_thread(lambda: self._write(round_), lambda why: self._written(round_, why))
        elif self._closed is not None:
            self._db.close()
            self._db = None
            self._closed()

    def _write(self, round_: _Round, digests: Iterable[bytes] = ()) -> None:
        assert self._db is not None
        # Only what somebody waits for has to be on the disk itself.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if round_.keeps else 'NORMAL'}")
        with closing(self._db.cursor()) as db:
            db.execute("BEGIN")
            try:
                self._write_all(db, round_)
                db.executemany(
                    "INSERT OR IGNORE INTO imported VALUES (?)", [(one,) for one in digests]
                )
                db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _write_all(self, db: sqlite3.Cursor, round_: _Round) -> None:
        for number, message, _ in round_.keeps:
            *plain, members, after_ids = message
            hash_ = self._hash_of(members, db)
            db.execute(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, *plain, hash_, array("q", after_ids).tobytes()),
            )
        db.executemany("INSERT OR IGNORE INTO part VALUES (?, ?)", round_.batches)
        db.executemany("DELETE FROM message WHERE number = ?", round_.finished)
        db.executemany("DELETE FROM part WHERE number = ?", round_.finished)
        self._since_tidy += len(round_.finished)
        if self._since_tidy >= _TIDY_AFTER:
            self._since_tidy = 0
            db.execute(_FORGET_MEMBERS)
            self._member_hashes.clear()

    def _hash_of(self, members: tuple[int, ...], db: sqlite3.Cursor) -> bytes:
        hash_ = self._member_hashes.get(members)
        if hash_ is None:
            uids = array("q", members).tobytes()
            hash_ = blake2b(uids, digest_size=16).digest()
            db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (hash_, uids))
            if len(self._member_hashes) >= 100:
                self._member_hashes.clear()
            self._member_hashes[members] = hash_
        return hash_

    def _written(self, round_: _Round, why: BaseException | None) -> None:
        self._writing = False
        if why is not None:
            self._failed(round_, why)
        elif self._failing:
            self._failing = False
            self._log.info("{path} can be written again", path=str(self.path))
        for number, _, kept in round_.keeps:
            kept(0 if why is not None else number)
        if why is None:
            self._begin()
        elif self._closed is not None:
            self._give_up()
        # Else the next call tries again: a full disk is not to be tried without a pause.

    def _failed(self, round_: _Round, why: BaseException) -> None:
        # Whoever sent the messages is told; what is done is written with the next round.
        self._member_hashes.clear()
        self._next.batches[:0] = round_.batches
        self._next.finished[:0] = round_.finished
        if not self._failing:
            self._failing = True
            self._log.error("{path} cannot be written: {why}", path=str(self.path), why=why)

    def _give_up(self) -> None:
        """The end has come and the disk is still full: what is done is looked for next time."""
        self._next = _Round([], [], [])
        self._begin()


def _nobody_waits(number: int) -> None:
    """For who is told by other means."""


def _numbers(packed: bytes) -> tuple[int, ...]:
    numbers: Sequence[int] = array("q", packed)
    return tuple(numbers)
