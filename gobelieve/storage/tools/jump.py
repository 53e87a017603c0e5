"""Making new ids larger than all ids that a directory may have given before.

An older copy of a directory lacks records whose ids clients already hold. A client asks only for
messages with larger ids, so it would never see a new message with a smaller one. Therefore, before
such a copy is served, it gets a file ``first_block``. The next record of the directory is then in
the block with this number, or a later one. The blocks between are skipped for ever. The header of
the new block has their number, so that they do not count as missing.
"""

import os

from gobelieve.storage.files.files import refusal
from gobelieve.storage.format.layout import FIRST_BLOCK, FIRST_BLOCK_NEW, MAX_BLOCK
from gobelieve.storage.format.records import FIRST_OFFSET
from gobelieve.storage.tools.copies import LockedFolder

MARGIN_BLOCKS = 1024
"""Blocks that are skipped: 128 GiB. A copy is not further behind than this, unless it is old."""


def first_block(root: str) -> int:
    """Return the number in the file ``first_block``; 0 if there is none.

    Raises StorageError if the file has no number, and OSError.
    """
    path = os.path.join(root, FIRST_BLOCK)
    try:
        with open(path, "rb") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        return 0
    if not text.isdigit() or int(text) > MAX_BLOCK:
        raise refusal(f"{path} has no number of a block")
    return int(text)


def jump(folder: LockedFolder, above: int = 0) -> int:
    """Let the next record of a directory be in a block far above all others, durably.

    The new block is `MARGIN_BLOCKS` after the newest block, and after the block of the id `above`.
    Return its first id. Raises StorageError and OSError.
    """
    newest = max(folder.lengths(), default=0)
    number = max(newest, first_block(folder.root), above // folder.size) + MARGIN_BLOCKS
    if number > MAX_BLOCK:
        raise refusal(f"the id {above} is too large: there is no block after it")
    path = os.path.join(folder.root, FIRST_BLOCK_NEW)
    fd = folder.files.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        folder.files.write_all(fd, b"%d\n" % number, 0)
        folder.files.fsync(fd)
    finally:
        folder.files.close(fd)
    folder.files.rename(path, os.path.join(folder.root, FIRST_BLOCK))
    folder.sync()
    return number * folder.size + FIRST_OFFSET
