"""``gobelieve storage import | backup | restore``: copies of a directory.

`import` and `restore` make the directory under another name and rename it at the end. So a copy
that was interrupted never looks complete.
"""

import argparse
import os
from contextlib import closing
from typing import Any

from gobelieve.cli.progress import ProgressLine
from gobelieve.errors import GobelieveError
from gobelieve.storage.files.files import refusal
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.layout import (
    FIRST_BLOCK,
    FIRST_BLOCK_NEW,
    LOCK,
    block_number,
    place_name,
)
from gobelieve.storage.replication import roles
from gobelieve.storage.tools.copies import LockedFolder, bring_up_to_date, copy_all
from gobelieve.storage.tools.jump import jump
from gobelieve.storage.tools.verify import Verification

PARTIAL = ".partial"
"""The end of the name of a directory that is not complete yet."""


def add(actions: Any) -> None:
    for name, first, second, work, about in (
        (
            "import",
            "SRC",
            "DIR",
            import_,
            "make a directory from one of the Go server, of any year",
        ),
        ("backup", "DIR", "DEST", backup, "copy a directory, or what is new in it, in use or not"),
        ("restore", "DEST", "DIR", restore, "make a directory from a backup"),
    ):
        action = actions.add_parser(name, help=about, description=about.capitalize() + ".")
        action.add_argument("source", metavar=first)
        action.add_argument("target", metavar=second)
        action.set_defaults(blocking=work)


def backup(parsed: argparse.Namespace) -> None:
    """Back up a directory. Print where the copied part begins and ends."""
    with ReadOnlyFolder(parsed.source) as source:
        _refuse_same(parsed.source, parsed.target)
        with (
            closing(LockedFolder(parsed.target)) as target,
            ProgressLine("backup", source.total) as line,
        ):
            begin, end = bring_up_to_date(source, target, line)
            roles.mark(parsed.target)
    if begin == end:
        print(f"{parsed.target}: nothing new, up to {place_name(end)}")
    else:
        print(f"{parsed.target}: from {place_name(begin)} to {place_name(end)}")


def import_(parsed: argparse.Namespace) -> None:
    """Import a directory. Raises `GobelieveError` if the source has damage."""
    _make(parsed, is_old=False)


def restore(parsed: argparse.Namespace) -> None:
    """Restore a backup. Clients hold ids that it lacks, so new ids are larger than these.

    Raises `GobelieveError` if the backup has damage.
    """
    _make(parsed, is_old=True)


def _make(parsed: argparse.Namespace, is_old: bool) -> None:
    root = os.path.abspath(parsed.target)
    with ReadOnlyFolder(parsed.source) as source:
        if source.in_use:
            raise refusal(f"{parsed.source} is in use: stop its daemon, or use `storage backup`")
        _refuse_same(parsed.source, root)
        with closing(_begin(root)) as target:
            with ProgressLine("copy", source.total) as line:
                copy_all(source, target, line)
            found = _look_through(target, root)
            for torn in found.torn:
                target.cut(torn.number, torn.offset)
            if is_old:
                jump(target)
            target.rename(root)
    print(f"{parsed.target}: {found.messages} messages in {found.queues} queues")
    damage = found.found - len(found.torn)
    if damage:
        raise GobelieveError(f"{parsed.target} is there, but with {damage} findings, as the source")


def _look_through(target: LockedFolder, root: str) -> Verification:
    """Verify the copy. Print the findings with the name that the directory will have."""
    with (
        ReadOnlyFolder(target.root, mine=True) as folder,
        ProgressLine("verify", folder.total) as line,
    ):
        verification = Verification(folder, line)
        for path, offset, what in verification.findings():
            line.clear()
            print(f"{os.path.join(root, os.path.basename(path))}:{offset}: {what}")
    return verification


def _begin(root: str) -> LockedFolder:
    """Return the empty directory under its first name, locked."""
    if os.path.lexists(root) and (not os.path.isdir(root) or os.listdir(root)):
        raise refusal(f"{root} is not empty")
    if os.path.ismount(root):
        raise refusal(f"{root} is a mount point: name a directory in it")
    partial = LockedFolder(root + PARTIAL)
    # An interrupted copy may have left blocks. Nothing else is removed.
    names = set(os.listdir(partial.root)) - {LOCK, FIRST_BLOCK, FIRST_BLOCK_NEW}
    if foreign := [name for name in names if block_number(name) is None]:
        partial.close()
        raise refusal(f"{partial.root} has {foreign[0]}, which is not ours: remove it")
    for name in names:
        os.unlink(os.path.join(partial.root, name))
    return partial


def _refuse_same(source: str, target: str) -> None:
    if os.path.exists(target) and os.path.samefile(source, target):
        raise refusal(f"{target} is the same directory")
