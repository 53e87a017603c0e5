"""The client's side of the dialogue, without network and clock.

Requests (`log_in`, `sync`, `send_im`...) queue frames; `data_to_send` or `frames_to_send` returns
them. `receive_data` takes bytes from the server and returns events. The owner calls `tick` once per
second: all delays are counted in ticks.

The messages of a sync have no ids. They become events together when the sync is complete. A sync
that was interrupted is asked for again, so no message is reported twice.

A core lives longer than a connection. `connect` begins with a new connection.
"""

from collections.abc import Callable, Mapping

from gobelieve.client.dialogue.queues import Queues
from gobelieve.client.dialogue.timeouts import Timeouts, Timing
from gobelieve.client.events import (
    Acked,
    Broken,
    Event,
    LiveReceived,
    LoggedIn,
    LoginRefused,
    MessageReceived,
    Overdue,
    Ponged,
)
from gobelieve.client.requests import Requests
from gobelieve.errors import BodyError, WireError
from gobelieve.names import Platform
from gobelieve.wire import Frame, FrameReader, Message, client, encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SELF, SUPER_GROUP
from gobelieve.wire.message import LIVE, MESSAGES, STORED

MAX_SEQ = 0x7FFFFFFF
"""The number of a frame after which the count begins at 1 again."""


