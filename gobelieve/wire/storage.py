"""The messages of storage: its RPC (13333), its clients (3333) and replication (3334).

**The RPC** is between gateway and storage; the Go server does not have it. A request and its answer
have the same `seq`. Many requests may be open, and answers come in any order:

- All saves of one turn of the gateway's event loop travel as one SAVE. They are answered by one
  SAVED, when all of them are on disk.
- A request that fails as a whole is answered by FAILED.
- An empty SAVE is answered when all earlier saves are on disk (or have failed), and can be read.

A SAVE is a sequence of items, each::

    int64   device       the sender's device number
    uint8   cmd          the kind of the body
    uint8   kind         USERS or SUPER_GROUPS: the owners of the queues
    uint32  count        number of queues
    uint32  length       of the body
    count * (int64 appid, int64 id)
    body

and SAVED has for each item, in order::

    uint8   status       0; or an `AckStatus`, and then nothing more follows
    int64   msgid
    count * int64        the previous message id of each queue, 0 if there was none

A PAGE ends with a sequence of messages, oldest first, each::

    int64   msgid
    int64   device
    uint8   cmd
    uint32  length
    body

**Storage clients** send 200 to 212 and always receive 204 with seq 0. Their contents are described
in `gobelieve.wire.message_list`. **Replication** is 220 to 226, described in docs/replication.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct, error, unpack_from
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.wire.layout import I32, I64, U8, U32, Inner16, Rest
from gobelieve.wire.message import Message, Sender, message

ASKER, STORAGE = Sender.ASKER, Sender.STORAGE

USERS = 0
SUPER_GROUPS = 1


@message(200, "SAVE_AND_ENQUEUE", senders=ASKER)
class SaveAndEnqueue(Message):
    """Store the inner frame in a user's queue."""

    inner: Inner16
    appid: I64
    receiver: I64
    device_id: I64


@message(201, "DEQUEUE", senders=ASKER)
class Dequeue(Message):
    """Does nothing; always succeeds."""

    appid: I64
    receiver: I64
    msgid: I64
    device_id: I64


@message(202, "LOAD_OFFLINE", senders=ASKER)
class LoadOffline(Message):
    """Always an empty list."""

    appid: I64
    uid: I64
    device_id: I64


@message(203, "LOAD_GROUP_OFFLINE", senders=ASKER)
class LoadGroupOffline(Message):
    """Always an empty list."""

    appid: I64
    gid: I64
    uid: I64
    device_id: I64


@message(204, "RESULT", senders=STORAGE)
class Result(Message):
    """The answer to each request of a storage client; its content depends on the request."""

    status: I32
    content: Rest


@message(205, "LOAD_LATEST", senders=ASKER)
class LoadLatest(Message):
    """The newest messages of a user; a limit below 1 counts as 1."""

    appid: I64
    uid: I64
    limit: I32


@message(206, "SAVE_AND_ENQUEUE_GROUP", senders=ASKER)
class SaveAndEnqueueGroup(Message):
    """Store the inner frame, a GROUP_IM, in a super group's queue."""

    inner: Inner16
    appid: I64
    receiver: I64
    device_id: I64


@message(207, "DEQUEUE_GROUP", senders=ASKER)
class DequeueGroup(Message):
    """Does nothing; always succeeds."""

    appid: I64
    receiver: I64
    msgid: I64
    gid: I64
    device_id: I64


@message(208, "LOAD_HISTORY", senders=ASKER)
class LoadHistory(Message):
    """All messages of a user after an id."""

    appid: I64
    uid: I64
    msgid: I64


@message(211, "GET_OFFLINE_COUNT", senders=ASKER)
class GetOfflineCount(Message):
    """The Go server declares this request and never answers it."""

    appid: I64
    uid: I64
    device_id: I64


@message(212, "GET_GROUP_OFFLINE_COUNT", senders=ASKER)
class GetGroupOfflineCount(Message):
    """The Go server declares this request and never answers it."""

    appid: I64
    gid: I64
    uid: I64
    device_id: I64


@message(220, "STORAGE_SYNC_BEGIN", senders=Sender.SLAVE)
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


@message(223, "STORAGE_SYNC_POSITION", senders=Sender.SLAVE)
class StorageSyncPosition(Message):
    """A slave has everything before this id on disk. The Go server does not know 223 to 226."""

    cursor: I64


@message(224, "STORAGE_SYNC_REFUSED", senders=STORAGE)
class StorageSyncRefused(Message):
    """The master refuses a slave; the reason is UTF-8. Then the connection ends."""

    reason: Rest


@message(225, "STORAGE_SYNC_TAIL", senders=Sender.SLAVE)
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


@message(230, "SAVE", senders=ASKER)
class Save(Message):
    """Messages to store; the format of `items` is in the module's docstring."""

    items: Rest


@message(231, "SAVED", senders=STORAGE)
class Saved(Message):
    """The answer to SAVE: each message with status 0 is on disk."""

    results: Rest


@message(232, "FETCH", senders=ASKER)
class Fetch(Message):
    """Request the oldest messages after an id in a user's queue: at most `limit`.

    With 0 storage uses its own limit.
    """

    appid: I64
    uid: I64
    after: I64
    limit: U32


@message(233, "FETCH_GROUP", senders=ASKER)
class FetchGroup(Message):
    """Request the oldest messages after an id in a super group's queue: at most `limit`.

    GROUP_IM older than `joined` (seconds since 1970) is left out.
    """

    appid: I64
    group_id: I64
    after: I64
    joined: I32
    limit: U32


