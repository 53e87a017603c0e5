"""``gobelieve group create | add | remove | show``: groups of the embedded daemon, to try them.

A daemon that runs notices within a second. Nobody is notified: that is what the app API is for.
"""

import argparse
from typing import Any

from gobelieve.backends.group_admin import SqliteGroupAdmin
from gobelieve.cli.arguments import identity
from gobelieve.cli.stores import add_data, data_file
from gobelieve.errors import GobelieveError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import GroupCard, NewGroup


def add(subparsers: Any) -> None:
    """Declare ``group`` and what comes after it."""
    about = "make groups in the data folder of the embedded daemon, and change their members"
    group = subparsers.add_parser("group", help=about, description=about.capitalize() + ".")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")

    action = actions.add_parser("create", help="make a group and print its id")
    action.add_argument("--name", default="", help="its name")
    action.add_argument("--super", action="store_true", help="make it a super group")
    help_ = "the user id of its owner; the first member, if it is not said"
    action.add_argument("--master", metavar="UID", type=identity, help=help_)
    _rest(action, create)

    for name, work, help_ in (
        ("add", add_members, "add members; who is one already stays as he is"),
        ("remove", remove_members, "remove members"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("group", metavar="GROUP", type=identity, help="the group's id")
        _rest(action, work)

    action = actions.add_parser("show", help="print what is known of a group, and its members")
    action.add_argument("group", metavar="GROUP", type=identity, help="the group's id")
    _rest(action, show, members=False)


def _rest(action: argparse.ArgumentParser, work: Any, members: bool = True) -> None:
    if members:
        help_ = "user ids of members"
        action.add_argument("members", metavar="UID", type=identity, nargs="+", help=help_)
    action.add_argument("--app", metavar="ID", type=identity, required=True, help="application id")
    add_data(action)
    action.set_defaults(work=work)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the new id and nothing else, so that a script can take it."""
    members = list(dict.fromkeys(parsed.members))
    master = parsed.master or members[0]
    group = NewGroup(parsed.app, master, parsed.name, parsed.super, members)
    async with data_file(parsed, reactor, create=True) as db:
        card = await SqliteGroupAdmin(db).create(group, int(reactor.seconds()))
    print(_there(card, parsed).id)


async def add_members(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print nothing if all is well."""
    async with data_file(parsed, reactor) as db:
        now = int(reactor.seconds())
        card = await SqliteGroupAdmin(db).add(parsed.app, parsed.group, parsed.members, now)
    _there(card, parsed)


async def remove_members(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print nothing if all is well."""
    async with data_file(parsed, reactor) as db:
        card = await SqliteGroupAdmin(db).remove(parsed.app, parsed.group, parsed.members)
    _there(card, parsed)


async def show(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Lines of key and value, and one for each member."""
    async with data_file(parsed, reactor) as db:
        found = await SqliteGroupAdmin(db).show(parsed.app, parsed.group)
    card = _there(None if found is None else found[0], parsed)
    print(f"name: {card.name}")
    print(f"notice: {card.notice}")
    print(f"master: {card.master}")
    print(f"super: {'yes' if card.super else 'no'}")
    for uid, nickname, joined, muted in found[1] if found is not None else ():
        more = "".join((f" {nickname}" if nickname else "", " muted" if muted else ""))
        print(f"member: {uid} since {joined}{more}")


def _there(card: GroupCard | None, parsed: argparse.Namespace) -> GroupCard:
    if card is None:
        raise GobelieveError(f"the app {parsed.app} has no group {parsed.group}")
    return card
