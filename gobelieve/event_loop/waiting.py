"""Waiting for a call."""

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from gobelieve.interfaces import Time

T = TypeVar("T")


@overload
def called_back(begin: Callable[[Callable[[], None]], object]) -> Deferred[None]: ...


@overload
def called_back(begin: Callable[[Callable[[T], None]], object]) -> Deferred[T]: ...


def called_back(begin: Callable[[Callable[..., None]], object]) -> Deferred[Any]:
    """Call `begin` with a callback; return a Deferred of what the callback is called with.

    A second call, and a call after the Deferred was cancelled, are without effect.
    """
    result: Deferred[Any] = Deferred()

    def done(value: Any = None) -> None:
        if not result.called:
            result.callback(value)

    begin(done)
    return result


async def called_within(
    seconds: float, time: Time, begin: Callable[[Callable[[], None]], object]
) -> bool:
    """Call `begin` with a callback, and wait for its call; return whether it came in time."""
    try:
        await called_back(begin).addTimeout(seconds, cast(IReactorTime, time))
    except TimeoutError:
        return False
    return True
