"""A process without an event loop, for unit tests: its clock, turn, tasks, threads and log."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gobelieve.interfaces import Log, Tasks, Time, Turn, World
from gobelieve.metrics import Counters


class Lines:
    """A log that keeps what it was told, as an operator would read it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def _add(self, level: str, format: str, fields: dict[str, object]) -> None:
        self.lines.append((level, format.format(**fields)))

    def debug(self, format: str, **fields: object) -> None:
        self._add("debug", format, fields)

    def info(self, format: str, **fields: object) -> None:
        self._add("info", format, fields)

    def warn(self, format: str, **fields: object) -> None:
        self._add("warn", format, fields)

    def error(self, format: str, **fields: object) -> None:
        self._add("error", format, fields)

    def of(self, *levels: str) -> list[str]:
        """The lines of these levels."""
        return [line for level, line in self.lines if level in levels]


class FakeTurn:
    """A turn that ends when the test says so."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def at_end(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def end(self) -> None:
        """The turn ends."""
        while self._calls:
            self._calls.pop(0)()


class FakeThread:
    """`InThread` that works when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = []
        self.worked = 0

    def __call__(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        self.waiting.append((work, done))

    def run(self) -> None:
        """Do the one piece of work that waits."""
        (work, done), *rest = self.waiting
        assert not rest, "one sync at a time"
        self.waiting = []
        self.worked += 1
        try:
            work()
        except OSError as why:
            done(why)
        else:
            done(None)


class FakeTasks:
    """Runs coroutines at once; an exception of one fails the test."""

    def __init__(self) -> None:
        self.failures: list[Any] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self.failures.append)


def world(
    *,
    time: Time | None = None,
    turn: Turn | None = None,
    tasks: Tasks | None = None,
    counters: Counters | None = None,
    log: Log | None = None,
) -> World:
    """Return a world of fakes, but for the parts that are given."""
    return World(
        time=Clock() if time is None else time,
        turn=FakeTurn() if turn is None else turn,
        tasks=FakeTasks() if tasks is None else tasks,
        counters=Counters() if counters is None else counters,
        log=Lines() if log is None else log,
    )
