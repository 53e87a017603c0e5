"""Which files a directory of storage has, by name."""

import os
import re

OLD_INDEXES = frozenset(
    {"peer_index", "peer_index.v2", "peer_index.v3", "peer_index_t"}
    | {"group_index", "group_index.v2", "group_index_t"}
)
"""Upstream's index files: not needed, and no reason for a warning."""
LOCK = "lock"
SNAPSHOT, SNAPSHOT_NEW = "heads", "heads.new"
"""The snapshot of the index, and the next one while it is written (`snapshot_file`)."""
ROLE = "role"
"""The file that marks a slave's directory, see `roles`."""
TORN = "torn_"
"""How the files begin that keep what was cut off."""
_KNOWN = OLD_INDEXES | {LOCK, ROLE, SNAPSHOT, SNAPSHOT_NEW}
# Ten digits at most: more may not fit in an id, and are rather somebody's copy with a date.
_BLOCK = re.compile("message_(0|[1-9][0-9]{0,9})")


def block_name(number: int) -> str:
    """The file name of a block."""
    return f"message_{number}"


def block_number(name: str) -> int | None:
    """The number of the block that has this file name; None if no block has it."""
    return int(name.partition("_")[2]) if _BLOCK.fullmatch(name) else None


def listed(root: str) -> tuple[list[int], list[str]]:
    """The blocks of a directory, ascending, and the names of what is not ours. OSError."""
    numbers, strays = [], []
    for name in os.listdir(root):
        if (number := block_number(name)) is not None:
            numbers.append(number)
        elif name not in _KNOWN and not name.startswith(TORN):
            strays.append(name)
    return sorted(numbers), sorted(strays)
