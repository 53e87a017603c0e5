"""Events that wait for somebody, and those who wait for events."""

from collections import deque
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from gobelieve.client.events import Event

E = TypeVar("E", bound=Event)

KEPT = 1000
"""Events that nobody asked for; older ones are forgotten."""


class EventQueue:
    """Keeps the last events until they are asked for, each for one asker."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._watching: list[tuple[type[Any], Deferred[Any]]] = []

    def put(self, event: Event) -> None:
        """Give the event to those who wait for its kind, or keep it."""
        told = [one for kind, one in self._watching if isinstance(event, kind)]
        self._watching = [w for w in self._watching if w[1] not in told]
        if not told:
            self._events.append(event)
        for one in told:
            one.callback(event)

    def take(self, kind: type[E]) -> Deferred[E]:
        """The oldest event of this kind that is kept, else the next to come."""
        for event in self._events:
            if isinstance(event, kind):
                self._events.remove(event)
                found: Deferred[E] = Deferred()
                found.callback(event)
                return found
        return self.next(kind)

    def next(self, kind: type[E]) -> Deferred[E]:
        """The next event of this kind to come."""
        waiting: Deferred[E] = Deferred(self._forget)
        self._watching.append((kind, waiting))
        return waiting

    def waiting(self) -> list[Deferred[Any]]:
        """Those who wait; they are the caller's now."""
        watching, self._watching = self._watching, []
        return [one for _, one in watching]

    def _forget(self, cancelled: Deferred[Any]) -> None:
        self._watching = [w for w in self._watching if w[1] is not cancelled]
