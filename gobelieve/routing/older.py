"""Publications for gateways that speak version 0, which is all that upstream's speak.

Version 1 says in one publication what version 0 says in two: the message with its id, then the
SYNC_NOTIFY with the same id. The previous id is lost on the way; version 0 has no place for it.
"""

from collections.abc import Callable

from gobelieve.errors import BodyError
from gobelieve.wire.client import SyncGroupNotify, SyncNotify
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM

DELIVERY_FLAGS = {PUBLISH: PUSH, PUBLISH_GROUP: PUSH | SUPER_GROUP, PUBLISH_ROOM: PUSH}
"""What the inner flag of a publication with an id must have: without it upstream's gateway ends
its whole process."""

_FLAG_AT = 10
_NOTIFIES: dict[int, Callable[[Publication], bytes]] = {
    PUBLISH: lambda told: SyncNotify(sync_key=told.msgid).frame(version=0),
    PUBLISH_GROUP: lambda told: SyncGroupNotify(group_id=told.receiver, sync_key=told.msgid).frame(
        version=0
    ),
}


def for_version_0(cmd: int, body: bytes, version: int) -> list[bytes]:
    """The bodies to send in place of this one, in order; `BodyError` if it is too long.

    A body that was in version 0 already is left as it came, the seed's layout too.
    """
    told = Publication.read(body, version)
    wanted = DELIVERY_FLAGS[cmd]
    bare = told
    if told.msgid and told.inner[_FLAG_AT] & wanted != wanted:
        bare = told._replace(msgid=0)
    if version < 1:
        return [_fitting(body if bare is told else bare.body(0))]
    bodies = [_fitting(bare.body(0))]
    if told.msgid and cmd in _NOTIFIES:
        bodies.append(told._replace(msgid=0, inner=_NOTIFIES[cmd](told)).body(0))
    return bodies


def _fitting(body: bytes) -> bytes:
    if len(body) > CLIENT_BODY_LIMIT:
        raise BodyError(f"{len(body)} bytes, a gateway of version 0 takes {CLIENT_BODY_LIMIT}")
    return body
