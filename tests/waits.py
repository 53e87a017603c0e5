"""Waiting in tests with real processes and sockets.

Such a test waits for an event, and fails when a deadline has passed. `until` is for facts without
an event, such as a file descriptor or the log of another process: it looks again and again.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from twisted.internet import reactor as _reactor  # noqa: TID253
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

T = TypeVar("T")

reactor: Any = _reactor
DEADLINE = 120.0
"""Seconds until a test that waits fails. A busy machine needs far less."""


class ProcessTestCase(TestCase):
    """A test with real processes."""

    timeout = 5 * DEADLINE
    """Seconds until trial ends a test. The deadlines are shorter, so that they say what failed."""


def for_this_machine(seconds: float) -> float:
    """Return a limit in seconds for this machine, from the limit for a machine without other work.

    The limit grows with the number of programs per core. So a test of speed does not fail only
    because the machine has other work.
    """
    with open("/proc/loadavg") as file:
        average, _, _, programs, _ = file.read().split()
    running = max(float(average), int(programs.partition("/")[0]))
    return seconds * max(1.0, 2 * running / (os.cpu_count() or 1))


async def within(seconds: float, work: Awaitable[T], what: str) -> T:
    """Return the result of `work`. After the limit, fail with an error that names `what`."""

    async def run() -> T:
        return await work

    begun = reactor.seconds()
    doing: Deferred[T] = Deferred.fromCoroutine(run())
    try:
        return await doing.addTimeout(seconds, reactor)
    except Exception as why:
        if reactor.seconds() - begun >= seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}") from None
        raise AssertionError(f"{what}: {type(why).__name__}: {why}") from why


async def until(is_true: Callable[[], bool], what: str) -> None:
    """Look again and again until it is true. After the deadline, fail with an error."""
    end = reactor.seconds() + DEADLINE
    while not is_true():
        if reactor.seconds() > end:
            raise AssertionError(f"not within {DEADLINE:g} s: {what}")
        await deferLater(reactor, 0.01)


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """Run all works at the same time and return their results."""

    async def run(work: Awaitable[T]) -> T:
        return await work

    doing = [Deferred.fromCoroutine(run(work)) for work in works]
    return await gatherResults(doing, consumeErrors=True)
