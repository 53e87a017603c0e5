"""Whose directory it is: a master's, which is written to by saves, or a slave's.

A slave's has a file ``role`` in it. Without `master_address` no daemon opens it, so that nobody
writes to a slave by mistake, until it is made a master's by `promote`.
"""

import os

from gobelieve.storage.files.files import Files, failure_of
from gobelieve.storage.format.layout import ROLE
from gobelieve.storage.tools.copies import LockedFolder, refusal

ASIDE = ".diverged-"


def is_slave(root: str) -> bool:
    """Whether a directory is marked as a slave's."""
    return os.path.exists(os.path.join(root, ROLE))


def check(root: str) -> None:
    """StorageError if a directory must not be written to by saves."""
    if is_slave(root):
        raise refusal(
            f"{root} is a slave's: set master_address,"
            f" or make it a master's by `gobelieve storage promote {root}`"
        )


def mark(root: str, files: Files | None = None) -> None:
    """Mark a directory, which is held, as a slave's, durably. StorageError."""
    if is_slave(root):
        return
    try:
        (files or Files()).write_new_file(os.path.join(root, ROLE), b"slave\n")
    except OSError as why:
        raise failure_of(why, root) from why


def promote(root: str) -> None:
    """Make a slave's directory a master's. StorageError, OSError."""
    must_be_slave(root)
    held = LockedFolder(root)
    try:
        os.unlink(os.path.join(root, ROLE))
        held.sync()
    finally:
        held.close()


def set_aside(root: str) -> str:
    """Rename a slave's directory, and make an empty one in its place; the other's new name.

    Both are where it is, even if it is named by a link. StorageError, OSError.
    """
    must_be_slave(root)
    root = os.path.realpath(root)
    if os.path.ismount(root):
        raise refusal(f"{root} is a mount point: move its files to another place by hand")
    held = LockedFolder(root)
    try:
        aside = name_aside(root)
        os.rename(root, aside)
        fresh = LockedFolder(root)
        try:
            mark(root)
            fresh.sync()
            fresh.files.sync_folder(os.path.dirname(root))
        finally:
            fresh.close()
    finally:
        held.close()
    return aside


def name_aside(root: str) -> str:
    """The name that `set_aside` would give."""
    base, number = os.path.realpath(root) + ASIDE, 1
    while os.path.lexists(f"{base}{number}"):
        number += 1
    return f"{base}{number}"


def must_be_slave(root: str) -> None:
    """StorageError if a directory is none, or no slave's."""
    if not os.path.isdir(root):
        raise refusal(f"{root} is no directory")
    if not is_slave(root):
        raise refusal(f"{root} is no slave's")
