"""Long work of several workers: each does one piece in turn, within a time limit per turn.

A piece may take milliseconds, and a worker may have hundreds of them. While nothing waits, a worker
is served at once. When the time of a turn of the event loop is over, the work continues in the next
turn. So the loop handles all sockets meanwhile.
"""

from collections import deque
from typing import Protocol

from gobelieve.interfaces import Time, Turn

BUDGET = 0.01
"""Seconds of one turn that the work may take. The last piece may exceed them."""


class Worker(Protocol):
    """An object that has work, in pieces."""

    def work(self) -> bool:
        """Do one piece. Return True if there are more."""


class RoundRobin:
    """The workers that have work, in the order in which they joined."""

    def __init__(self, turn: Turn, time: Time, budget: float = BUDGET) -> None:
        self._turn = turn
        self._time = time
        self._budget = budget
        self._waiting: deque[Worker] = deque()
        self._until: float | None = None
        self._busy = False
        """True while work is done, or continues in the next turn."""

    def join(self, worker: Worker) -> None:
        """Do the pieces of a worker until it has no more. It must not have joined already."""
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
            # If a piece raises an exception (a bug), the other workers still continue.
            self._busy = bool(waiting)
            if waiting:
                self._time.callLater(0, self._go_on)

    def _turn_ended(self) -> None:
        self._until = None
