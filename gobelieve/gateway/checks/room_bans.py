"""Bans from speaking in rooms, as the app's server changes them while users are connected.

The app's server writes a ban to the store, where logins read it, and then announces it. An
announcement counts at once. After an interruption the bans of all connected users are read again,
some users at a time.
"""

import re

from gobelieve.errors import BackendError
from gobelieve.gateway.checks.recent_changes import LoginsInFlight, RecentChanges
from gobelieve.gateway.delivery.in_batches import InBatches
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.interfaces import Preferences, World
from gobelieve.names import User
from gobelieve.support.throttled_log import ThrottledLog

_FORM = re.compile(rb"\s*(-?[0-9]{1,19})\s*,\s*(-?[0-9]{1,19})\s*,\s*([01])\s*", re.ASCII)
_INT64_END = 1 << 63


class RoomBans:
    """Takes changed bans and applies them to the sessions."""

    def __init__(
        self,
        *,
        world: World,
        sessions: Sessions,
        preferences: Preferences,
        logins: LoginsInFlight,
    ) -> None:
        self._sessions = sessions
        self._preferences = preferences
        self._counters = world.counters
        self._throttled = ThrottledLog(world.log, world.time)
        self._in_batches = InBatches(sessions.__contains__, self._read, world)
        self._recent = RecentChanges[bool](logins)
        self._reading: set[User] = set()

    def announced(self, content: bytes) -> None:
        """Apply an announcement, ``appid,uid,0/1``; log one that is malformed."""
        form = _FORM.fullmatch(content)
        user = User(int(form[1]), int(form[2])) if form is not None else None
        if (
            form is None
            or user is None
            or not all(-_INT64_END <= number < _INT64_END for number in user)
        ):
            self._malformed(content)
        else:
            self.speak_forbidden(user, form[3] == b"1")

    def speak_forbidden(self, user: User, forbidden: bool) -> None:
        """Forbid or allow the user to speak in rooms, from now on."""
        self._counters.add("speak_forbidden")
        # A read that is under way may return an older value.
        self._reading.discard(user)
        self._recent.add(user, forbidden)
        self._set(user, forbidden)

    def changed_since(self, login: int, user: User, forbidden: bool) -> bool:
        """Return whether the user of a login in flight, which read `forbidden`, is forbidden."""
        changed = self._recent.since(login, user)
        return forbidden if changed is None else changed

    def listening(self) -> None:
        """Read all bans again: announcements come from now on, earlier ones may be lost."""
        self._in_batches.begin(self._sessions.users())

    async def _read(self, user: User) -> bool:
        self._reading.add(user)
        try:
            settings = await self._preferences.of(user)
        except BackendError:
            return False
        if user in self._reading:
            self._reading.discard(user)
            self._set(user, settings.forbidden)
        return True

    def _set(self, user: User, forbidden: bool) -> None:
        for session in self._sessions.of(user):
            session.forbidden = forbidden

    def _malformed(self, content: bytes) -> None:
        self._counters.add("speak_forbidden_malformed")
        self._throttled.warn(
            "malformed",
            "speak_forbidden: {content} is not appid,uid,0/1",
            content=repr(content[:80]),
        )
