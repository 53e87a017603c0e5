"""The files in which the Go server queues group messages, made from their description."""

from pathlib import Path
from struct import pack

OBSERVED = bytes.fromhex(
    "494d494d 0000005f 00000053 00000000 fb000000"
    "0000000000000007 0000000000000001 0000000000000001 0000000000000c26 6b03a63c 0004"
    "0000000000000003 0000000000000004 0000000000000001 0000000000000002"
    "7b2274657874223a226731227d 0000005f 494d494d"
)
"""A record that the Go server wrote: user 1 sent "g1" to group 3110 with members 3, 4, 1, 2."""
HEAD = b"IMIM" + pack(">i", 0x10000) + bytes(24)


def record(
    content: bytes,
    members: tuple[int, ...] = (1, 2, 3),
    *,
    sender: int = 1,
    device: int = 5,
    group: int = 100,
    appid: int = 7,
    timestamp: int = 1_522_540_800,
    count: int | None = None,
) -> bytes:
    """Return a record; `count` is written as the number of its members."""
    count = len(members) & 0xFFFF if count is None else count
    body = pack(">qqqqiH", appid, sender, device, group, timestamp, count)
    body += pack(f">{len(members)}q", *members) + content
    length = pack(">i", 12 + len(body))
    frame = pack(">iiBBBB", len(body), 0, 251, 0, 0, 0) + body
    return b"IMIM" + length + frame + length + b"IMIM"


def write(folder: Path, records: bytes, cursor: int = 0) -> None:
    """Write the two files of a queue."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pending_group_messages").write_bytes(HEAD + records)
    (folder / "cursor").write_bytes(pack(">q", cursor))
