"""The syncs that the server is answering, with the messages received so far."""

from gobelieve.client.events import MessageReceived
from gobelieve.wire import Message, client


class Batches:
    """The messages between BEGIN and END of each queue, each with the seq that acks it."""

    def __init__(self) -> None:
        self._batches: dict[int, list[tuple[int, MessageReceived]]] = {}

    def __bool__(self) -> bool:
        """Return True while the server is answering a sync."""
        return bool(self._batches)

    def begin(self, group_id: int) -> None:
        """Begin the batch of a queue. An unfinished one of the same queue is forgotten."""
        self._batches.pop(group_id, None)
        self._batches[group_id] = []

    def add(self, seq: int, message: Message, is_self: bool) -> bool:
        """Add a message to its batch. Return False if no batch can contain it."""
        queue = self._queue_of(message)
        if queue is None:
            return False
        self._batches[queue].append((seq, MessageReceived(message, None, is_self, False, queue)))
        return True

    def end(self, group_id: int) -> list[tuple[int, MessageReceived]]:
        """End the batch of a queue and return its messages."""
        return self._batches.pop(group_id, [])

    def _queue_of(self, message: Message) -> int | None:
        """Return the queue whose batch contains a message, or None.

        The frame does not name the queue, and the batches of several queues may be open. The queue
        of a group contains only messages to that group and notifications.
        """
        for queue in reversed(self._batches):
            if queue == 0:
                return 0
            if isinstance(message, client.GroupNotification) or (
                isinstance(message, client.GroupIM) and message.receiver == queue
            ):
                return queue
        return next(iter(self._batches), None)