@message(234, "FETCH_LATEST", senders=ASKER)
class FetchLatest(Message):
    """Request the newest messages in a user's queue: at most `limit`."""

    appid: I64
    uid: I64
    limit: U32


@message(235, "PAGE", senders=STORAGE)
class Page(Message):
    """Messages of one queue, oldest first.

    `last` is the id up to which the page reaches: the client's next key (0: an empty queue).
    `newest` is the newest id in the queue, and `more` is 1 if it is beyond `last`.
    """

    last: I64
    newest: I64
    more: U8
    messages: Rest


@message(236, "COUNT_NEW", senders=ASKER)
class CountNew(Message):
    """Request the number of messages that a user's queue has after an id."""

    appid: I64
    uid: I64
    after: I64


@message(237, "COUNTED", senders=STORAGE)
class Counted(Message):
    """The answer to COUNT_NEW."""

    count: I64


@message(238, "FAILED", senders=STORAGE)
class Failed(Message):
    """The request failed: an `AckStatus` and a reason in UTF-8."""

    status: U8
    reason: Rest


@message(241, "FETCH_BEFORE", senders=ASKER)
class FetchBefore(Message):
    """Request the newest messages before an id in a user's queue: at most `limit`.

    In the PAGE, `last` is the oldest id that it reaches (0: there are none before). `more` is 1 if
    there may be others before `last`.
    """

    appid: I64
    uid: I64
    before: I64
    limit: U32


@message(239, "STORAGE_PING", senders=ASKER)
class StoragePing(Message):
    """Check that storage answers."""


@message(240, "STORAGE_PONG", senders=STORAGE)
class StoragePong(Message):
    """The answer to STORAGE_PING."""


_ITEM = Struct(">qBBII")
_PEERS = Struct(">qBBIIqqqq")
_SAVED_HEAD = Struct(">Bq")
_SAVED_PEERS = Struct(">Bqqq")
_STORED = Struct(">qqBI")


class SaveItem(NamedTuple):
    """A body to store once and to enter in several queues; `queues` alternates appid and id."""

    device: int
    cmd: int
    kind: int
    queues: tuple[int, ...]
    body: bytes


def pack_save(device: int, cmd: int, kind: int, queues: Sequence[int], body: bytes) -> bytes:
    """Return one item of SAVE; `queues` alternates appid and id."""
    if len(queues) == 4:
        return _PEERS.pack(device, cmd, kind, 2, len(body), *queues) + body
    count = len(queues) // 2
    head = _ITEM.pack(device, cmd, kind, count, len(body))
    return head + Struct(f">{2 * count}q").pack(*queues) + body


def unpack_saves(items: bytes) -> list[SaveItem]:
    """Return the items of a SAVE; `BodyError` if they are cut short."""
    found: list[SaveItem] = []
    at, end = 0, len(items)
    try:
        while at < end:
            device, cmd, kind, count, length = _ITEM.unpack_from(items, at)
            at += _ITEM.size
            if count * 16 + length > end - at:
                raise BodyError("an item of SAVE is cut short")
            queues = unpack_from(f">{2 * count}q", items, at)
            at += 16 * count
            found.append(SaveItem(device, cmd, kind, queues, items[at : at + length]))
            at += length
    except error:
        raise BodyError("the head of an item of SAVE is cut short") from None
    return found


def pack_saved(status: int, msgid: int, prevs: Sequence[int]) -> bytes:
    """Return one result of SAVED."""
    if status:
        return bytes((status,))
    if len(prevs) == 2:
        return _SAVED_PEERS.pack(0, msgid, *prevs)
    return _SAVED_HEAD.pack(0, msgid) + Struct(f">{len(prevs)}q").pack(*prevs)


def unpack_saved(results: bytes, at: int, count: int) -> tuple[int, int, tuple[int, ...], int]:
    """Return (status, msgid, previous ids, next offset) of the result at `at`.

    `count` is the number of queues of its item.
    """
    try:
        if results[at]:
            return results[at], 0, (), at + 1
        if count == 2:
            _, msgid, first, second = _SAVED_PEERS.unpack_from(results, at)
            return 0, msgid, (first, second), at + _SAVED_PEERS.size
        _, msgid = _SAVED_HEAD.unpack_from(results, at)
        at += _SAVED_HEAD.size
        return 0, msgid, unpack_from(f">{count}q", results, at), at + 8 * count
    except (error, IndexError):
        raise BodyError("SAVED is cut short") from None


class StoredMessage(NamedTuple):
    """A message as storage returns it."""

    msgid: int
    device: int
    cmd: int
    body: bytes


def pack_messages(messages: Iterable[StoredMessage]) -> bytes:
    """Return the bytes of the messages in a PAGE."""
    parts: list[bytes] = []
    for msgid, device, cmd, body in messages:
        parts += (_STORED.pack(msgid, device, cmd, len(body)), body)
    return b"".join(parts)


def unpack_messages(row: bytes) -> Iterator[StoredMessage]:
    """Return the messages of a PAGE; `BodyError` if they are cut short."""
    at, end = 0, len(row)
    while at < end:
        if end - at < _STORED.size:
            raise BodyError("the head of a message of PAGE is cut short")
        msgid, device, cmd, length = _STORED.unpack_from(row, at)
        at += _STORED.size
        if length > end - at:
            raise BodyError("a message of PAGE is cut short")
        yield StoredMessage(msgid, device, cmd, row[at : at + length])
        at += length
