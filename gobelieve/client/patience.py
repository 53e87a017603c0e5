"""How long a client waits for what the server owes it. All in ticks, of one second."""

from typing import NamedTuple


class Timing(NamedTuple):
    """Delays, in ticks."""

    login: int = 10
    ack: int = 5
    pong: int = 5
    sync: int = 10
    """Without any frame from the server while a sync is under way."""
    ping: int = 60
    """Without any frame in one direction, until we ask."""


class Patience:
    """What is awaited on one connection, and until when."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._now = 0
        self.reset()

    def reset(self) -> None:
        """A new connection owes nothing."""
        self._login: int | None = None
        self._pong: int | None = None
        self._acks: dict[int, int] = {}
        self._heard = self._said = self._now

    def heard(self) -> None:
        """A frame came."""
        self._heard = self._now

    def said(self) -> None:
        """A frame was sent."""
        self._said = self._now

    def expect_login(self) -> None:
        """An AUTH_STATUS is to come."""
        self._login = self._now + self._timing.login

    def login_came(self) -> None:
        """It came."""
        self._login = None

    def expect_ack(self, seq: int) -> None:
        """An ack of this frame is to come."""
        self._acks[seq] = self._now + self._timing.ack

    def ack_came(self, seq: int) -> None:
        """It came."""
        self._acks.pop(seq, None)

    def expect_pong(self) -> None:
        """A PONG is to come."""
        self._pong = self._now + self._timing.pong

    def pong_came(self) -> None:
        """It came."""
        self._pong = None

    def tick(self, syncing: bool) -> str | None:
        """A second has passed. What is overdue now."""
        self._now = now = self._now + 1
        if self._login is not None and now > self._login:
            return "login"
        if self._acks and now > next(iter(self._acks.values())):
            return "ack"
        if self._pong is not None and now > self._pong:
            return "pong"
        if syncing and now - self._heard > self._timing.sync:
            return "sync"
        return None

    @property
    def silent(self) -> bool:
        """Whether a ping is due.

        The server hangs up on clients that say nothing, however much it tells them itself.
        """
        return self._pong is None and (
            self._now - min(self._heard, self._said) >= self._timing.ping
        )