class ClientCore(Requests[int]):
    """One user on one device. Requests that the server acks return the seq that the ack names.

    `keys` are the sync keys at the beginning, by group id; 0 is the user's own queue. With
    `skip_own` the client does not fetch a message that it sent itself. With `report_keys` every
    step is reported to the server at once. Otherwise the owner calls `report_key` when the
    messages are safe.
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
        self._timeouts = Timeouts(timing)
        self._queues = Queues(
            keys or {},
            send=self.send,
            emit=self._emit,
            timeouts=self._timeouts,
            report_keys=report_keys,
            skip_own=skip_own,
        )
        self._seq = 0
        self.connect()

    # --- the connection

    def connect(self) -> None:
        """Begin with a new connection, and forget what belonged to the last one."""
        self._reader = FrameReader(CLIENT_BODY_LIMIT)
        self._frames: list[bytes] = []
        self._events: list[Event] = []
        self._broken = False
        self._unacked: dict[int, int] = {}
        """The group of each message without an ack, by seq; 0 for a message to a user."""
        self._metadata: tuple[int, client.Metadata] | None = None
        self._timeouts.reset()
        self._queues.disconnect()

    def frames_to_send(self) -> list[bytes]:
        """Return the frames to send, each by itself. They are not returned again."""
        frames, self._frames = self._frames, []
        return frames

    def data_to_send(self) -> bytes:
        """Return the frames to send in one piece. They are not returned again."""
        return b"".join(self.frames_to_send())

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the server and return events. Bad bytes raise no error: see `Broken`."""
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
        """Count one second. Queues PING after a silence, and returns what is overdue."""
        overdue = self._timeouts.tick(self._queues.is_syncing)
        if overdue is not None:
            return [Overdue(overdue)]
        if self._timeouts.is_ping_due:
            self.ping()
        return []

    # --- requests

    def send(self, message: Message, flag: int = 0) -> int:
        """Queue a frame and return its seq. Raises `BodyError` if the message is too long."""
        body = message.encode(self.version)
        if len(body) > CLIENT_BODY_LIMIT:
            raise BodyError(f"the body has {len(body)} bytes; the limit is {CLIENT_BODY_LIMIT}")
        self._seq = self._seq % MAX_SEQ + 1
        self._timeouts.frame_sent()
        self._frames.append(encode_frame(message.number, body, self._seq, self.version, flag))
        if message.acked:
            self._timeouts.expect_ack(self._seq)
            if isinstance(message, client.GroupIM):
                self._unacked[self._seq] = message.receiver
            elif message.number in STORED:
                self._unacked[self._seq] = 0
        return self._seq

    def enter_room(self, room: int) -> None:
        """Enter a room, and leave any other."""
        self.send(client.EnterRoom(room=room))

    def leave_room(self, room: int) -> None:
        """Leave a room, and be in none."""
        self.send(client.LeaveRoom(room=room))

    def log_in(self, token: str, platform: int = Platform.ANDROID, device_id: str = "") -> None:
        """Queue the login. Other requests may follow before the server answers."""
        self._timeouts.expect_login()
        self.send(
            client.AuthToken(platform=platform, token=token.encode(), device_id=device_id.encode())
        )

    def ping(self) -> None:
        """Queue PING. `Ponged` follows, or `Overdue`."""
        self._timeouts.expect_pong()
        self.send(client.Ping())

    def _send_acked(self, message: Message) -> int:
        return self.send(message)

    def _send_unacked(self, message: Message) -> None:
        self.send(message)

    # --- queues

    @property
    def holding(self) -> bool:
        """Whether no message is accepted until `resume`."""
        return self._queues.holding

    def key(self, group_id: int = 0) -> int:
        """Return how far the client is in a queue: the id of the last message, or 0."""
        return self._queues.key(group_id)

    def report_key(self, key: int, group_id: int = 0) -> None:
        """Report to the server that all messages up to this key are safe."""
        self._queues.report_key(key, group_id)

    def sync(self, group_id: int = 0) -> None:
        """Ask for new messages. Does nothing while a sync of this queue is running."""
        self._queues.sync(group_id)

    def sync_all(self) -> None:
        """Ask for new messages of the user's queue and of every known super group."""
        self._queues.sync_all()

    def hold(self) -> None:
        """Accept no more messages after the running sync, until `resume`."""
        self._queues.holding = True

    def resume(self) -> None:
        """Accept messages again, and fetch those that came in between."""
        self._queues.resume()

    # --- frames from the server

    def _receive(self, frame: Frame) -> None:
        self._timeouts.frame_received()
        before, self._metadata = self._metadata, None
        adjacent = before[1] if before is not None and before[0] + 1 == frame.seq else None
        rule = _RULES.get(frame.cmd)
        if rule is not None:
            rule(self, frame, adjacent)
        elif frame.cmd in STORED and (frame.cmd not in LIVE or self._is_stored(frame)):
            self._stored_received(frame, adjacent)
        elif frame.cmd in LIVE:
            self._live_received(frame)
        # Other commands are newer than this client. It ignores them, as the published clients do.

    def _is_stored(self, frame: Frame) -> bool:
        """Return whether a frame of a number that two kinds share is the stored one.

        A stored message is pushed, or is part of a sync.
        """
        return bool(frame.flag & PUSH or self._queues.is_answered)

    def _login_answered(self, frame: Frame, _: client.Metadata | None) -> None:
        status = client.AuthStatus.decode(frame.body, frame.version).status
        self._timeouts.login_answered()
        self._emit(LoginRefused(status) if status else LoggedIn())

    def _metadata_received(self, frame: Frame, _: client.Metadata | None) -> None:
        self._metadata = frame.seq, client.Metadata.decode(frame.body, frame.version)

    def _stored_received(self, frame: Frame, metadata: client.Metadata | None) -> None:
        message = MESSAGES[frame.cmd].decode(frame.body, frame.version)
        is_self = bool(frame.flag & SELF)
        if not frame.flag & PUSH:
            self._queues.synced(frame.seq, message, is_self)
        elif metadata is not None:
            group_id = 0
            if frame.flag & SUPER_GROUP and isinstance(message, client.GroupIM):
                group_id = message.receiver
            event = MessageReceived(message, metadata.sync_key, is_self, True, group_id)
            self._queues.pushed(frame.seq, event, metadata)

    def _live_received(self, frame: Frame) -> None:
        self._emit(LiveReceived(LIVE[frame.cmd].decode(frame.body, frame.version)))

    def _ack_received(self, frame: Frame, metadata: client.Metadata | None) -> None:
        ack = client.Ack.decode(frame.body, frame.version)
        self._timeouts.ack_received(ack.seq)
        group_id = self._unacked.pop(ack.seq, None)
        if group_id is not None and not ack.status:
            self._queues.own_stored(group_id if frame.flag & SUPER_GROUP else 0, metadata)
        self._emit(Acked(ack.seq, ack.status))

    def _sync_began(self, frame: Frame, _: client.Metadata | None) -> None:
        self._queues.begin(0)

    def _group_sync_began(self, frame: Frame, _: client.Metadata | None) -> None:
        self._queues.begin(client.SyncGroupBegin.decode(frame.body).group_id)

    def _sync_ended(self, frame: Frame, _: client.Metadata | None) -> None:
        self._queues.end(0, client.SyncEnd.decode(frame.body).sync_key)

    def _group_sync_ended(self, frame: Frame, _: client.Metadata | None) -> None:
        end = client.SyncGroupEnd.decode(frame.body)
        self._queues.end(end.group_id, end.sync_key)

    def _notified(self, frame: Frame, _: client.Metadata | None) -> None:
        self._queues.notified(0, client.SyncNotify.decode(frame.body).sync_key)

    def _group_notified(self, frame: Frame, _: client.Metadata | None) -> None:
        notify = client.SyncGroupNotify.decode(frame.body)
        self._queues.notified(notify.group_id, notify.sync_key)

    def _pong_received(self, frame: Frame, _: client.Metadata | None) -> None:
        self._timeouts.pong_received()
        self._emit(Ponged())

    def _emit(self, event: Event) -> None:
        self._events.append(event)


Rule = Callable[[ClientCore, Frame, client.Metadata | None], None]

_RULES: dict[int, Rule] = {
    client.AuthStatus.number: ClientCore._login_answered,
    client.Metadata.number: ClientCore._metadata_received,
    client.Ack.number: ClientCore._ack_received,
    client.SyncBegin.number: ClientCore._sync_began,
    client.SyncEnd.number: ClientCore._sync_ended,
    client.SyncNotify.number: ClientCore._notified,
    client.SyncGroupBegin.number: ClientCore._group_sync_began,
    client.SyncGroupEnd.number: ClientCore._group_sync_ended,
    client.SyncGroupNotify.number: ClientCore._group_notified,
    client.Pong.number: ClientCore._pong_received,
}
