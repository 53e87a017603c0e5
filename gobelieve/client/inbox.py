"""Messages that wait for the user, and the keys that become safe as they are taken."""

from collections import deque

from gobelieve.client.events import KeyMoved, MessageReceived


class Inbox:
    """A queue of messages with the keys between them.

    A key is *reached* when the user has taken all messages before it and is done with the last
    of them: when the next is asked for. Only then may it be kept, so that a user who dies over a
    message gets it again.
    """

    def __init__(self) -> None:
        self._waiting: deque[MessageReceived | KeyMoved] = deque()
        self._busy = False
        self.messages = 0
        """How many messages wait."""
        self.reached: dict[int, int] = {}
        """Keys that were reached and not collected yet, by queue."""

    def put(self, event: MessageReceived | KeyMoved) -> None:
        """Add what came."""
        self._waiting.append(event)
        if isinstance(event, MessageReceived):
            self.messages += 1
        elif not self._busy:
            self._pass_keys()

    def take(self) -> MessageReceived | None:
        """The next message, if there is one; the user is done with the one before."""
        self.done()
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        assert isinstance(message, MessageReceived)  # the keys before it have been passed
        self.messages -= 1
        self._busy = True
        return message

    def done(self) -> None:
        """The user is done with all that was taken."""
        self._busy = False
        self._pass_keys()

    def collect(self) -> dict[int, int]:
        """The keys that were reached since the last time."""
        reached, self.reached = self.reached, {}
        return reached

    def _pass_keys(self) -> None:
        while self._waiting and isinstance(self._waiting[0], KeyMoved):
            moved = self._waiting[0]
            self.reached[moved.group_id] = moved.key
            self._waiting.popleft()
