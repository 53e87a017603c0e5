"""Waiting until a router has put into effect what was sent to it.

A gateway sends MARK after what it sent, and the router answers each MARK, in order. However many
clients wait, there is one MARK per turn and one timer per link. Nobody waits longer than
`MARK_TIMEOUT`. When a router leaves a MARK unanswered (the Go server's never answers one), nobody
waits for it any more until it answers.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.interfaces import Cancellable, World

MARK_TIMEOUT = 1.0
"""The longest time that anybody waits for an answer, in seconds."""

Callback = Callable[[], None]


class _Mark(NamedTuple):
    """A MARK without an answer."""

    sent_at: float
    waiting: list[Callback]


class Confirmations:
    """The unanswered MARKs of one link, over one connection after another.

    `due` is called at the end of a turn in which somebody began to wait. It calls `sent` when it
    has sent a MARK, at once or later. `unanswered` is called when an answer is overdue.
    """

    __slots__ = (
        "_due",
        "_marks",
        "_time",
        "_timer",
        "_turn",
        "_unanswered",
        "_waiting",
        "_waiting_since",
        "is_needed",
        "is_prompt",
    )

    def __init__(self, world: World, *, due: Callback, unanswered: Callback) -> None:
        self._turn = world.turn
        self._time = world.time
        self._due = due
        self._unanswered = unanswered
        self._waiting: list[Callback] = []
        """Callbacks for the next MARK."""
        self._waiting_since = 0.0
        self._marks: deque[_Mark] = deque()
        self._timer: Cancellable | None = None
        self.is_needed = False
        """True if something was sent after the last MARK. The owner sets it."""
        self.is_prompt = True
        """False from an overdue answer until the next answer. Nobody waits meanwhile."""

    def wait(self, known: Callback) -> None:
        """Call `known` when everything sent so far is in effect, or the answer is overdue."""
        if not self.is_prompt:
            known()
        elif self.is_needed:
            if not self._waiting:
                self._waiting_since = self._time.seconds()
                self._turn.at_end(self._request_mark)
                self._start_timer()
            self._waiting.append(known)
        elif self._marks:
            self._marks[-1].waiting.append(known)
        else:
            known()

    def sent(self, known: Callback | None = None) -> None:
        """Note that a MARK was sent. Its answer calls `known`, even if the router is not prompt."""
        waiting, self._waiting = self._waiting, []
        if known is not None:
            waiting.append(known)
        self._marks.append(_Mark(self._time.seconds(), waiting))
        self.is_needed = False
        self._start_timer()

    def answered(self) -> None:
        """Note the answer to the oldest MARK; `BodyError` if there is none."""
        if not self._marks:
            raise BodyError("an answer to a MARK that was not sent")
        self.is_prompt = True
        self._release(self._marks.popleft().waiting)

    def disconnected(self) -> None:
        """Release everybody who waits, since no answer comes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_all()
        self._marks.clear()
        self.is_needed = False

    def _request_mark(self) -> None:
        if self._waiting:
            self._due()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._time.callLater(MARK_TIMEOUT, self._check)

    def _check(self) -> None:
        # This is called at most once per second. A timer per MARK would cost more.
        self._timer = None
        if self._marks:
            since = self._marks[0].sent_at
        elif self._waiting:
            since = self._waiting_since
        else:
            return
        left = since + MARK_TIMEOUT - self._time.seconds()
        if left > 0:
            self._timer = self._time.callLater(left, self._check)
            return
        # The MARKs are not forgotten: their answers may still come.
        if self.is_prompt:
            self.is_prompt = False
            self._unanswered()
        self._release_all()

    def _release_all(self) -> None:
        for mark in self._marks:
            self._release(mark.waiting)
        self._release(self._waiting)

    def _release(self, waiting: list[Callback]) -> None:
        # Each callback is a call of its own: an exception in one must not keep the others waiting.
        for known in waiting:
            self._turn.at_end(known)
        waiting.clear()
