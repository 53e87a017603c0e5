"""Gives the messages of the inbox to the program's calls of `receive`."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from gobelieve.client.dialogue.core import ClientCore
from gobelieve.client.events import KeyMoved, MessageReceived
from gobelieve.client.waiting.inbox import Inbox


class Receiver:
    """Gives each message once. A message without a call that waits for it stays in the inbox.

    When `limit` messages wait, the core accepts no more until half of them are taken. Messages that
    this device sent are left out without `own_messages`. `flush` sends the frames of the core.
    """

    def __init__(
        self, core: ClientCore, *, limit: int, own_messages: bool, flush: Callable[[], None]
    ) -> None:
        self._core = core
        self._limit = limit
        self._own_messages = own_messages
        self._flush = flush
        self._callers: deque[Deferred[MessageReceived]] = deque()
        self.inbox = Inbox()

    def put(self, event: MessageReceived | KeyMoved) -> None:
        """Add a message or a key. `answer_callers` gives the message to a call that waits."""
        if isinstance(event, MessageReceived) and event.is_self and not self._own_messages:
            return
        self.inbox.put(event)
        if self.inbox.messages >= self._limit and not self._callers:
            self._core.hold()

    def answer_callers(self) -> None:
        """Give messages to the calls that wait."""
        while self._callers and self.inbox.messages:
            message = self.inbox.take()
            if message is not None:
                self._callers.popleft().callback(message)

    def take(self) -> MessageReceived | None:
        """Return the next message, if there is one. The program has finished the one before."""
        message = self.inbox.take()
        if message is not None and self._core.holding and self.inbox.messages <= self._limit // 2:
            self._core.resume()
            self._flush()
        return message

    def next(self) -> Deferred[MessageReceived]:
        """Return the next message to come. `take` must have returned None before."""
        caller: Deferred[MessageReceived] = Deferred(self._callers.remove)
        self._callers.append(caller)
        return caller

    def take_callers(self) -> list[Deferred[Any]]:
        """Return the calls that wait for a message. The caller must end them."""
        callers, self._callers = self._callers, deque()
        return list(callers)
