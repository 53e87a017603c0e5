"""Messages that wait for the program, and the keys that are safe when the program took them."""

from collections import deque

from gobelieve.client.events import KeyMoved, MessageReceived


class Inbox:
    """A queue of messages with the keys between them.

    A key is *reached* when the program took all messages before it and has finished the last one.
    It has finished a message when it asks for the next. Only then may the key be stored: if the
    program ends while it handles a message, it receives that message again.
    """

    def __init__(self) -> None:
        self._waiting: deque[MessageReceived | KeyMoved] = deque()
        self._unfinished = False
        self.messages = 0
        """The number of messages that wait."""
        self.reached: dict[int, int] = {}
        """The keys that were reached since the last `collect`, by group id."""

    def put(self, event: MessageReceived | KeyMoved) -> None:
        """Add a message or a key."""
        self._waiting.append(event)
        if isinstance(event, MessageReceived):
            self.messages += 1
        elif not self._unfinished:
            self._pass_keys()

    def take(self) -> MessageReceived | None:
        """Return the next message, if there is one. The program has finished the one before."""
        self.finish()
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        assert isinstance(message, MessageReceived)  # the keys before it have been passed
        self.messages -= 1
        self._unfinished = True
        return message

    def finish(self) -> None:
        """Note that the program has finished all messages that it took."""
        self._unfinished = False
        self._pass_keys()

    def collect(self) -> dict[int, int]:
        """Return the keys that were reached since the last call, by group id."""
        reached, self.reached = self.reached, {}
        return reached

    def _pass_keys(self) -> None:
        while self._waiting and isinstance(self._waiting[0], KeyMoved):
            moved = self._waiting[0]
            self.reached[moved.group_id] = moved.key
            self._waiting.popleft()
