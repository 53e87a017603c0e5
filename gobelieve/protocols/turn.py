"""The end of a turn: when everything that this batch of events caused leaves at once.

The reactor takes a batch of events from the kernel, calls everybody concerned, and then makes the
calls that are due. A call asked for by ``callLater(0)`` meanwhile is made right there. So one such
call a turn, shared by all, runs behind every event of the batch, and costs 1.2 us a turn and
nothing a message.
"""

from collections.abc import Callable

from gobelieve.interfaces import Time


class ReactorTurn:
    """`gobelieve.interfaces.Turn` on a reactor."""

    __slots__ = ("_calls", "_time")

    def __init__(self, time: Time) -> None:
        self._time = time
        self._calls: list[Callable[[], None]] = []

    def at_end(self, call: Callable[[], None]) -> None:
        """Make a call when the events of this turn are handled."""
        if not self._calls:
            self._time.callLater(0, self._run)
        self._calls.append(call)

    def _run(self) -> None:
        # What the calls ask for belongs to the same turn: asks are sent before the loop sleeps.
        calls = self._calls
        done = 0
        try:
            while done < len(calls):
                done += 1
                calls[done - 1]()
        finally:
            # Should a call raise (a bug, logged by the reactor), the others are still made.
            self._calls = calls[done:]
            if self._calls:
                self._time.callLater(0, self._run)
