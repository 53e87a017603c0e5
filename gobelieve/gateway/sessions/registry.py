"""The sessions of each user at this gateway, and the subscriptions at the routers.

The routers know a user from the first session on, and as *online* while one of the sessions is
online. The session of a desktop or a browser is not online if the user wants phone pushes all the
same.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Routing
from gobelieve.names import User


class Sessions:
    """The sessions that are logged in."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._of: dict[User, tuple[Session, ...]] = {}
        self.count = 0
        """The number of sessions."""

    def __len__(self) -> int:
        """Return the number of users who have a session."""
        return len(self._of)

    def of(self, user: tuple[int, int]) -> Sequence[Session]:
        """Return the user's sessions; the sequence does not change when sessions come and go.

        (A `User` equals the plain tuple, which is built in a fifth of the time.)
        """
        return self._of.get(user, ())  # type: ignore[call-overload, no-any-return]

    def __contains__(self, user: User) -> bool:
        """Return True if the user has a session here."""
        return user in self._of

    def add(self, session: Session) -> None:
        """Add a session that has logged in."""
        before = self._of.get(session.user, ())
        self._of[session.user] = (*before, session)
        self.count += 1
        if not before or (session.online and not _any_online(before)):
            self._routing.subscribe(session.user, session.online)

    def remove(self, session: Session) -> None:
        """Remove a session that has ended; no effect if it is not here."""
        before = self._of.get(session.user, ())
        left = tuple(other for other in before if other is not session)
        if len(left) == len(before):
            return
        self.count -= 1
        if not left:
            del self._of[session.user]
            self._routing.unsubscribe(session.user)
            return
        self._of[session.user] = left
        if session.online and not _any_online(left):
            self._routing.subscribe(session.user, False)

    def users(self) -> Collection[User]:
        """Return all users here, as a view that changes when users come and go."""
        return self._of

    def online(self, user: User) -> bool | None:
        """Return whether one of the user's sessions is online; None if there are no sessions."""
        sessions = self._of.get(user)
        return _any_online(sessions) if sessions else None

    def all(self) -> Iterator[Session]:
        """Iterate over all sessions."""
        for sessions in self._of.values():
            yield from sessions


def _any_online(sessions: Iterable[Session]) -> bool:
    # Not any(): this is three times as fast, and runs for all users when a router is back.
    for session in sessions:  # noqa: SIM110
        if session.online:
            return True
    return False
