"""``gobelieve storage promote | resync | jump``: change the role of a directory."""

import argparse
import sys
from contextlib import closing
from typing import Any

from gobelieve.cli.arguments import whole_number
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.replication import roles
from gobelieve.storage.tools.copies import LockedFolder
from gobelieve.storage.tools.jump import jump


def add(actions: Any) -> None:
    about = "make the directory of a stopped slave, or a backup, a master's"
    action = actions.add_parser("promote", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    _add_above(action)
    about = "also if the directory has lost messages that it had"
    action.add_argument("--yes", action="store_true", help=about)
    action.set_defaults(blocking=promote)

    about = (
        "make new ids larger than all that clients may hold, in a copy that was put back by hand"
    )
    action = actions.add_parser("jump", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    _add_above(action)
    action.set_defaults(blocking=jump_over)

    about = "set the files of a stopped slave aside, so that it fetches everything anew"
    action = actions.add_parser("resync", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    action.add_argument("--yes", action="store_true", help="do it, not only show it")
    action.set_defaults(blocking=resync)


def _add_above(action: argparse.ArgumentParser) -> None:
    about = "the largest id that a client may hold, if it is known (default: the end of DIR)"
    action.add_argument("--above", metavar="ID", type=whole_number, default=0, help=about)


def promote(parsed: argparse.Namespace) -> None:
    """Make the directory a master's, and print the next step."""
    first = roles.promote(parsed.directory, parsed.above, anyway=parsed.yes)
    print(f"{parsed.directory} is a master's: start its daemon without master_address")
    _print_first(first)


def jump_over(parsed: argparse.Namespace) -> None:
    """Skip ids in a directory that a daemon will serve again."""
    ReadOnlyFolder(parsed.directory).close()
    roles.check(parsed.directory)
    with closing(LockedFolder(parsed.directory)) as folder:
        _print_first(jump(folder, parsed.above))


def _print_first(first: int) -> None:
    print(f"new messages get ids from {first} on: larger than those that clients may hold")


def resync(parsed: argparse.Namespace) -> None:
    """Move the files aside if ``--yes`` is given. Print their new place."""
    if parsed.yes:
        print(f"{parsed.directory} is empty, its files are in {roles.set_aside(parsed.directory)}")
        return
    roles.must_be_slave(parsed.directory)
    print(f"its files would be moved to {roles.name_aside(parsed.directory)}")
    print("nothing was changed; --yes does it", file=sys.stderr)
