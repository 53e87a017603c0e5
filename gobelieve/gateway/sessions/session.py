"""One client's session: its identity, the rules for its frames, and the frames sent to it.

A session handles the client's frames strictly in order and calls the rule of each. Clients send
AUTH_TOKEN, ENTER_ROOM and SYNC back to back. While the login waits for an answer, the session holds
the frames behind it.

Frames to the client are numbered when they are written: seq begins at 1 and grows by 1 per frame.
Clients rely on this. A client that does not read is *congested*. It still gets the answers to its
requests. Of the notifies only the newest is kept, messages are notified and not pushed, and live
messages are dropped and counted. The client loses no stored message, and costs little memory.
"""

from collections.abc import Callable, Sequence
from struct import Struct

from gobelieve.errors import WireError
from gobelieve.gateway.sessions.packing import LAST_SEQ, GroupMessage, delivery
from gobelieve.interfaces import Connection
from gobelieve.metrics import GatewayCounters
from gobelieve.names import AckStatus, User, was_not_stored
from gobelieve.wire import bodies, client
from gobelieve.wire.frames import HEADER, PUSH, Frame

Rule = Callable[["Session", Frame], None]
Rules = Sequence[Rule | None]
"""The rule for each command; frames whose rule is None are ignored."""

_ACK = Struct(">iiBBBBi")
_ACK_STATUS = Struct(">iiBBBBiB")
_KEY = Struct(">iiBBBBq")
_GROUP_KEY = Struct(">iiBBBBqq")
_METADATA = Struct(">iiBBBBqq16x")

_METADATA_CMD, _NOTIFY_CMD = client.Metadata.number, client.SyncNotify.number
ACKS = {int(status): f"acks_{status.name.lower()}" for status in AckStatus}
"""The counters of acks by status; they include acks that an older client does not get."""

NOBODY = User(0, 0)
OWN = 0
"""The name of the user's own queue; other queues are named by the id of their group."""


