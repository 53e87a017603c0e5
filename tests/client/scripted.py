"""The server's end of a client's connection. The test says each frame; there is no server."""

from gobelieve.wire import Frame, FrameReader, Message, client, decode
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SUPER_GROUP


class ServerEnd:
    """Numbers and encodes the server's messages, and decodes those of the client."""

    def __init__(self, version: int = 2) -> None:
        self.version = version
        self._seq = 0
        self._reader = FrameReader(CLIENT_BODY_LIMIT)
        self.unacked: list[int] = []
        """The seqs of the messages that were read and not acked by `acks`."""

    def frame(self, message: Message, flag: int = 0) -> bytes:
        """Encode the next frame of the connection."""
        self._seq += 1
        return message.frame(self._seq, self.version, flag)

    def notify(self, msgid: int, group_id: int = 0) -> bytes:
        """Notify the client that a queue has this id."""
        if group_id:
            return self.frame(client.SyncGroupNotify(group_id=group_id, sync_key=msgid))
        return self.frame(client.SyncNotify(sync_key=msgid))

    def push(
        self, message: Message, msgid: int, prev: int, flag: int = 0, group_id: int = 0
    ) -> bytes:
        """Encode METADATA, the message and the notify, as a gateway sends them."""
        metadata = client.Metadata(sync_key=msgid, prev_sync_key=prev)
        flag |= PUSH | (SUPER_GROUP if group_id else 0)
        return self.frame(metadata) + self.frame(message, flag) + self.notify(msgid, group_id)

    def batch(self, key: int, messages: list[Message], end: int, group_id: int = 0) -> bytes:
        """Encode the answer to a sync."""
        begin: Message = client.SyncBegin(sync_key=key)
        ending: Message = client.SyncEnd(sync_key=end)
        if group_id:
            begin = client.SyncGroupBegin(group_id=group_id, sync_key=key)
            ending = client.SyncGroupEnd(group_id=group_id, sync_key=end)
        return b"".join(map(self.frame, [begin, *messages, ending]))

    def ack(
        self, seq: int, msgid: int = 0, prev: int = 0, status: int = 0, group_id: int = 0
    ) -> bytes:
        """Encode the answer to a message that was stored."""
        metadata = b""
        if msgid:
            metadata = self.frame(client.Metadata(sync_key=msgid, prev_sync_key=prev))
        flag = SUPER_GROUP if group_id else 0
        return metadata + self.frame(client.Ack(seq=seq, status=status), flag)

    def frames(self, data: bytes) -> list[Frame]:
        """Return the frames in the client's bytes."""
        frames = self._reader.feed(data)
        assert self._reader.error is None, self._reader.error
        self.unacked += [f.seq for f in frames if f.cmd in (4, 8, 20, 24, 25, 64)]
        return frames

    def acks(self, count: int | None = None) -> bytes:
        """Encode acks for this number of the oldest messages, or for all."""
        now, self.unacked = self.unacked[:count], self.unacked[len(self.unacked[:count]) :]
        return b"".join(self.ack(seq) for seq in now)

    def read(self, data: bytes) -> list[Message]:
        """Return the messages in the client's bytes."""
        return [decode(frame) for frame in self.frames(data)]


def im(content: str, sender: int = 2, receiver: int = 1) -> client.IM:
    """Return a message from user 2 to user 1."""
    return client.IM(
        sender=sender, receiver=receiver, timestamp=9, msgid=0, content=content.encode()
    )


def group_im(content: str, group_id: int, sender: int = 2) -> client.GroupIM:
    """Return a message from user 2 to a group."""
    return client.GroupIM(
        sender=sender, receiver=group_id, timestamp=9, msgid=0, content=content.encode()
    )
