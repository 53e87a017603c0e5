"""The messages of replication (port 3334): 220 to 226, described in docs/replication.md."""

from gobelieve.wire.layout import I32, I64, U32, Inner16, Rest
from gobelieve.wire.message import Message, Sender, message

SLAVE, STORAGE = Sender.SLAVE, Sender.STORAGE


@message(220, "STORAGE_SYNC_BEGIN", senders=SLAVE)
class StorageSyncBegin(Message):
    """A slave requests everything from this id on."""

    cursor: I64


@message(221, "STORAGE_SYNC_MESSAGE", senders=STORAGE)
class StorageSyncMessage(Message):
    """One record for a slave. No version of the Go server sends it; it is read all the same."""

    msgid: I64
    device_id: I64
    inner: Inner16


@message(222, "STORAGE_SYNC_MESSAGE_BATCH", senders=STORAGE)
class StorageSyncMessageBatch(Message):
    """Consecutive records of one block for a slave, as frames without their magics."""

    first_id: I64
    last_id: I64
    count: I32
    frames: Rest


@message(223, "STORAGE_SYNC_POSITION", senders=SLAVE)
class StorageSyncPosition(Message):
    """A slave has everything before this id on disk. The Go server does not know 223 to 226."""

    cursor: I64


@message(224, "STORAGE_SYNC_REFUSED", senders=STORAGE)
class StorageSyncRefused(Message):
    """The master refuses a slave; the reason is UTF-8. Then the connection ends."""

    reason: Rest


@message(225, "STORAGE_SYNC_TAIL", senders=SLAVE)
class StorageSyncTail(Message):
    """The CRC-32 of the last bytes that a slave has: those from one id to another.

    It follows a STORAGE_SYNC_BEGIN with version 2 in its header.
    """

    first_id: I64
    end_id: I64
    checksum: U32


@message(226, "STORAGE_SYNC_BYTES", senders=STORAGE)
class StorageSyncBytes(Message):
    """Bytes of a block that are not records: its header (at offset 0), or damage, unchanged.

    `ended` is the end of what was sent before: the position that the slave must have.
    """

    ended: I64
    first_id: I64
    content: Rest
