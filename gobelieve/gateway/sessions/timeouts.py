"""The watch over silent and stuck clients: one sweep a second over all, no timer for any.

A session is stamped with the watch's tick whenever its client is heard of; that costs a message
8 ns, and a sweep of 100,000 sessions 2 ms.
"""

from collections.abc import Iterable

from gobelieve.gateway.sessions.session import NOBODY, Session
from gobelieve.metrics import Counters
from gobelieve.support.when_empty import WhenEmpty

PROGRESS_BYTES = 16 << 10
"""A client that reads at least so many bytes within the write timeout is slow, but not stuck."""


class Timeouts:
    """Ends sessions that are idle, that do not log in, or that do not read.

    All times are in ticks, of one second: the sweep is to be called once in each.
    """

    def __init__(self, counters: Counters, *, idle: int, login: int, write: int) -> None:
        self._counters = counters
        self._idle = idle
        self._login = login
        self._write = write
        self._opened: dict[Session, int] = {}
        self._stuck: dict[Session, tuple[int, int]] = {}
        self.when_empty = WhenEmpty(self._opened)
        """Takes a call that is made once there are no connections."""
        self.tick = 0

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._opened)

    def add(self, session: Session) -> None:
        """A client connected."""
        self._opened[session] = self.tick

    def remove(self, session: Session) -> None:
        """A client is gone."""
        self._opened.pop(session, None)
        self._stuck.pop(session, None)
        self.when_empty.check()

    def pause_all(self) -> None:
        """The gateway is about to stop: clients are not listened to any more."""
        for session in list(self._opened):
            session.connection.pause()

    def oldest(self) -> list[Session]:
        """All sessions, in the order in which they came."""
        return list(self._opened)

    def send_away(self, sessions: Iterable[Session]) -> None:
        """These are not listened to any more, and end, but for those whom storage owes an answer:
        they end with `close_all`."""
        for session in sessions:
            if not session.closed:
                session.connection.pause()
                if not session.saving:
                    session.connection.close()

    def close_all(self) -> None:
        """The gateway stops: send what waits, then end all connections."""
        for session in list(self._opened):
            session.connection.close()

    def congested(self, session: Session) -> None:
        """A client does not read what was sent to it, or not as fast."""
        self._stuck[session] = (self.tick, session.connection.unsent())

    def drained(self, session: Session) -> None:
        """It reads again."""
        self._stuck.pop(session, None)

    def sweep(self) -> None:
        """One second has passed."""
        self.tick += 1
        now = self.tick
        for session, (since, left) in list(self._stuck.items()):
            unsent = session.connection.unsent()
            if unsent <= left - PROGRESS_BYTES:
                self._stuck[session] = (now, unsent)
                session.seen = now  # nothing is read from it meanwhile, so this is its sign of life
            elif now - since > self._write:
                self._counters.add("closed_stuck")
                session.connection.abort()
            elif unsent > left:
                self._stuck[session] = (since, unsent)
        for session, opened in list(self._opened.items()):
            if session.user is NOBODY and now - opened > self._login:
                self._end(session, now - opened - self._login, "closed_without_login")
            elif now - session.seen > self._idle:
                self._end(session, now - session.seen - self._idle, "closed_idle")

    def _end(self, session: Session, overdue: int, why: str) -> None:
        if overdue == 1:
            self._counters.add(why)
            session.connection.close()
        elif overdue > self._write:
            # It does not even take what was written before the close.
            session.connection.abort()
