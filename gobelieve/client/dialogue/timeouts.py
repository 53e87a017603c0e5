"""The timeouts of a client for the server's answers. They are counted in ticks of one second."""

from typing import NamedTuple


class Timing(NamedTuple):
    """The delays of a client, in ticks."""

    login: int = 10
    """From AUTH_TOKEN to AUTH_STATUS."""
    ack: int = 5
    """From a message to its ACK."""
    pong: int = 5
    """From PING to PONG."""
    sync: int = 10
    """Without any frame from the server while a sync is running."""
    ping: int = 60
    """Without any frame in one direction, until the client sends PING."""


class Timeouts:
    """The answers that a client expects on one connection, and when each is overdue."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._now = 0
        self.reset()

    def reset(self) -> None:
        """Begin with a new connection, on which no answer is expected."""
        self._login: int | None = None
        self._pong: int | None = None
        self._acks: dict[int, int] = {}
        self._received = self._sent = self._now

    def frame_received(self) -> None:
        """Note that the server sent a frame now."""
        self._received = self._now

    def frame_sent(self) -> None:
        """Note that the client sent a frame now."""
        self._sent = self._now

    def expect_login(self) -> None:
        """Expect AUTH_STATUS until the timeout of a login."""
        self._login = self._now + self._timing.login

    def login_answered(self) -> None:
        """Stop waiting for AUTH_STATUS."""
        self._login = None

    def expect_ack(self, seq: int) -> None:
        """Expect the ACK of the frame with this seq until its timeout."""
        self._acks[seq] = self._now + self._timing.ack

    def ack_received(self, seq: int) -> None:
        """Stop waiting for the ACK of this seq."""
        self._acks.pop(seq, None)

    def expect_pong(self) -> None:
        """Expect PONG until its timeout."""
        self._pong = self._now + self._timing.pong

    def pong_received(self) -> None:
        """Stop waiting for PONG."""
        self._pong = None

    def tick(self, syncing: bool) -> str | None:
        """Count one second. Return the name of an answer that is overdue now, if there is one."""
        self._now = now = self._now + 1
        if self._login is not None and now > self._login:
            return "login"
        if self._acks and now > next(iter(self._acks.values())):
            return "ack"
        if self._pong is not None and now > self._pong:
            return "pong"
        if syncing and now - self._received > self._timing.sync:
            return "sync"
        return None

    @property
    def is_ping_due(self) -> bool:
        """Whether the connection was silent in one direction for so long that PING is due.

        The server closes connections of clients that send nothing, even while it sends to them.
        """
        return self._pong is None and (
            self._now - min(self._received, self._sent) >= self._timing.ping
        )
