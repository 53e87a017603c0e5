"""Work of several, one piece each in turn, and no turn of the event loop for long.

A piece may take milliseconds, and somebody may ask for hundreds at once. Whoever asks while nothing
waits is served at once. What is left when a turn's time is up goes on in the next one, so that the
loop looks after all sockets in between.
"""

from collections import deque
from typing import Protocol

from gobelieve.interfaces import Time, Turn

BUDGET = 0.01
"""Seconds of a turn that the work may take; the last piece may take longer."""


class Worker(Protocol):
    """Somebody who has work."""

    def work(self) -> bool:
        """Do one piece; whether there is more."""


class RoundRobin:
    """Who waits for work to be done, in order."""

    def __init__(self, turn: Turn, time: Time, budget: float = BUDGET) -> None:
        self._turn = turn
        self._time = time
        self._budget = budget
        self._waiting: deque[Worker] = deque()
        self._until: float | None = None
        self._busy = False
        """Work is under way, or goes on in the next turn."""

    def join(self, worker: Worker) -> None:
        """Have its pieces done until it has no more. It must not be waiting already."""
        self._waiting.append(worker)
        if not self._busy:
            self._go_on()

    def _go_on(self) -> None:
        self._busy = True
        waiting, seconds = self._waiting, self._time.seconds
        if self._until is None:
            self._until = seconds() + self._budget
            self._turn.at_end(self._turn_ended)
        try:
            while waiting and seconds() < self._until:
                worker = waiting.popleft()
                if worker.work():
                    waiting.append(worker)
        finally:
            # Should a piece raise (a bug), the others are done all the same.
            self._busy = bool(waiting)
            if waiting:
                self._time.callLater(0, self._go_on)

    def _turn_ended(self) -> None:
        self._until = None
