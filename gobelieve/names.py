"""The types that all floors share: users, rooms, platforms, and the statuses of an ack."""

from enum import IntEnum
from typing import NamedTuple


class User(NamedTuple):
    """The owner of a queue: a user (or a super group, by its id) within an application."""

    appid: int
    uid: int


class GroupReader(NamedTuple):
    """A user as the reader of a super group's queue."""

    appid: int
    uid: int
    group_id: int


class Room(NamedTuple):
    """A room within an application. Its messages reach the clients in it, and are not stored."""

    appid: int
    room_id: int


class Platform(IntEnum):
    """The platform that a client names at its login. Other numbers are accepted too."""

    IOS = 1
    ANDROID = 2
    WEB = 3
    SERVER = 4
    MACOS = 5


MOBILE = frozenset({Platform.IOS, Platform.ANDROID})


class AckStatus(IntEnum):
    """The status byte of an ack (protocol version 2 and up) and of a storage answer.

    Statuses up to 65 are those of the Go server; those from 100 exist only here, see
    docs/protocol.md. 100 to 109 mean "not stored". For them a client below version 2 gets no ack,
    so that it sends the message again. For a refusal by a rule it gets a plain ack.
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
    """Return True for the statuses after which a client should send its message again."""
    return 100 <= status < 110


def status_name(status: int) -> str:
    """Return the name of a status, or its number if it has no name."""
    try:
        return AckStatus(status).name
    except ValueError:
        return str(status)


def shard(id_: int, count: int) -> int:
    """Return which of `count` instances has an id: ``|id| mod count``, as in the Go server."""
    return abs(id_) % count
