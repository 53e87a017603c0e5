"""The event loop, threads, the clock and the log, as the rules see them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from gobelieve.metrics import Counters


class Cancellable(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Cancel the call. Raises an error if it was made already."""

    def active(self) -> bool:
        """Return True if the call is not made yet."""


class Time(Protocol):
    """The clock and its timers: Twisted's reactor, or `twisted.internet.task.Clock` in tests."""

    def seconds(self) -> float:
        """Return the seconds since 1970."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Cancellable:
        """Make a call after `delay` seconds."""


class Turn(Protocol):
    """The present turn of the event loop: one batch of events."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Make a call when all events of this turn are handled. Calls keep their order."""


InThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]
"""``in_thread(work, done)`` runs `work` in a thread, where it may block. Later `done` is called in
the event loop, with the exception of `work` or None."""


class Tasks(Protocol):
    """Runs coroutines in the event loop."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine now. An exception that it raises is logged."""


class Log(Protocol):
    """The log of the rules; `twisted.logger.Logger` has these methods."""

    def debug(self, format: str, **fields: object) -> None:
        """Log details for developers who search for an error."""

    def info(self, format: str, **fields: object) -> None:
        """Log something that the operator wants to know."""

    def warn(self, format: str, **fields: object) -> None:
        """Log something that the other side or the environment did wrong."""

    def error(self, format: str, **fields: object) -> None:
        """Log something that the operator must look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The parts of its process that most parts of a daemon need.

    A part that needs only one of them takes that one alone.
    """

    time: Time
    turn: Turn
    tasks: Tasks
    counters: Counters
    log: Log

    def logging_to(self, log: Log) -> Self:
        """Return the same world with another log, such as one that names a part of the daemon."""
        return replace(self, log=log)

    def running(self, tasks: Tasks) -> Self:
        """Return the same world with other tasks, such as those that outlive the sessions."""
        return replace(self, tasks=tasks)
