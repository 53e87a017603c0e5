"""The client's side of the dialogue, without any I/O and without a clock.

Requests (`log_in`, `sync`, `send_im`...) queue frames, which `data_to_send` or `frames_to_send`
hands over; `receive_data` takes what arrived and gives events. `tick` is called once a second: all
delays are counted in ticks.

The messages of a sync are told all together when the sync is complete, since they have no ids of
their own: a sync that is cut off half way is asked for again, and nothing is told twice. A core
lives longer than a connection; `connect` begins with a new one.
"""

from collections.abc import Callable, Mapping

from gobelieve.client.batches import Batches
from gobelieve.client.events import (
    Acked,
    Broken,
    Event,
    KeyMoved,
    LiveReceived,
    LoggedIn,
    LoginRefused,
    MessageReceived,
    Overdue,
    Ponged,
    Synced,
)
from gobelieve.client.patience import Patience, Timing
from gobelieve.client.progress import Progress
from gobelieve.client.requests import Requests
from gobelieve.errors import BodyError, WireError
from gobelieve.names import Platform
from gobelieve.wire import Frame, FrameReader, Message, client, encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SELF, SUPER_GROUP
from gobelieve.wire.message import LIVE, MESSAGES, STORED


class ClientCore(Requests[int]):
    """One user on one device. Requests that are acked give the seq by which the ack names them.

    `keys` are the sync keys to begin with: 0 for the user's queue, the group id for a super
    group's. With `skip_own` a message that was sent here is not fetched again once it is acked.
    With `report_keys` every step is reported to the server at once; without, the owner
    calls `report_key` when the messages are safe.
    """

    def __init__(
        self,
        uid: int,
        *,
        appid: int = 0,
        version: int = 2,
        keys: Mapping[int, int] | None = None,
        report_keys: bool = True,
        skip_own: bool = True,
        timing: Timing = Timing(),  # noqa: B008 a tuple
    ) -> None:
        self.uid = uid
        self.appid = appid
        self.version = version
        self._report_keys = report_keys
        self._skip_own = skip_own
        self._patience = Patience(timing)
        self._queues = {group: Progress(key) for group, key in {0: 0, **(keys or {})}.items()}
        self._seq = 0
        self.holding = False
        self.connect()

    # --- the connection

    def connect(self) -> None:
        """A new connection begins; what belonged to the last one is forgotten."""
        self._reader = FrameReader(CLIENT_BODY_LIMIT)
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._broken = False
        # By seq: the group that a message without an ack is for, 0 if for none.
        self._unacked: dict[int, int] = {}
        self._batches = Batches()
        self._metadata: tuple[int, client.Metadata] | None = None
        self._patience.reset()
        for queue in self._queues.values():
            queue.disconnect()

    def frames_to_send(self) -> list[bytes]:
        """The frames that wait, each by itself; they are yours now."""
        frames, self._out = self._out, []
        return frames

    def data_to_send(self) -> bytes:
        """The frames that wait, as one run of bytes."""
        return b"".join(self.frames_to_send())

    def receive_data(self, data: bytes) -> list[Event]:
        """Take what arrived, tell what happened. Nothing is raised for what the server sends."""
        if self._broken:
            return []
        try:
            for frame in self._reader.feed(data):
                self._receive(frame)
            if self._reader.error is not None:
                raise self._reader.error
        except WireError as why:
            self._broken = True
            self._events.append(Broken(str(why)))
        events, self._events = self._events, []
        return events

    def tick(self) -> list[Event]:
        """A second has passed. Queues a PING after a silence, tells what is overdue."""
        syncing = any(queue.asked is not None for queue in self._queues.values())
        overdue = self._patience.tick(syncing)
        if overdue is not None:
            return [Overdue(overdue)]
        if self._patience.silent:
            self.ping()
        return []

    # --- requests

    def send(self, message: Message, flag: int = 0) -> int:
        """Queue a frame; its seq, by which an ack names it. `BodyError` if it is too long."""
        body = message.encode(self.version)
        if len(body) > CLIENT_BODY_LIMIT:
            raise BodyError(f"a body of {len(body)} bytes, the limit is {CLIENT_BODY_LIMIT}")
        self._seq = self._seq % 0x7FFFFFFF + 1
        self._patience.said()
        self._out.append(encode_frame(message.number, body, self._seq, self.version, flag))
        if message.acked:
            self._patience.expect_ack(self._seq)
            if isinstance(message, client.GroupIM):
                self._unacked[self._seq] = message.receiver
            elif message.number in STORED:
                self._unacked[self._seq] = 0
        return self._seq

    def enter_room(self, room: int) -> None:
        """Be in this room, and in no other."""
        self.send(client.EnterRoom(room=room))

    def leave_room(self, room: int) -> None:
        """Be in no room."""
        self.send(client.LeaveRoom(room=room))

    def report_key(self, key: int, group_id: int = 0) -> None:
        """Everything up to this key is safe with us."""
        if key <= 0:
            return
        if group_id:
            self.send(client.GroupSyncKey(group_id=group_id, sync_key=key))
        else:
            self.send(client.SyncKey(sync_key=key))

    def log_in(self, token: str, platform: int = Platform.ANDROID, device_id: str = "") -> None:
        """Say who we are. There is no need to wait for the answer before the next request."""
        self._patience.expect_login()
        self.send(
            client.AuthToken(platform=platform, token=token.encode(), device_id=device_id.encode())
        )

    def sync(self, group_id: int = 0) -> None:
        """Ask for what is new; without effect while a sync of this queue is under way."""
        queue = self._queue(group_id)
        if queue.asked is None:
            self._fetch(group_id, queue)

    def sync_all(self) -> None:
        """`sync` of the user's queue and of every super group that is known."""
        for group_id in self._queues:
            self.sync(group_id)

    def ping(self) -> None:
        """Is the server there?"""
        self._patience.expect_pong()
        self.send(client.Ping())

    def hold(self) -> None:
        """Take no more messages, beyond the sync that is under way, until `resume`."""
        self.holding = True

    def resume(self) -> None:
        """Take messages again; fetches what came meanwhile."""
        self.holding = False
        self.sync_all()

    def key(self, group_id: int = 0) -> int:
        """How far we are."""
        queue = self._queues.get(group_id)
        return 0 if queue is None else queue.key

    def _ask(self, message: Message) -> int:
        return self.send(message)

    def _say(self, message: Message) -> None:
        self.send(message)

    # --- frames from the server

    def _receive(self, frame: Frame) -> None:
        self._patience.heard()
        before, self._metadata = self._metadata, None
        adjacent = before[1] if before is not None and before[0] + 1 == frame.seq else None
        rule = _RULES.get(frame.cmd)
        if rule is not None:
            rule(self, frame, adjacent)
        elif frame.cmd in STORED and (frame.cmd not in LIVE or self._is_stored(frame)):
            self._stored_came(frame, adjacent)
        elif frame.cmd in LIVE:
            self._live_came(frame)
        # Other commands are newer than this client, which ignores them as the published ones do.

    def _is_stored(self, frame: Frame) -> bool:
        """Return whether a frame of a number that two kinds share is the stored one.

        A stored message is pushed, or is part of a sync.
        """
        return bool(frame.flag & PUSH or self._batches)

    def _login_answered(self, frame: Frame, _: client.Metadata | None) -> None:
        status = client.AuthStatus.decode(frame.body, frame.version).status
        self._patience.login_came()
        self._events.append(LoginRefused(status) if status else LoggedIn())

    def _metadata_came(self, frame: Frame, _: client.Metadata | None) -> None:
        self._metadata = frame.seq, client.Metadata.decode(frame.body, frame.version)

    def _stored_came(self, frame: Frame, metadata: client.Metadata | None) -> None:
        message = MESSAGES[frame.cmd].decode(frame.body, frame.version)
        is_self = bool(frame.flag & SELF)
        if frame.flag & PUSH:
            super_group = bool(frame.flag & SUPER_GROUP)
            group_id = (
                message.receiver if isinstance(message, client.GroupIM) and super_group else 0
            )
            if metadata is not None and not self.holding and self._step(group_id, metadata):
                told = MessageReceived(message, metadata.sync_key, is_self, True, group_id)
                self._tell(frame.seq, told)
                self._moved(group_id)
            return
        if not self._batches.add(frame.seq, message, is_self):
            self._tell(frame.seq, MessageReceived(message, None, is_self, False))

    def _live_came(self, frame: Frame) -> None:
        message = LIVE[frame.cmd].decode(frame.body, frame.version)
        self._events.append(LiveReceived(message))

    def _ack_came(self, frame: Frame, metadata: client.Metadata | None) -> None:
        ack = client.Ack.decode(frame.body, frame.version)
        self._patience.ack_came(ack.seq)
        group_id = self._unacked.pop(ack.seq, None)
        if group_id is not None and not ack.status:
            self._own_stored(group_id if frame.flag & SUPER_GROUP else 0, metadata)
        self._events.append(Acked(ack.seq, ack.status))

    def _own_stored(self, queue: int, metadata: client.Metadata | None) -> None:
        # If nothing is between our message and what we have, we have it too.
        if not self._skip_own:
            self._notify(queue, metadata.sync_key if metadata else self.key(queue) + 1)
        elif metadata is not None and self._step(queue, metadata):
            self._moved(queue)

    def _sync_began(self, frame: Frame, _: client.Metadata | None) -> None:
        self._batches.begin(0)

    def _group_sync_began(self, frame: Frame, _: client.Metadata | None) -> None:
        self._batches.begin(client.SyncGroupBegin.decode(frame.body).group_id)

    def _sync_ended(self, frame: Frame, _: client.Metadata | None) -> None:
        self._end(0, client.SyncEnd.decode(frame.body).sync_key)

    def _group_sync_ended(self, frame: Frame, _: client.Metadata | None) -> None:
        end = client.SyncGroupEnd.decode(frame.body)
        self._end(end.group_id, end.sync_key)

    def _notified(self, frame: Frame, _: client.Metadata | None) -> None:
        self._notify(0, client.SyncNotify.decode(frame.body).sync_key)

    def _group_notified(self, frame: Frame, _: client.Metadata | None) -> None:
        notify = client.SyncGroupNotify.decode(frame.body)
        self._notify(notify.group_id, notify.sync_key)

    def _pong_came(self, frame: Frame, _: client.Metadata | None) -> None:
        self._patience.pong_came()
        self._events.append(Ponged())

    # --- queues

    def _queue(self, group_id: int) -> Progress:
        return self._queues.setdefault(group_id, Progress(0))

    def _fetch(self, group_id: int, queue: Progress) -> None:
        self._patience.heard()
        key = queue.ask()
        if group_id:
            self.send(client.SyncGroup(group_id=group_id, sync_key=key))
        else:
            self.send(client.Sync(sync_key=key))

    def _notify(self, group_id: int, msgid: int) -> None:
        queue = self._queue(group_id)
        queue.notify(msgid)
        if queue.behind and not self.holding:
            self._fetch(group_id, queue)

    def _step(self, group_id: int, metadata: client.Metadata) -> bool:
        return self._queue(group_id).follow(metadata.sync_key, metadata.prev_sync_key)

    def _end(self, group_id: int, key: int) -> None:
        for seq, told in self._batches.end(group_id):
            self._tell(seq, told)
        queue = self._queue(group_id)
        before = queue.end(key)
        if key != before:
            self._moved(group_id)
        self._events.append(Synced(key, before, group_id))
        if queue.behind and not self.holding:
            self._fetch(group_id, queue)

    def _moved(self, group_id: int) -> None:
        key = self._queues[group_id].key
        if self._report_keys:
            self.report_key(key, group_id)
        self._events.append(KeyMoved(key, group_id))

    def _tell(self, seq: int, told: MessageReceived) -> None:
        self._events.append(told)
        self.send(client.Ack(seq=seq))


Rule = Callable[[ClientCore, Frame, client.Metadata | None], None]

_RULES: dict[int, Rule] = {
    client.AuthStatus.number: ClientCore._login_answered,
    client.Metadata.number: ClientCore._metadata_came,
    client.Ack.number: ClientCore._ack_came,
    client.SyncBegin.number: ClientCore._sync_began,
    client.SyncEnd.number: ClientCore._sync_ended,
    client.SyncNotify.number: ClientCore._notified,
    client.SyncGroupBegin.number: ClientCore._group_sync_began,
    client.SyncGroupEnd.number: ClientCore._group_sync_ended,
    client.SyncGroupNotify.number: ClientCore._group_notified,
    client.Pong.number: ClientCore._pong_came,
}
