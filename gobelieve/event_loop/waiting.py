"""Waiting for a call."""

from collections.abc import Callable
from typing import TypeVarTuple, cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from gobelieve.interfaces import Time

Arguments = TypeVarTuple("Arguments")
Results = TypeVarTuple("Results")


def called_back(
    begin: Callable[[*Arguments, Callable[[*Results], None]], object], *arguments: *Arguments
) -> Deferred[tuple[*Results]]:
    """Call `begin` with the arguments and a callback; return a Deferred of what the callback gets.

    A second call, and a call after the Deferred was cancelled, are without effect.
    """
    called: Deferred[tuple[*Results]] = Deferred()

    def callback(*results: *Results) -> None:
        if not called.called:
            called.callback(results)

    begin(*arguments, callback)
    return called


async def called_within(
    seconds: float,
    time: Time,
    begin: Callable[[*Arguments, Callable[[], None]], object],
    *arguments: *Arguments,
) -> bool:
    """Call `begin` with the arguments and a callback; return whether the callback came in time."""
    try:
        await called_back(begin, *arguments).addTimeout(seconds, cast(IReactorTime, time))
    except TimeoutError:
        return False
    return True
