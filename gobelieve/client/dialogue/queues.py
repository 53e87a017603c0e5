"""The queues that a client reads: the user's own, and those of super groups.

`Queues` asks for syncs, decides which messages are new, and reports how far the client is.
"""

from collections.abc import Callable, Mapping

from gobelieve.client.dialogue.batches import Batches
from gobelieve.client.dialogue.progress import Progress
from gobelieve.client.dialogue.timeouts import Timeouts
from gobelieve.client.events import Event, KeyMoved, MessageReceived, Synced
from gobelieve.wire import Message, client


class Queues:
    """All queues of one client, by group id. The user's own queue has 0.

    `send` sends a message to the server, and `emit` gives an event to the program. `report_keys`
    and `skip_own` are those of `ClientCore`.
    """

    def __init__(
        self,
        keys: Mapping[int, int],
        *,
        send: Callable[[Message], object],
        emit: Callable[[Event], None],
        timeouts: Timeouts,
        report_keys: bool,
        skip_own: bool,
    ) -> None:
        self._queues = {group: Progress(key) for group, key in {0: 0, **keys}.items()}
        self._send = send
        self._emit = emit
        self._timeouts = timeouts
        self._report_keys = report_keys
        self._skip_own = skip_own
        self._batches = Batches()
        self.holding = False
        """Whether no message is accepted and no sync is begun, until `resume`."""

    # --- the state

    @property
    def is_syncing(self) -> bool:
        """Whether a sync was asked for and has not ended."""
        return any(queue.asked is not None for queue in self._queues.values())

    @property
    def is_answered(self) -> bool:
        """Whether the server is between the begin and the end of a sync."""
        return bool(self._batches)

    def key(self, group_id: int) -> int:
        """Return how far the client is; 0 for a group that it does not know."""
        queue = self._queues.get(group_id)
        return 0 if queue is None else queue.key

    def disconnect(self) -> None:
        """Forget the syncs of a connection that is lost."""
        self._batches = Batches()
        for queue in self._queues.values():
            queue.disconnect()

    # --- asked for by the program

    def sync(self, group_id: int) -> None:
        """Ask for new messages. Does nothing while a sync of this queue is running."""
        queue = self._queue(group_id)
        if queue.asked is None:
            self._fetch(group_id, queue)

    def sync_all(self) -> None:
        """Ask for new messages of all known queues."""
        for group_id in self._queues:
            self.sync(group_id)

    def resume(self) -> None:
        """Accept messages again, and fetch those that came in between."""
        self.holding = False
        self.sync_all()

    def report_key(self, key: int, group_id: int) -> None:
        """Report to the server that the program has all messages up to this key."""
        if key <= 0:
            return
        if group_id:
            self._send(client.GroupSyncKey(group_id=group_id, sync_key=key))
        else:
            self._send(client.SyncKey(sync_key=key))

    # --- received from the server

    def notified(self, group_id: int, msgid: int) -> None:
        """Fetch the new message with this id, unless a sync is running."""
        queue = self._queue(group_id)
        queue.notify(msgid)
        self._fetch_if_behind(group_id, queue)

    def pushed(self, seq: int, event: MessageReceived, metadata: client.Metadata) -> None:
        """Accept a pushed message if it directly follows the last one."""
        if not self.holding and self._accept(event.group_id, metadata):
            self._emit_message(seq, event)
            self._moved(event.group_id)

    def own_stored(self, group_id: int, metadata: client.Metadata | None) -> None:
        """Skip a message of this client that is stored now, if it directly follows the last one.

        Without `skip_own` the message is fetched.
        """
        if not self._skip_own:
            self.notified(group_id, metadata.sync_key if metadata else self.key(group_id) + 1)
        elif metadata is not None and self._accept(group_id, metadata):
            self._moved(group_id)

    def begin(self, group_id: int) -> None:
        """Begin to collect the messages of a sync."""
        self._batches.begin(group_id)

    def synced(self, seq: int, message: Message, is_self: bool) -> None:
        """Collect a message of a sync. Outside of a sync it is given to the program at once."""
        if not self._batches.add(seq, message, is_self):
            self._emit_message(seq, MessageReceived(message, None, is_self, False))

    def end(self, group_id: int, key: int) -> None:
        """End a sync: give its messages to the program, and ask for more if there are more."""
        for seq, event in self._batches.end(group_id):
            self._emit_message(seq, event)
        queue = self._queue(group_id)
        before = queue.end_sync(key)
        if key != before:
            self._moved(group_id)
        self._emit(Synced(key, before, group_id))
        self._fetch_if_behind(group_id, queue)

    # --- inside

    def _queue(self, group_id: int) -> Progress:
        return self._queues.setdefault(group_id, Progress(0))

    def _fetch(self, group_id: int, queue: Progress) -> None:
        # The timeout of a sync begins with its request.
        self._timeouts.frame_received()
        key = queue.begin_sync()
        if group_id:
            self._send(client.SyncGroup(group_id=group_id, sync_key=key))
        else:
            self._send(client.Sync(sync_key=key))

    def _fetch_if_behind(self, group_id: int, queue: Progress) -> None:
        if queue.is_behind and not self.holding:
            self._fetch(group_id, queue)

    def _accept(self, group_id: int, metadata: client.Metadata) -> bool:
        return self._queue(group_id).accept(metadata.sync_key, metadata.prev_sync_key)

    def _moved(self, group_id: int) -> None:
        key = self._queues[group_id].key
        if self._report_keys:
            self.report_key(key, group_id)
        self._emit(KeyMoved(key, group_id))

    def _emit_message(self, seq: int, event: MessageReceived) -> None:
        self._emit(event)
        self._send(client.Ack(seq=seq))
