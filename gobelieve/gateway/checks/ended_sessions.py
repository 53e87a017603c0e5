"""Users whose connections are to end, because the app's server says so.

It says so at one gateway, which announces it to all. What is announced while a gateway does not
listen is not heard there: then the connections go on, until they end by themselves.
"""

import re

from gobelieve.gateway.checks.recent_changes import LoginsInFlight, RecentChanges
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.interfaces import World
from gobelieve.names import User
from gobelieve.support.throttled_log import ThrottledLog

_FORM = re.compile(rb"([0-9]{1,19}),([0-9]{1,19})", re.ASCII)


class EndedSessions:
    """Ends the connections of users, and refuses logins that began before such an end."""

    def __init__(self, sessions: Sessions, logins: LoginsInFlight, world: World) -> None:
        self._sessions = sessions
        self._counters = world.counters
        self._throttled = ThrottledLog(world.log, world.time)
        self._recent = RecentChanges[bool](logins)

    def end(self, user: User) -> None:
        """Close all connections of the user; what was sent to them before still goes out."""
        sessions = self._sessions.of(user)
        self._counters.add("kicked", len(sessions))
        for session in sessions:
            session.connection.close()
        self._recent.add(user, True)

    def ended_since(self, login: int, user: User) -> bool:
        """Return whether this login, in flight, may have read a token that was revoked since."""
        return self._recent.since(login, user) is not None

    def announced(self, content: bytes) -> None:
        """Apply the announcement of a gateway, ``appid,uid``; log one that is malformed."""
        form = _FORM.fullmatch(content)
        if form is None:
            self._throttled.warn(
                "malformed",
                "sessions_ended: {content} is not appid,uid",
                content=repr(content[:80]),
            )
        else:
            self.end(User(int(form[1]), int(form[2])))
