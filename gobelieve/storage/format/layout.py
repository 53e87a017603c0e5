"""The names of the files in a directory of storage."""

import os
import re

OLD_INDEXES = frozenset(
    {"peer_index", "peer_index.v2", "peer_index.v3", "peer_index_t"}
    | {"group_index", "group_index.v2", "group_index_t"}
)
"""The index files of the Go server. They are not needed, and cause no warning."""
LOCK = "lock"
SNAPSHOT, SNAPSHOT_NEW = "heads", "heads.new"
"""The snapshot of the index, and the next snapshot while it is written. See `snapshot_file`."""
ROLE = "role"
"""The file that marks the directory of a slave. See `roles`."""
FIRST_BLOCK, FIRST_BLOCK_NEW = "first_block", "first_block.new"
"""The file with the number of the block that the next record is in at the earliest. See `jump`."""
DURABLE = "durable"
"""The file that says how far the directory was on disk. See `durable_mark`."""
TORN = "torn_"
"""The beginning of the names of files that keep bytes cut off a block."""
_KNOWN = OLD_INDEXES | {LOCK, ROLE, SNAPSHOT, SNAPSHOT_NEW, FIRST_BLOCK, FIRST_BLOCK_NEW, DURABLE}
MAX_BLOCK = 9_999_999_999
"""The highest number in the file name of a block."""
# At most ten digits: a larger number may not fit in an id, and is rather a copy with a date.
_BLOCK = re.compile("message_(0|[1-9][0-9]{0,9})")


def block_name(number: int) -> str:
    """Return the file name of a block."""
    return f"message_{number}"


def place_name(position: tuple[int, int]) -> str:
    """Return the name of a place in a block for people: ``message_3:1200``."""
    return f"{block_name(position[0])}:{position[1]}"


def block_number(name: str) -> int | None:
    """Return the number of the block with this file name; None if it is not the name of a block."""
    return int(name.partition("_")[2]) if _BLOCK.fullmatch(name) else None


def listed(root: str) -> tuple[list[int], list[str]]:
    """Return the blocks of a directory, ascending, and the names of unknown files. OSError."""
    numbers, foreign = [], []
    for name in os.listdir(root):
        if (number := block_number(name)) is not None:
            numbers.append(number)
        elif name not in _KNOWN and not name.startswith(TORN):
            foreign.append(name)
    return sorted(numbers), sorted(foreign)
