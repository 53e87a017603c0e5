"""``gobelieve group create | add | remove | show``: groups of the all-in-one daemon, to try them.

A running daemon notices changes within a second. Members are not notified; the app API does that.
"""

import argparse
from typing import Any

from gobelieve.backends.group_admin import SqliteGroupAdmin
from gobelieve.cli.arguments import Work, add_action, add_app, add_group, identity
from gobelieve.cli.stores import add_data, data_file
from gobelieve.errors import GobelieveError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import GroupCard, NewGroup


def add(subparsers: Any) -> None:
    """Declare ``group`` and its actions."""
    about = "make groups in the data folder of the all-in-one daemon, and change their members"
    actions = add_group(subparsers, "group", about)

    action = add_action(actions, "create", create, "make a group and print its id")
    action.add_argument("--name", default="", help="its name")
    action.add_argument("--super", action="store_true", help="make it a super group")
    help_ = "the user id of its owner (default: the first member)"
    action.add_argument("--master", metavar="UID", type=identity, help=help_)
    _add_members(action)
    _add_place(action)

    about = "add members; those who are members already stay unchanged"
    _add_members(_add_to_group(actions, "add", add_members, about))
    _add_members(_add_to_group(actions, "remove", remove_members, "remove members"))
    _add_to_group(actions, "show", show, "print the details of a group, and its members")


def _add_to_group(actions: Any, name: str, work: Work, about: str) -> argparse.ArgumentParser:
    action = add_action(actions, name, work, about)
    action.add_argument("group", metavar="GROUP", type=identity, help="the group's id")
    _add_place(action)
    return action


def _add_members(action: argparse.ArgumentParser) -> None:
    help_ = "user ids of members"
    action.add_argument("members", metavar="UID", type=identity, nargs="+", help=help_)


def _add_place(action: argparse.ArgumentParser) -> None:
    add_app(action)
    add_data(action)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the new id and nothing else, so that a script can read it."""
    members = list(dict.fromkeys(parsed.members))
    master = parsed.master or members[0]
    group = NewGroup(parsed.app, master, parsed.name, parsed.super, members)
    async with data_file(parsed, reactor, create=True) as db:
        card = await SqliteGroupAdmin(db).create(group, int(reactor.seconds()))
    print(_existing(card, parsed).id)


async def add_members(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Add members. Prints nothing if that succeeds."""
    async with data_file(parsed, reactor) as db:
        now = int(reactor.seconds())
        card = await SqliteGroupAdmin(db).add(parsed.app, parsed.group, parsed.members, now)
    _existing(card, parsed)


async def remove_members(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Remove members. Prints nothing if that succeeds."""
    async with data_file(parsed, reactor) as db:
        card = await SqliteGroupAdmin(db).remove(parsed.app, parsed.group, parsed.members)
    _existing(card, parsed)


async def show(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print a line for each detail, and one for each member."""
    async with data_file(parsed, reactor) as db:
        found = await SqliteGroupAdmin(db).show(parsed.app, parsed.group)
    card = _existing(None if found is None else found[0], parsed)
    print(f"name: {card.name}")
    print(f"notice: {card.notice}")
    print(f"master: {card.master}")
    print(f"super: {'yes' if card.super else 'no'}")
    for uid, nickname, joined, muted in found[1] if found is not None else ():
        more = "".join((f" {nickname}" if nickname else "", " muted" if muted else ""))
        print(f"member: {uid} since {joined}{more}")


def _existing(card: GroupCard | None, parsed: argparse.Namespace) -> GroupCard:
    if card is None:
        raise GobelieveError(f"the app {parsed.app} has no group {parsed.group}")
    return card
