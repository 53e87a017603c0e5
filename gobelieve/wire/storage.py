"""The messages of storage's RPC (port 13333), between gateway and storage.

The Go server does not have this RPC. A request and its answer have the same `seq`. Many requests
may be open, and answers come in any order:

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
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct, error, unpack_from
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.wire.layout import I32, I64, U8, U32, Rest
from gobelieve.wire.message import Message, Sender, message

ASKER, STORAGE = Sender.ASKER, Sender.STORAGE

USERS = 0
SUPER_GROUPS = 1


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
