"""What the app's server announces about relations of users.

Entered in the stream ``relationship_stream``, since 2019, with the fields ``name`` (``friend`` or
``blacklist``), ``app_id``, ``uid``, ``friend_uid``, then ``friend`` or ``blacklist`` (0 or 1:
whether uid has friend_uid there), ``previous_action_id`` and ``action_id``, which number the
changes as those of groups are numbered.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gobelieve.errors import BodyError
from gobelieve.groups.events import flag, nonzero, whole

FRIEND = "friend"
BLACKLIST = "blacklist"

STREAM = "relationship_stream"
COUNTER = "friends_actions"
"""Where the app's server keeps ``prev:id`` of its newest action."""


class RelationEvent(NamedTuple):
    """A user has, or has no longer, another one among the friends, or in the blacklist."""

    previous: int
    action: int
    name: str
    """One of the names above; another one says that something of the two has changed."""
    appid: int
    uid: int
    friend_uid: int
    there: bool = False


def parse_entered(fields: Mapping[bytes, bytes]) -> RelationEvent:
    """An entry of the stream; `BodyError` if it is none."""
    name = fields.get(b"name", b"").decode("utf-8", "replace")
    if not name:
        raise BodyError("an entry without a name")

    def number(field: str) -> int:
        return whole(fields.get(field.encode(), b""), f"{field} of {name[:40]}")

    appid = number("app_id")
    uid, friend_uid = nonzero(number("uid"), name), nonzero(number("friend_uid"), name)
    there = flag(number(name), name) if name in (FRIEND, BLACKLIST) else False
    previous, action = number("previous_action_id"), number("action_id")
    return RelationEvent(previous, action, name, appid, uid, friend_uid, there)
