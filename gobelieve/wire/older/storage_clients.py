"""The messages of storage's older clients (port 3333): 200 to 212.

Storage always answers with 204 and seq 0. `gobelieve.wire.older.message_list` describes the
content.
"""

from gobelieve.wire.layout import I32, I64, Inner16, Rest
from gobelieve.wire.message import Message, Sender, message

ASKER, STORAGE = Sender.ASKER, Sender.STORAGE


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