class Session:
    """A connected client, whose `user` is `NOBODY` until the rule for AUTH_TOKEN sets it."""

    __slots__ = (
        "_held",
        "_owed",
        "_owed_groups",
        "_seq",
        "closed",
        "connection",
        "counters",
        "device",
        "forbidden",
        "online",
        "platform",
        "rooms",
        "rules",
        "saving",
        "seen",
        "syncs",
        "user",
        "version",
        "wrong_tokens",
    )

    def __init__(
        self, connection: Connection, rules: Rules, counters: GatewayCounters, seen: int
    ) -> None:
        self.connection = connection
        self.rules = rules
        self.counters = counters
        self.seen = seen
        """The tick of `Timeouts` at which the client last sent something."""
        self.user = NOBODY
        self.version = 0
        self.device = 0
        self.platform = 0
        self.online = True
        self.forbidden = False
        self.wrong_tokens = 0
        self.saving = 0
        """The number of its messages that storage has not answered yet; see `saves_in_flight`."""
        self.closed = False
        self.rooms: tuple[int, ...] = ()
        """The rooms that the session is in; the one entered last is at the end."""
        self.syncs: dict[int, list[int]] | None = None
        """Per queue (`OWN`, or the group) that is being synced: the keys of the SYNCs that wait.
        None if no queue is being synced."""
        self._held: list[Frame] | None = None
        self._owed = 0
        self._owed_groups: dict[int, int] | None = None
        self._seq = 0

    # --- frames from the client

    def received(self, frames: Sequence[Frame]) -> None:
        """Handle frames, in order."""
        held = self._held
        if held is not None:
            held.extend(frames)
            return
        done = 0
        try:
            for frame in frames:
                done += 1
                rule = self.rules[frame.cmd]
                if rule is not None:
                    rule(self, frame)
                    if self.closed:
                        return
                    if self._held is not None:
                        self._held.extend(frames[done:])
                        return
        except WireError as why:
            self.connection.cut(why)

    def hold(self) -> None:
        """Hold the frames that come until `release`."""
        self._held = []
        self.connection.pause()

    def release(self) -> None:
        """Handle the held frames, then go on reading."""
        held, self._held = self._held, None
        if held and not self.closed:
            self.received(held)
        self.connection.resume()

    # --- frames to the client

    def send(self, cmd: int, body: bytes, flag: int = 0) -> None:
        """Send a frame; its body is in the layout of the session's version."""
        seq = self._seq = self._seq % 0x7FFFFFFF + 1
        header = HEADER.pack(len(body), seq, cmd, self.version, flag, 0)
        self.counters.sent[cmd] += 1
        self.connection.send(header + body)

    def send_message(self, cmd: int, body: bytes, flag: int = 0) -> None:
        """Send a message whose body is in the layout of version 1 and up, as it is stored."""
        if self.version == 0:
            body = bodies.for_version_0(cmd, body)
        self.counters.add("delivered")
        self.send(cmd, body, flag)

    def ack(self, seq: int, status: int = AckStatus.SUCCESS, flag: int = 0) -> None:
        """Answer the client's frame `seq`.

        A client of version 2 gets the status. An older client takes any ack for success. It gets no
        ack for a message that was not stored, and sends it again. A refusal by a rule is final and
        is acked.
        """
        self.counters.add(ACKS.get(status, "acks_other"))
        if self.version < 2 and was_not_stored(status):
            return
        self.counters.sent[client.Ack.number] += 1
        own = self._seq = self._seq % 0x7FFFFFFF + 1
        if self.version < 2:
            frame = _ACK.pack(4, own, client.Ack.number, self.version, flag, 0, seq)
        else:
            frame = _ACK_STATUS.pack(5, own, client.Ack.number, self.version, flag, 0, seq, status)
        self.connection.send(frame)

    def metadata(self, key: int, prev: int) -> None:
        """Send the ids of the message that is sent next."""
        seq = self._seq = self._seq % 0x7FFFFFFF + 1
        frame = _METADATA.pack(32, seq, client.Metadata.number, self.version, 0, 0, key, prev)
        self.counters.sent[_METADATA_CMD] += 1
        self.connection.send(frame)

    def send_key(self, cmd: int, key: int) -> None:
        """Send a frame whose body is a sync key."""
        seq = self._seq = self._seq % 0x7FFFFFFF + 1
        self.counters.sent[cmd] += 1
        self.connection.send(_KEY.pack(8, seq, cmd, self.version, 0, 0, key))

    def send_group_key(self, cmd: int, group_id: int, key: int) -> None:
        """Send a frame whose body is a group and a sync key."""
        seq = self._seq = self._seq % 0x7FFFFFFF + 1
        self.counters.sent[cmd] += 1
        self.connection.send(_GROUP_KEY.pack(16, seq, cmd, self.version, 0, 0, group_id, key))

    def syncing(self, queue: int = OWN) -> bool:
        """Return True if a sync of this queue is under way."""
        return self.syncs is not None and queue in self.syncs

    def deliver(self, cmd: int, body: bytes, flag: int, key: int, prev: int) -> None:
        """Deliver a stored message: push it if the client can place it, then notify.

        During a sync the client is only notified. A message pushed between SYNC and SYNC_END would
        advance the client's key, and SYNC_END would set the key back.
        """
        connection = self.connection
        if not prev or connection.congested or self.syncing():
            self.notify(key)
        elif connection.stream and self._seq <= LAST_SEQ - 3:
            version = self.version
            if version == 0:
                body = bodies.for_version_0(cmd, body)
            self.counters.add("delivered")
            sent = self.counters.sent
            for number in (_METADATA_CMD, cmd, _NOTIFY_CMD):
                sent[number] += 1
            self._seq = seq = self._seq + 3
            frames = delivery(len(body))(
                32, seq - 2, _METADATA_CMD, version, 0, 0, key, prev,
                len(body), seq - 1, cmd, version, flag | PUSH, 0, body,
                8, seq, _NOTIFY_CMD, version, 0, 0, key,
            )  # fmt: skip
            connection.send(frames)
        else:
            self.metadata(key, prev)
            self.send_message(cmd, body, flag | PUSH)
            self.notify(key)

    def deliver_group(self, message: GroupMessage) -> None:
        """Deliver a message in the queue of a super group, as `deliver` does."""
        if not message.prev or self.connection.congested or self.syncing(message.group_id):
            self.notify_group(message.group_id, message.key)
            return
        self.counters.add("delivered")
        seq = self._seq
        if self.connection.stream and seq <= LAST_SEQ - 3:
            self._seq = seq + 3
            sent = self.counters.sent
            for number in message.commands:
                sent[number] += 1
            self.connection.send(message.run(self.version)(seq + 1))
        else:
            for cmd, flag, body in message.frames(self.version):
                self.send(cmd, body, flag)

    def notify(self, key: int) -> None:
        """Notify the client of an id in its queue; a congested client later, of the newest."""
        if self.connection.congested:
            self._owed = max(self._owed, key)
        else:
            self.send_key(client.SyncNotify.number, key)

    def notify_group(self, group_id: int, key: int) -> None:
        """Notify the client of an id in the queue of a super group, as `notify` does."""
        if not self.connection.congested:
            self.send_group_key(client.SyncGroupNotify.number, group_id, key)
            return
        if self._owed_groups is None:
            self._owed_groups = {}
        self._owed_groups[group_id] = max(self._owed_groups.get(group_id, 0), key)

    def live(self, cmd: int, body: bytes) -> None:
        """Send a message that is not stored; a congested client does not get it."""
        if self.connection.congested:
            self.counters.add("live_dropped")
        else:
            self.counters.add("delivered")
            self.send(cmd, body)

    def drained(self) -> None:
        """Send the kept notifies, since the client reads again."""
        owed, self._owed = self._owed, 0
        if owed:
            self.send_key(client.SyncNotify.number, owed)
        groups, self._owed_groups = self._owed_groups, None
        for group_id, key in (groups or {}).items():
            self.notify_group(group_id, key)
