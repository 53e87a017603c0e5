"""The three frames of a delivery packed at once: METADATA, the message, the notify.

Packed and sent one by one the frames cost 1.5 us per session, packed at once 0.8 us. If many
sessions get the same bytes except the seqs, it is 0.7 us. (For a single frame, as in rooms, there
is nothing to gain.)
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct

from gobelieve.wire import bodies, client
from gobelieve.wire.frames import HEADER, PUSH, SUPER_GROUP

LAST_SEQ = 0x7FFFFFFF
"""The last seq; a session then begins again with 1. Frames packed at once must not cross it."""
VERSIONS = 3

Run = Callable[[int], bytes]
"""Returns the three frames, of which the first one has the given seq."""


class GroupMessage:
    """A message in the queue of a super group, as its members get it.

    `prev` is 0 if the previous id is not known, or must not be sent.
    """

    __slots__ = ("_body", "_cmd", "_runs", "commands", "group_id", "key", "prev")

    def __init__(self, cmd: int, body: bytes, group_id: int, key: int, prev: int) -> None:
        self._cmd = cmd
        self._body = body
        self.group_id = group_id
        self.key = key
        self.prev = prev
        self.commands = (client.Metadata.number, cmd, client.SyncGroupNotify.number)
        self._runs: list[Run | None] = [None] * VERSIONS

    def run(self, version: int) -> Run:
        """Return the packed frames for sessions of this version."""
        found = self._runs[version]
        if found is None:
            found = self._runs[version] = _packed(self.frames(version), version)
        return found

    def frames(self, version: int) -> list[tuple[int, int, bytes]]:
        """Return command, flag and body of each of the three frames."""
        body = self._body
        if version == 0:
            body = bodies.for_version_0(self._cmd, body)
        metadata = client.Metadata(sync_key=self.key, prev_sync_key=self.prev)
        notify = client.SyncGroupNotify(group_id=self.group_id, sync_key=self.key)
        return [
            (metadata.number, 0, metadata.encode()),
            (self._cmd, PUSH | SUPER_GROUP, body),
            (notify.number, 0, notify.encode()),
        ]


def _packed(frames: list[tuple[int, int, bytes]], version: int) -> Run:
    """Return a function that packs the frames around their seqs; all else is packed once."""
    pieces = [b""]
    for cmd, flag, body in frames:
        header = HEADER.pack(len(body), 0, cmd, version, flag, 0)
        pieces[-1] += header[:4]
        pieces.append(header[8:] + body)
    a, b, c, d = pieces
    pack = Struct(f">{len(a)}si{len(b)}si{len(c)}si{len(d)}s").pack
    return lambda seq: pack(a, seq, b, seq + 1, c, seq + 2, d)


@lru_cache(1024)
def delivery(length: int) -> Callable[..., bytes]:
    """Return the packer for METADATA, a message with a body of this length, and SYNC_NOTIFY."""
    return Struct(f">iiBBBBqq16xiiBBBB{length}siiBBBBq").pack
