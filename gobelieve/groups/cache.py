"""Values of a slow store, kept in memory as long as they are used and can be trusted.

A value is loaded when somebody asks for it; who asks meanwhile waits for the same load. Changes
that are announced are applied to what is kept, and to what is being loaded: the store may have
been read before the change was in it. (A change sets something, so that applying one that the
store had already is harmless.)

While announcements are late nobody knows which values are still true. Then a value is good for
`STALE_SECONDS` after it was read, or after announcements became late, whichever is later; once
that is over it is read again. That a value does not exist is remembered for `MISSING_SECONDS`, so
that many who ask for it do not become many questions to the store.
"""

from collections.abc import Awaitable, Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.interfaces import Log, Tasks, Time
from gobelieve.metrics import Counters
from gobelieve.support.throttled_log import ThrottledLog

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

STALE_SECONDS = 10.0
"""How long a value may be served that may have changed."""

MISSING_SECONDS = 5.0
MAX_MISSING = 10_000
"""Of those that do not exist so many are remembered."""

SWEEP_SECONDS = 300.0
UNUSED_SWEEPS = 12
"""A value that nobody asked for during so many sweeps, an hour, is dropped."""

MAX_LOADS = 3
"""After so many loads the value is given out, though not kept, even if it changed meanwhile."""

Done = Callable[[V | None, BackendError | None], None]
Change = Callable[[V], V | None]
"""Changes a value, in place or by another one; None says that there is none any more."""


class _Entry(Generic[V]):
    __slots__ = ("since", "used", "value")

    def __init__(self, value: V, since: float, used: int) -> None:
        self.value = value
        self.since = since
        """When it was read: what was announced later is in it."""
        self.used = used
        """The number of sweeps when somebody asked for it last."""


class _Load(Generic[V]):
    __slots__ = ("again", "changes", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Done[V]] = []
        self.changes: list[Change[V]] = []
        self.again = False


