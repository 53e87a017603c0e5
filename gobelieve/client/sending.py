"""Messages that have no ack yet, and those who wait for it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.client.events import Acked
from gobelieve.errors import MessageRefusedError
from gobelieve.wire import Message


@dataclass(eq=False, slots=True)
class _Sending:
    message: Message
    acked: Deferred[Acked] = field(default_factory=Deferred)


class Sendings:
    """Sends messages while there is a login, in the order they were asked for.

    What has no ack when the connection is lost is sent again on the next, before all else.
    """

    def __init__(self, send: Callable[[Message], int]) -> None:
        self._send = send
        self._open = False
        self._waiting: deque[_Sending] = deque()
        self._sent: dict[int, _Sending] = {}
        self._answered: list[tuple[_Sending, Acked]] = []

    def add(self, message: Message) -> Deferred[Acked]:
        """Send now, or when there is a login. Fails with `MessageRefusedError`."""
        sending = _Sending(message)
        if self._open:
            self._sent[self._send(message)] = sending
        else:
            self._waiting.append(sending)
        return sending.acked

    def begin(self) -> None:
        """There is a login."""
        self._open = True
        while self._waiting:
            sending = self._waiting.popleft()
            self._sent[self._send(sending.message)] = sending

    def lose(self) -> None:
        """The connection is gone."""
        self._open = False
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent = {}

    def ack(self, ack: Acked) -> None:
        """An ack came; whoever waits for it is told by `tell`."""
        sending = self._sent.pop(ack.seq, None)
        if sending is not None:
            self._answered.append((sending, ack))

    def tell(self) -> None:
        """Tell those whose acks came."""
        answered, self._answered = self._answered, []
        for sending, ack in answered:
            if ack.status:
                sending.acked.errback(MessageRefusedError(ack.status))
            else:
                sending.acked.callback(ack)

    def give_up(self) -> list[Deferred[Any]]:
        """Those who wait; they are the caller's now."""
        self.lose()
        waiting, self._waiting = self._waiting, deque()
        return [sending.acked for sending in waiting]
