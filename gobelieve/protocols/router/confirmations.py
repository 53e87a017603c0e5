"""Waiting until a router has taken what it was told.

A gateway sends MARK behind what it said, and the router answers each MARK, in order. So however
many wait, there is one MARK a turn, and one timer a link. Nobody waits longer than `MARK_TIMEOUT`:
a router that has not answered by then (upstream's never does) is not waited for any more until it
does answer.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.interfaces import Cancellable, Time, Turn

MARK_TIMEOUT = 1.0
"""Seconds that anybody waits for an answer at the most."""

Known = Callable[[], None]


class _Sent(NamedTuple):
    """A MARK without an answer."""

    at: float
    waiting: list[Known]


class Confirmations:
    """The marks of one link, over one connection after another.

    `due` is called at the end of a turn in which somebody began to wait, and calls `sent` once it
    has sent one, then or later. `unanswered` is called when an answer is overdue.
    """

    __slots__ = (
        "_due",
        "_sent",
        "_since",
        "_time",
        "_timer",
        "_turn",
        "_unanswered",
        "_waiting",
        "patient",
        "said",
    )

    def __init__(self, turn: Turn, time: Time, due: Known, unanswered: Known) -> None:
        self._turn = turn
        self._time = time
        self._due = due
        self._unanswered = unanswered
        self._waiting: list[Known] = []
        """For the next MARK, since this time."""
        self._since = 0.0
        self._sent: deque[_Sent] = deque()
        self._timer: Cancellable | None = None
        self.said = False
        """Whether anything was said behind the last MARK; for the link to set."""
        self.patient = True
        """Whether the router is waited for."""

    def wait(self, known: Known) -> None:
        """Call when all that was said so far is in effect."""
        if not self.patient:
            known()
        elif self.said:
            if not self._waiting:
                self._since = self._time.seconds()
                self._turn.at_end(self._ask)
                self._watch()
            self._waiting.append(known)
        elif self._sent:
            self._sent[-1].waiting.append(known)
        else:
            known()

    def sent(self, known: Known | None = None) -> None:
        """A MARK was sent. `known`, too, waits for its answer, even if nobody else would."""
        waiting, self._waiting = self._waiting, []
        if known is not None:
            waiting.append(known)
        self._sent.append(_Sent(self._time.seconds(), waiting))
        self.said = False
        self._watch()

    def answered(self) -> None:
        """The oldest MARK was; `BodyError` if there is none."""
        if not self._sent:
            raise BodyError("an answer to a MARK that was not sent")
        self.patient = True
        self._release(self._sent.popleft().waiting)

    def lost(self) -> None:
        """The connection is gone: there is nothing to wait for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_all()
        self._sent.clear()
        self.said = False

    def _ask(self) -> None:
        if self._waiting:
            self._due()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._time.callLater(MARK_TIMEOUT, self._look)

    def _look(self) -> None:
        # Looked at once a second at most, instead of a timer cancelled with each answer.
        self._timer = None
        if self._sent:
            since = self._sent[0].at
        elif self._waiting:
            since = self._since
        else:
            return
        left = since + MARK_TIMEOUT - self._time.seconds()
        if left > 0:
            self._timer = self._time.callLater(left, self._look)
            return
        # What was sent stays known: its answers may still come.
        if self.patient:
            self.patient = False
            self._unanswered()
        self._release_all()

    def _release_all(self) -> None:
        for sent in self._sent:
            self._release(sent.waiting)
        self._release(self._waiting)

    def _release(self, waiting: Iterable[Known]) -> None:
        # Each by itself: what one client sent must not keep others waiting.
        for known in waiting:
            self._turn.at_end(known)
        if isinstance(waiting, list):
            waiting.clear()
