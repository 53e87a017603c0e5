"""Events that wait for the program, and calls of the program that wait for events."""

from collections import deque
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gobelieve.client.events import Event

E = TypeVar("E", bound=Event)

MAX_EVENTS = 1000
"""Events that are kept until the program asks for them. The oldest are forgotten."""


class EventQueue:
    """Keeps the newest events until the program asks for them. It gives each event once."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._callers: list[tuple[type[Any], Deferred[Any]]] = []

    def put(self, event: Event) -> None:
        """Give an event to all calls that wait for its kind. Without such a call, keep it."""
        given = [caller for kind, caller in self._callers if isinstance(event, kind)]
        self._callers = [entry for entry in self._callers if entry[1] not in given]
        if not given:
            self._events.append(event)
        for caller in given:
            caller.callback(event)

    def take(self, kind: type[E]) -> Deferred[E]:
        """Return the oldest event of this kind that is kept, otherwise the next one."""
        for event in self._events:
            if isinstance(event, kind):
                self._events.remove(event)
                found: Deferred[E] = Deferred()
                found.callback(event)
                return found
        return self.next(kind)

    def next(self, kind: type[E]) -> Deferred[E]:
        """Return the next event of this kind that happens after this call."""
        caller: Deferred[E] = Deferred(self._forget)
        self._callers.append((kind, caller))
        return caller

    def take_callers(self) -> list[Deferred[Any]]:
        """Return the calls that wait for an event. The caller must end them."""
        callers, self._callers = self._callers, []
        return [caller for _, caller in callers]

    def _forget(self, cancelled: Deferred[Any]) -> None:
        self._callers = [entry for entry in self._callers if entry[1] is not cancelled]
