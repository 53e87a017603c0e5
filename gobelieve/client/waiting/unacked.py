"""Messages without an ack, and the calls of `send` that wait for it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.client.events import Acked
from gobelieve.errors import MessageRefusedError
from gobelieve.wire import Message


@dataclass(eq=False, slots=True)
class _Unacked:
    message: Message
    acked: Deferred[Acked] = field(default_factory=Deferred)


class UnackedMessages:
    """Sends messages while the client is logged in, in the order of the calls.

    If the connection is lost, messages without an ack are sent again after the next login, before
    all others. `send` sends a message and returns the seq of its frame.
    """

    def __init__(self, send: Callable[[Message], int]) -> None:
        self._send = send
        self._logged_in = False
        self._waiting: deque[_Unacked] = deque()
        self._sent: dict[int, _Unacked] = {}
        self._answered: list[tuple[_Unacked, Acked]] = []

    def add(self, message: Message) -> Deferred[Acked]:
        """Send a message now, or after the login. Fails with `MessageRefusedError`."""
        entry = _Unacked(message)
        if self._logged_in:
            self._sent[self._send(message)] = entry
        else:
            self._waiting.append(entry)
        return entry.acked

    def logged_in(self) -> None:
        """Send the messages that waited for the login."""
        self._logged_in = True
        while self._waiting:
            entry = self._waiting.popleft()
            self._sent[self._send(entry.message)] = entry

    def disconnected(self) -> None:
        """Keep the messages without an ack for the next login."""
        self._logged_in = False
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent = {}

    def ack(self, ack: Acked) -> None:
        """Note an ack. The call that waits for it ends in `answer_callers`."""
        entry = self._sent.pop(ack.seq, None)
        if entry is not None:
            self._answered.append((entry, ack))

    def answer_callers(self) -> None:
        """End the calls whose acks were received."""
        answered, self._answered = self._answered, []
        for entry, ack in answered:
            if ack.status:
                entry.acked.errback(MessageRefusedError(ack.status))
            else:
                entry.acked.callback(ack)

    def take_callers(self) -> list[Deferred[Any]]:
        """Return the calls that wait for an ack. The caller must end them."""
        self.disconnected()
        waiting, self._waiting = self._waiting, deque()
        return [entry.acked for entry in waiting]
