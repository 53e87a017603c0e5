"""``gobelieve storage``: look after a directory of storage without a daemon.

This module has the command line, and the commands that verify and repair one directory.
`storage_dump` shows its content, `storage_copies` copies it, and `storage_roles` changes its role.
"""

import argparse
import sys
from typing import Any

from gobelieve.cli import storage_copies, storage_dump, storage_roles
from gobelieve.cli.progress import ProgressLine
from gobelieve.errors import GobelieveError
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.tools.repair import Repair
from gobelieve.storage.tools.verify import Verification


def add(subparsers: Any) -> None:
    """Declare ``storage`` and its actions."""
    about = "check, show, repair, import and back up the files of storage"
    group = subparsers.add_parser("storage", help=about, description=about.capitalize() + ".")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")

    action = actions.add_parser("verify", help="look at every record and every queue")
    action.add_argument("directory", metavar="DIR")
    action.set_defaults(blocking=verify)

    storage_dump.add(actions)

    about = "cut off torn ends, and show other damage"
    action = actions.add_parser("repair", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    action.add_argument("--yes", action="store_true", help="do it, not only show it")
    action.set_defaults(blocking=repair)

    storage_copies.add(actions)
    storage_roles.add(actions)


def verify(parsed: argparse.Namespace) -> None:
    """Print a line per finding and a summary. Raises `GobelieveError` if there are findings."""
    with ReadOnlyFolder(parsed.directory) as folder:
        found = verify_and_print(folder, "verify")
        summarize(folder, found)
    if found.found:
        raise GobelieveError(f"{parsed.directory}: {_findings(found.found)}")


def verify_and_print(folder: ReadOnlyFolder, what: str) -> Verification:
    """Verify a directory and print the findings."""
    with ProgressLine(what, folder.total) as line:
        verification = Verification(folder, line)
        for finding in verification.findings():
            line.clear()
            print(finding)
    return verification


def summarize(folder: ReadOnlyFolder, found: Verification) -> None:
    """Print the figures of a directory, one per line."""
    print(f"blocks: {len(folder.numbers)}")
    print(f"bytes: {folder.total}")
    print(f"records: {sum(found.kinds)}")
    for cmd, count in enumerate(found.kinds):
        if count:
            print(f"  {storage_dump.kind_name(cmd)} ({cmd}): {count}")
    print(f"messages: {found.messages}")
    print(f"queues: {found.queues}")
    for skipped in found.skipped:
        first, last = skipped[0], skipped[-1]
        print(f"skipped: blocks {first} to {last}, so that new ids are larger than all before")
    print(f"findings: {found.found}")
    if folder.in_use:
        what = f"; {found.in_flux} bytes at the end are not complete yet" if found.in_flux else ""
        print(f"in use: records written after the start were not checked{what}")


def repair(parsed: argparse.Namespace) -> None:
    """Print what is done, or would be done. Raises `GobelieveError` if damage stays."""
    with Repair(parsed.directory, parsed.yes) as work:
        found = verify_and_print(work.folder, "repair")
        for torn in found.torn:
            path, where = work.folder.path(torn.number), "a file of its own"
            if parsed.yes:
                where = work.cut(torn)
            did = "were" if parsed.yes else "would be"
            print(f"{path}: {torn.length} bytes from {torn.offset} on {did} moved to {where}")
    if found.torn and not parsed.yes:
        print("nothing was changed; --yes does it", file=sys.stderr)
    stays = found.found - len(found.torn)
    if stays:
        what = "which readers skip, stays: no record can move, since its place is its id"
        raise GobelieveError(f"{parsed.directory}: {_findings(stays)}, {what}")


def _findings(count: int) -> str:
    return "1 finding" if count == 1 else f"{count} findings"
