"""The role of a directory: a master's, to which saves write, or a slave's.

The directory of a slave has a file ``role``, and so has a backup. A daemon without `master_address`
does not open it, so that no save writes to it by mistake. `promote` makes it the directory of a
master. It may lack records that its master had, whose ids clients hold. So new ids are far above.
"""

import os

from gobelieve.storage.files.durable_mark import read_mark
from gobelieve.storage.files.files import Files, failure_of, refusal
from gobelieve.storage.format.layout import ROLE, place_name
from gobelieve.storage.tools.copies import LockedFolder
from gobelieve.storage.tools.jump import jump

ASIDE = ".diverged-"


def is_slave(root: str) -> bool:
    """Return whether a directory is marked as a slave's."""
    return os.path.exists(os.path.join(root, ROLE))


def check(root: str) -> None:
    """Raise StorageError if saves must not write to a directory."""
    if is_slave(root):
        raise refusal(
            f"{root} is a slave's or a backup: set master_address,"
            f" or make it a master's by `gobelieve storage promote {root}`"
        )


def mark(root: str, files: Files | None = None) -> None:
    """Mark a locked directory as a slave's, durably. Raises StorageError."""
    if is_slave(root):
        return
    try:
        (files or Files()).write_new_file(os.path.join(root, ROLE), b"slave\n")
    except OSError as why:
        raise failure_of(why, root) from why


def promote(root: str, above: int = 0, *, anyway: bool = False) -> int:
    """Make a slave's directory a master's. Return the first id that it will give.

    This id is far above all ids of the directory, and above the id `above`: see `jump`. Raises
    StorageError and OSError. A directory that lost records is refused, except with `anyway`.
    """
    must_be_slave(root)
    locked = LockedFolder(root)
    try:
        if not anyway and (lost := _lost(locked)):
            raise refusal(f"{root} {lost}: look for a better copy, or promote it with --yes")
        first = jump(locked, above)
        os.unlink(os.path.join(root, ROLE))
        locked.sync()
    finally:
        locked.close()
    return first


def _lost(folder: LockedFolder) -> str:
    """Return what a directory has lost of the records that it had on disk; "" for nothing."""
    mark = read_mark(folder.root)
    end = max(folder.lengths().items(), default=(0, 0))
    if mark is not None and end < mark.position:
        return f"ends at {place_name(end)}, but had records up to {place_name(mark.position)}"
    return "is damaged in what was on disk" if mark is not None and mark.is_damaged else ""


def set_aside(root: str) -> str:
    """Rename a slave's directory and make an empty one in its place. Return the new name.

    If `root` is a link, both directories are where the link points to. Raises StorageError and
    OSError.
    """
    must_be_slave(root)
    root = os.path.realpath(root)
    if os.path.ismount(root):
        raise refusal(f"{root} is a mount point: move its files to another place by hand")
    locked = LockedFolder(root)
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
        locked.close()
    return aside


def name_aside(root: str) -> str:
    """Return the name that `set_aside` would give to a directory."""
    base, number = os.path.realpath(root) + ASIDE, 1
    while os.path.lexists(f"{base}{number}"):
        number += 1
    return f"{base}{number}"


def must_be_slave(root: str) -> None:
    """Raise StorageError if `root` is not a directory of a slave."""
    if not os.path.isdir(root):
        raise refusal(f"{root} is no directory")
    if not is_slave(root):
        raise refusal(f"{root} is neither a slave's directory nor a backup")
