"""The syncs that are being answered: what has come of each."""

from gobelieve.client.events import MessageReceived
from gobelieve.wire import Message, client


class Batches:
    """By queue, the messages between BEGIN and END, each with the seq by which it is acked."""

    def __init__(self) -> None:
        self._batches: dict[int, list[tuple[int, MessageReceived]]] = {}

    def __bool__(self) -> bool:
        """Whether a sync is being answered."""
        return bool(self._batches)

    def begin(self, group_id: int) -> None:
        """The answer to a sync of this queue begins; what came of one before is forgotten."""
        self._batches.pop(group_id, None)
        self._batches[group_id] = []

    def add(self, seq: int, message: Message, is_self: bool) -> bool:
        """Put a message into its batch; False if it is of none."""
        queue = self._queue_of(message)
        if queue is None:
            return False
        told = MessageReceived(message, None, is_self, False, queue)
        self._batches[queue].append((seq, told))
        return True

    def end(self, group_id: int) -> list[tuple[int, MessageReceived]]:
        """The answer is complete: its messages."""
        return self._batches.pop(group_id, [])

    def _queue_of(self, message: Message) -> int | None:
        """The queue whose batch a message belongs to.

        A frame does not say so, and batches may be under way for several queues. A group's queue
        has what was said to that group, and notifications of it.
        """
        for queue in reversed(self._batches):
            if queue == 0:
                return 0
            if isinstance(message, client.GroupNotification) or (
                isinstance(message, client.GroupIM) and message.receiver == queue
            ):
                return queue
        return next(iter(self._batches), None)
