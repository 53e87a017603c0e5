"""``gobelieve storage promote | resync``: change the role of a slave's directory, or empty it."""

import argparse
import sys
from typing import Any

from gobelieve.storage.replication import roles


def add(actions: Any) -> None:
    about = "make a stopped slave's directory a master's"
    action = actions.add_parser("promote", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    action.set_defaults(blocking=promote)

    about = "set the files of a stopped slave aside, so that it fetches everything anew"
    action = actions.add_parser("resync", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    action.add_argument("--yes", action="store_true", help="do it, not only show it")
    action.set_defaults(blocking=resync)


def promote(parsed: argparse.Namespace) -> None:
    """Make the directory a master's, and print the next step."""
    roles.promote(parsed.directory)
    print(f"{parsed.directory} is a master's: start its daemon without master_address")


def resync(parsed: argparse.Namespace) -> None:
    """Move the files aside if ``--yes`` is given. Print their new place."""
    if parsed.yes:
        print(f"{parsed.directory} is empty, its files are in {roles.set_aside(parsed.directory)}")
        return
    roles.must_be_slave(parsed.directory)
    print(f"its files would be moved to {roles.name_aside(parsed.directory)}")
    print("nothing was changed; --yes does it", file=sys.stderr)
