"""The event loop, threads, the clock and the log, as the cores see them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from gobelieve.metrics import Tally


class Cancellable(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not make it. An error if it was made already."""

    def active(self) -> bool:
        """Whether it is still to be made."""


class Time(Protocol):
    """The clock and its timers: Twisted's reactor, or `twisted.internet.task.Clock` in tests."""

    def seconds(self) -> float:
        """Seconds since the epoch."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Cancellable:
        """Make a call after so many seconds."""


class Turn(Protocol):
    """The present turn of the event loop: one batch of events."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Make a call once all events of this turn are handled; in the order they were asked."""


InThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]
"""``in_thread(work, done)`` runs `work` where it may block; `done` is called in the event loop,
later, with what it raised or None."""


class Tasks(Protocol):
    """Runs coroutines."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin now, go on whenever what it waits for is there. An exception is logged."""


class Log(Protocol):
    """Where the cores say what happened: `twisted.logger.Logger` has these."""

    def debug(self, format: str, **fields: object) -> None:
        """For whoever looks for something."""

    def info(self, format: str, **fields: object) -> None:
        """What an operator wants to know."""

    def warn(self, format: str, **fields: object) -> None:
        """What the world did wrong."""

    def error(self, format: str, **fields: object) -> None:
        """What an operator has to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The parts of its process that most parts of a daemon need.

    A part that needs only one of them takes that one alone.
    """

    time: Time
    turn: Turn
    tasks: Tasks
    counters: Tally
    log: Log

    def logging_to(self, log: Log) -> Self:
        """Return the same world with another log, such as one that names a part of the daemon."""
        return replace(self, log=log)

    def running(self, tasks: Tasks) -> Self:
        """Return the same world with other tasks, such as those that outlive the sessions."""
        return replace(self, tasks=tasks)
