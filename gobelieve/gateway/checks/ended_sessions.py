"""Users whose connections are to end, because the app's server says so.

It says so at one gateway, which announces it to all. What is announced while a gateway does not
listen is not heard there: then the connections go on, until they end by themselves.
"""

import re

from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.interfaces import Log, Time
from gobelieve.metrics import Tally
from gobelieve.names import User

LONGEST_LOGIN = 30.0
"""Seconds for which it is remembered whose connections ended, for who was logging in then."""

_FORM = re.compile(rb"([0-9]{1,19}),([0-9]{1,19})", re.ASCII)


class Endings:
    """Ends them here."""

    def __init__(self, sessions: Sessions, time: Time, tally: Tally, log: Log) -> None:
        self._sessions = sessions
        self._time = time
        self._tally = tally
        self._log = log
        self._recent: dict[User, float] = {}
        """When, the oldest first."""

    def end(self, user: User) -> None:
        """All connections of the user. What was sent to them before still goes out."""
        sessions = self._sessions.of(user)
        self._tally.add("kicked", len(sessions))
        for session in sessions:
            session.connection.close()
        now = self._time.seconds()
        self._recent.pop(user, None)
        self._recent[user] = now
        while now - self._recent[oldest := next(iter(self._recent))] > LONGEST_LOGIN:
            del self._recent[oldest]

    def ended_since(self, began: float, user: User) -> bool:
        """Whether a login that began at this time may have found a token that is good no more."""
        return self._recent.get(user, float("-inf")) >= began

    def announced(self, content: bytes) -> None:
        """A gateway says ``appid,uid``."""
        form = _FORM.fullmatch(content)
        if form is None:
            self._log.warn("sessions_ended: {content} is not appid,uid", content=repr(content[:80]))
        else:
            self.end(User(int(form[1]), int(form[2])))
