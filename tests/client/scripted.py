"""The server's end of a client's connection, said line by line: real frames, no server."""

from gobelieve.wire import Frame, FrameReader, Message, client, decode
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH


class ServerEnd:
    """Numbers and encodes what the server says, decodes what the client said."""

    def __init__(self, version: int = 2) -> None:
        self.version = version
        self._seq = 0
        self._reader = FrameReader(CLIENT_BODY_LIMIT)
        self.unacked: list[int] = []
        """The seqs of the messages that were read and not acked by `acks`."""

    def frame(self, message: Message, flag: int = 0) -> bytes:
        """The next frame of the connection."""
        self._seq += 1
        return message.frame(self._seq, self.version, flag)

    def push(self, message: Message, msgid: int, prev: int, flag: int = 0) -> bytes:
        """METADATA, the message, and the notify, as a gateway delivers."""
        metadata = client.Metadata(sync_key=msgid, prev_sync_key=prev)
        return (
            self.frame(metadata)
            + self.frame(message, flag | PUSH)
            + self.frame(client.SyncNotify(sync_key=msgid))
        )

    def batch(self, key: int, messages: list[Message], end: int) -> bytes:
        """The answer to a sync."""
        return b"".join(
            [
                self.frame(client.SyncBegin(sync_key=key)),
                *(self.frame(message) for message in messages),
                self.frame(client.SyncEnd(sync_key=end)),
            ]
        )

    def ack(self, seq: int, msgid: int = 0, prev: int = 0, status: int = 0) -> bytes:
        """The answer to a message that was stored."""
        metadata = b""
        if msgid:
            metadata = self.frame(client.Metadata(sync_key=msgid, prev_sync_key=prev))
        return metadata + self.frame(client.Ack(seq=seq, status=status))

    def frames(self, data: bytes) -> list[Frame]:
        """What the client's bytes are."""
        frames = self._reader.feed(data)
        assert self._reader.error is None, self._reader.error
        self.unacked += [f.seq for f in frames if f.cmd in (4, 8, 20)]
        return frames

    def acks(self, count: int | None = None) -> bytes:
        """Acks for the oldest so many messages, or for all."""
        now, self.unacked = self.unacked[:count], self.unacked[len(self.unacked[:count]) :]
        return b"".join(self.ack(seq) for seq in now)

    def read(self, data: bytes) -> list[Message]:
        """What the client said."""
        return [decode(frame) for frame in self.frames(data)]


def im(content: str, sender: int = 2, receiver: int = 1) -> client.IM:
    """A message from 2 to 1."""
    return client.IM(
        sender=sender, receiver=receiver, timestamp=9, msgid=0, content=content.encode()
    )