class Cache(Generic[K, V]):
    """`what` names the values in counters and the log, as in ``groups``; `max_entries` are kept."""

    def __init__(
        self,
        load: Callable[[K], Awaitable[V | None]],
        what: str,
        *,
        time: Time,
        tasks: Tasks,
        counters: Counters,
        log: Log,
        max_entries: int | None = None,
    ) -> None:
        self._read = load
        self._what = what
        self._time = time
        self._tasks = tasks
        self._counters = counters
        self._throttled = ThrottledLog(log)
        self._max_entries = max_entries
        self._entries: dict[K, _Entry[V]] = {}
        self._missing: dict[K, float] = {}
        self._loads: dict[K, _Load[V]] = {}
        self._late_since: float | None = float("-inf")
        self._sweeps = 0
        self._closed = False

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._entries)

    def items(self) -> list[tuple[K, V]]:
        """What is kept, whether it is good or not."""
        return [(key, entry.value) for key, entry in self._entries.items()]

    @property
    def is_late(self) -> bool:
        """Whether announcements may be late."""
        return self._late_since is not None

    # --- asking

    def get(self, key: K) -> V | None:
        """The value if it is at hand and good."""
        entry = self._entries.get(key)
        if entry is None or (self._late_since is not None and self._is_stale(entry)):
            return None
        entry.used = self._sweeps
        return entry.value

    def ask(self, key: K, done: Done[V]) -> None:
        """Call `done(value, error)` once, now or later. Without an error None means: there is
        none."""
        value = self.get(key)
        if value is not None or self._is_missing(key):
            done(value, None)
        elif self._closed:
            done(None, self._stopped())
        elif key in self._loads:
            self._loads[key].waiting.append(done)
        else:
            load = self._loads[key] = _Load()
            load.waiting.append(done)
            self._tasks.start(self._load(key, load))

    def _is_stale(self, entry: _Entry[V]) -> bool:
        assert self._late_since is not None
        return self._time.seconds() - max(entry.since, self._late_since) >= STALE_SECONDS

    def _is_missing(self, key: K) -> bool:
        until = self._missing.get(key)
        return until is not None and self._time.seconds() < until

    # --- loading

    async def _load(self, key: K, load: _Load[V]) -> None:
        value: V | None = None
        error: BackendError | None = BackendError(f"{self._what}: {key} was not loaded")
        try:
            value = await self._load_until_true(key, load)
            error = None
            self._throttled.recovered("away", "{what} can be loaded again", what=self._what)
        except BackendError as why:
            error = why
            self._failed(why)
        finally:
            # Also after an error that nobody foresaw, which goes to whoever runs the task.
            if self._loads.get(key) is load:
                del self._loads[key]
            for done in load.waiting:
                done(value, error)

    async def _load_until_true(self, key: K, load: _Load[V]) -> V | None:
        value: V | None = None
        for _ in range(MAX_LOADS):
            load.again = False
            load.changes.clear()
            since = self._time.seconds()
            value = await self._read(key)
            if not load.again:
                for change in load.changes:
                    value = None if value is None else change(value)
                self._keep(key, value, since)
                if load.changes:
                    # Something happens to it: it is not to be taken for missing for long.
                    self._missing.pop(key, None)
                break
        return value

    def _keep(self, key: K, value: V | None, since: float) -> None:
        if self._closed:
            return
        if value is not None:
            self._counters.add(f"{self._what}_loaded")
            if self._max_entries is not None and len(self._entries) >= self._max_entries:
                # A tenth at once: taken one by one, the first of a dict is ever harder to find.
                for old in list(islice(self._entries, max(1, self._max_entries // 10))):
                    del self._entries[old]
            self._entries[key] = _Entry(value, since, self._sweeps)
            return
        self._counters.add(f"{self._what}_missing")
        self._entries.pop(key, None)
        if len(self._missing) >= MAX_MISSING:
            self._missing.clear()
        self._missing[key] = self._time.seconds() + MISSING_SECONDS

    def _failed(self, why: BackendError) -> None:
        self._counters.add(f"{self._what}_not_loaded")
        self._throttled.warn("away", "{what} cannot be loaded: {why}", what=self._what, why=why)

    # --- changes

    def change(self, key: K, change: Change[V]) -> None:
        """Apply this to the value where it is kept or being loaded."""
        self._missing.pop(key, None)
        load = self._loads.get(key)
        entry = self._entries.get(key)
        if load is not None:
            # A late announcement may be older than what is read now.
            load.again = load.again or self._late_since is not None
            load.changes.append(change)
        if entry is None:
            return
        if self._late_since is not None and entry.since >= self._late_since:
            del self._entries[key]
            return
        value = change(entry.value)
        if value is None:
            del self._entries[key]
        else:
            entry.value = value

    def forget(self, key: K) -> None:
        """The value is to be loaded when it is asked for next."""
        self._missing.pop(key, None)
        self._entries.pop(key, None)
        load = self._loads.get(key)
        if load is not None:
            load.again = True

    def forget_all(self) -> None:
        """Nothing that is kept is true for certain."""
        self._missing.clear()
        self._entries.clear()
        for load in self._loads.values():
            load.again = True

    def late(self) -> None:
        """From now on announcements may be late."""
        if self._late_since is None:
            self._late_since = self._time.seconds()

    def in_time(self) -> None:
        """All announcements up to now were seen, or all values are forgotten."""
        self._late_since = None

    # --- its life

    def sweep(self) -> None:
        """Drop what nobody asked for. To be called every `SWEEP_SECONDS`."""
        self._sweeps += 1
        oldest = self._sweeps - UNUSED_SWEEPS
        for key in [key for key, entry in self._entries.items() if entry.used < oldest]:
            del self._entries[key]
        now = self._time.seconds()
        self._missing = {key: until for key, until in self._missing.items() if now < until}

    def close(self) -> None:
        """Whoever waits, and whoever asks later, gets a `BackendError`."""
        self._closed = True
        loads, self._loads = self._loads, {}
        for load in loads.values():
            waiting, load.waiting = load.waiting, []
            for done in waiting:
                done(None, self._stopped())

    def _stopped(self) -> BackendError:
        return BackendError(f"{self._what} are not in use: the service is stopped")
