"""What the app's server announces about groups, in both of its forms.

Published, since 2018, each kind on a channel of its own; the content is text, ``prev:id:`` and
then what depends on the kind:

========================= ===========================
``group_create``          ``gid,appid,super``
``group_disband``         ``gid``
``group_upgrade``         ``gid,appid,1``
``group_member_add``      ``gid,uid``
``group_member_remove``   ``gid,uid``
``group_member_mute``     ``gid,uid,0/1``
========================= ===========================

Entered in the stream ``group_manager_stream``, since 2019, with the fields ``name`` (one of these,
or ``group_changed``), ``group_id``, ``member_id``, ``mute``, ``super``, ``previous_action_id`` and
``action_id``.

``prev`` and ``id`` are the action ids: whoever saw action ``prev`` last has missed nothing.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.interfaces import Change

CREATE = "group_create"
DISBAND = "group_disband"
UPGRADE = "group_upgrade"
CHANGED = "group_changed"
MEMBER_ADD = "group_member_add"
MEMBER_REMOVE = "group_member_remove"
MEMBER_MUTE = "group_member_mute"

_PUBLISHED = {
    CREATE: 3,
    DISBAND: 1,
    UPGRADE: 3,
    MEMBER_ADD: 2,
    MEMBER_REMOVE: 2,
    MEMBER_MUTE: 3,
}
"""How many numbers there are behind the action ids."""

CHANNELS = tuple(_PUBLISHED)
STREAM = "group_manager_stream"
COUNTER = "groups_actions"
"""Where the app's server keeps ``prev:id`` of its newest action."""
NEWEST = "groups_actions_id"
"""Where it keeps the id alone."""

_WHOLE = re.compile(rb"-?[0-9]{1,19}", re.ASCII)


class Event(NamedTuple):
    """One change of one group."""

    previous: int
    action: int
    name: str
    """One of the names above; another one says that something of the group has changed."""
    group_id: int
    uid: int = 0
    """The member, where it is about one."""
    muted: bool = False


def published(change: Change) -> str:
    """What is published of a change, behind the action ids."""
    numbers: tuple[int, ...] = (change.group_id,)
    if change.name in (CREATE, UPGRADE):
        numbers += (change.appid, int(change.super))
    elif change.uid:
        numbers += (change.uid,)
    if change.name == MEMBER_MUTE:
        numbers += (int(change.muted),)
    return ",".join(map(str, numbers))


def entered(change: Change) -> dict[str, str]:
    """The fields of its entry, without the action ids."""
    fields = {"name": change.name, "group_id": str(change.group_id)}
    if change.name in (CREATE, UPGRADE):
        fields |= {"app_id": str(change.appid), "super": str(int(change.super))}
    elif change.uid:
        fields["member_id"] = str(change.uid)
    if change.name == MEMBER_MUTE:
        fields["mute"] = str(int(change.muted))
    return fields


def parse_published(channel: str, content: bytes) -> Event:
    """A message of a channel; `BodyError` if it is none of the above."""
    ids = content.split(b":", 2)
    wanted = _PUBLISHED.get(channel)
    if len(ids) != 3 or wanted is None:
        raise BodyError(f"{channel} {content[:80]!r} is not prev:id:content")
    numbers = [whole(text, channel) for text in ids[2].split(b",")]
    if len(numbers) != wanted:
        raise BodyError(f"{channel} {content[:80]!r} has {len(numbers)} numbers, not {wanted}")
    group_id = nonzero(numbers[0], channel)
    uid = 0
    muted = False
    if channel in (MEMBER_ADD, MEMBER_REMOVE, MEMBER_MUTE):
        uid = nonzero(numbers[1], channel)
    if channel == MEMBER_MUTE:
        muted = flag(numbers[2], channel)
    elif channel == UPGRADE and numbers[2] != 1:
        raise BodyError(f"{channel} to {numbers[2]}")
    return Event(whole(ids[0], channel), whole(ids[1], channel), channel, group_id, uid, muted)


def parse_entered(fields: Mapping[bytes, bytes]) -> Event:
    """An entry of the stream; `BodyError` if it is none."""
    name = fields.get(b"name", b"").decode("utf-8", "replace")
    if not name:
        raise BodyError("an entry without a name")

    def number(field: bytes) -> int:
        return whole(fields.get(field, b""), f"{field.decode()} of {name[:40]}")

    group_id = nonzero(number(b"group_id"), name)
    uid = 0
    muted = False
    if name in (MEMBER_ADD, MEMBER_REMOVE, MEMBER_MUTE):
        uid = nonzero(number(b"member_id"), name)
    if name == MEMBER_MUTE:
        muted = flag(number(b"mute"), name)
    elif name == UPGRADE and b"super" in fields and number(b"super") != 1:
        raise BodyError(f"{name} to {number(b'super')}")
    previous, action = number(b"previous_action_id"), number(b"action_id")
    return Event(previous, action, name, group_id, uid, muted)


def whole(text: bytes, what: str) -> int:
    """A number of 64 bits; `BodyError`, which says what it is of, if it is none."""
    number = int(text) if _WHOLE.fullmatch(text) else None
    if number is None or not -(1 << 63) <= number < 1 << 63:
        raise BodyError(f"{what}: {text[:40]!r} is no number")
    return number


def nonzero(number: int, what: str) -> int:
    """An id; `BodyError` if it is none."""
    if number == 0:
        raise BodyError(f"{what}: the id 0")
    return number


def flag(number: int, what: str) -> bool:
    """0 or 1; `BodyError` if it is neither."""
    if number not in (0, 1):
        raise BodyError(f"{what}: {number} is neither 0 nor 1")
    return bool(number)
