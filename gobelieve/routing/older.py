"""Converts publications for gateways of version 0, such as those of the Go server.

One publication of version 1 becomes two of version 0: the message with its id, then a SYNC_NOTIFY
with the same id. The previous id is lost, since version 0 has no field for it.
"""

from collections.abc import Callable

from gobelieve.errors import BodyError
from gobelieve.wire.client import SyncGroupNotify, SyncNotify
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM

DELIVERY_FLAGS = {PUBLISH: PUSH, PUBLISH_GROUP: PUSH | SUPER_GROUP, PUBLISH_ROOM: PUSH}
"""The inner flags that a publication with an id must have: without them the gateway of the Go
server ends its whole process."""

_FLAG_AT = 10
_NOTIFIES: dict[int, Callable[[Publication], bytes]] = {
    PUBLISH: lambda it: SyncNotify(sync_key=it.msgid).frame(version=0),
    PUBLISH_GROUP: lambda it: SyncGroupNotify(group_id=it.receiver, sync_key=it.msgid).frame(
        version=0
    ),
}


def for_version_0(cmd: int, body: bytes, version: int) -> list[bytes]:
    """Return the bodies to send in place of this one, in order; `BodyError` if one is too long.

    A body of version 0 stays as it came, also in the layout of the seed.
    """
    publication = Publication.read(body, version)
    wanted = DELIVERY_FLAGS[cmd]
    bare = publication
    if publication.msgid and publication.inner[_FLAG_AT] & wanted != wanted:
        bare = publication._replace(msgid=0)
    if version < 1:
        return [_within_limit(body if bare is publication else bare.body(0))]
    bodies = [_within_limit(bare.body(0))]
    if publication.msgid and cmd in _NOTIFIES:
        bodies.append(publication._replace(msgid=0, inner=_NOTIFIES[cmd](publication)).body(0))
    return bodies


def _within_limit(body: bytes) -> bytes:
    if len(body) > CLIENT_BODY_LIMIT:
        raise BodyError(f"{len(body)} bytes, but a gateway of version 0 takes {CLIENT_BODY_LIMIT}")
    return body
