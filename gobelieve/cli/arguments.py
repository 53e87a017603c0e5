"""Arguments and parsers that several commands share."""

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

from gobelieve.event_loop.reactor import Reactor

LARGEST_ID = (1 << 63) - 1

Work = Callable[[argparse.Namespace, Reactor], Coroutine[Any, Any, None]]
"""The work of an action. It prints the answer, or raises `GobelieveError`."""


def add_group(subparsers: Any, name: str, about: str) -> Any:
    """Declare a command with actions, such as ``token``. Return the place for its actions."""
    group = subparsers.add_parser(name, help=about, description=about.capitalize() + ".")
    return group.add_subparsers(title="actions", required=True, metavar="ACTION")


def add_action(actions: Any, name: str, work: Work, about: str) -> argparse.ArgumentParser:
    """Declare an action of a command, such as ``create``. Return its parser."""
    action: argparse.ArgumentParser = actions.add_parser(name, help=about)
    action.set_defaults(work=work)
    return action


def add_app(action: argparse.ArgumentParser) -> None:
    """Declare ``--app``, the id of an application."""
    action.add_argument("--app", metavar="ID", type=identity, required=True, help="application id")


def identity(text: str) -> int:
    """Return the id of an app, a user or a group. Raises argparse's error if it is none."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not an id: a number of 1 or more")
    return int(text)


def whole_number(text: str) -> int:
    """Return a number of 0 or more, at most `LARGEST_ID`. Raises argparse's error if it is none."""
    if not text.isascii() or not text.isdigit() or int(text) > LARGEST_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)
