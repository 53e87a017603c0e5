"""The words that all floors share: users, platforms, and the statuses of an ack."""

from enum import IntEnum
from typing import NamedTuple


class User(NamedTuple):
    """Who owns a queue: an id (of a user, or of a super group) within an application."""

    appid: int
    uid: int


class GroupReader(NamedTuple):
    """A user as the reader of a super group's queue."""

    appid: int
    uid: int
    group_id: int


class Room(NamedTuple):
    """Where everybody who is in hears everybody, within an application. Nothing is stored."""

    appid: int
    room_id: int


class Platform(IntEnum):
    """What a client says it runs on. Other numbers are accepted and mean nothing special."""

    IOS = 1
    ANDROID = 2
    WEB = 3
    SERVER = 4
    MACOS = 5


MOBILE = frozenset({Platform.IOS, Platform.ANDROID})


class AckStatus(IntEnum):
    """The status byte of an ack (protocol version 2 and up) and of a storage answer.

    Up to 65 they are upstream's; from 100 our own, see docs/protocol.md. The statuses from
    100 to 109 say "not stored": a client below version 2 gets no ack at all for them, so that
    it sends again, while a refusal by a rule is a plain ack for such a client.
    """

    SUCCESS = 0
    NOT_MY_FRIEND = 1
    NOT_YOUR_FRIEND = 2
    IN_YOUR_BLACKLIST = 3
    NOT_GROUP_MEMBER = 64
    GROUP_NONEXIST = 65
    STORAGE_AWAY = 100
    TOO_LARGE = 101
    STORAGE_FULL = 102
    STORAGE_FAILED = 103
    READ_ONLY = 104
    GROUPS_AWAY = 105
    RELATIONS_AWAY = 106
    FORGED_SENDER = 110
    MUTED = 111
    FORBIDDEN = 112
    WRONG_ROOM = 113
    NO_SELLER = 114


def was_not_stored(status: int) -> bool:
    """True for the statuses after which a client should send its message again."""
    return 100 <= status < 110


def status_name(status: int) -> str:
    """A status in a word; its number if there is none for it."""
    try:
        return AckStatus(status).name
    except ValueError:
        return str(status)


def shard(id_: int, count: int) -> int:
    """Which of `count` instances an id belongs to: ``|id| mod count``, as upstream shards."""
    return abs(id_) % count
