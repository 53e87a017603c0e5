"""``gobelieve token create | show | revoke``: tokens, with which users log in."""

import argparse
from typing import Any

from gobelieve.backends.tokens.new import new_token
from gobelieve.cli.arguments import add_action, add_app, add_group, identity
from gobelieve.cli.stores import add_store, token_admin
from gobelieve.errors import GobelieveError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.names import User


def add(subparsers: Any) -> None:
    """Declare ``token`` and its actions."""
    actions = add_group(subparsers, "token", "make, show and revoke login tokens")

    action = add_action(actions, "create", create, "make a token for a user and print it")
    add_app(action)
    action.add_argument("--uid", metavar="ID", type=identity, required=True, help="user id")
    action.add_argument("--name", default="", help="name shown in phone pushes")
    add_store(action)

    for name, work, about in (
        ("show", show, "print the user of a token"),
        ("revoke", revoke, "make a token invalid; open connections stay open"),
    ):
        action = add_action(actions, name, work, about)
        action.add_argument("token", metavar="TOKEN")
        add_store(action)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the new token and nothing else, so that a script can read it."""
    token = new_token()
    async with token_admin(parsed, reactor, create=True) as admin:
        await admin.create(User(parsed.app, parsed.uid), token, parsed.name)
    print(token)


async def show(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print one line of key and value for each detail."""
    async with token_admin(parsed, reactor) as admin:
        details = await admin.describe(parsed.token)
    if details is None:
        raise GobelieveError("this token logs nobody in")
    user, forbidden, notification_on = details.identity
    print(f"appid: {user.appid}")
    print(f"uid: {user.uid}")
    print(f"name: {details.name}")
    print(f"forbidden: {_yes_no(forbidden)}")
    print(f"notification_on: {_yes_no(notification_on)}")


async def revoke(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Make a token invalid. Prints nothing if that succeeds."""
    async with token_admin(parsed, reactor) as admin:
        if not await admin.revoke(parsed.token):
            raise GobelieveError("this token logs nobody in")


def _yes_no(flag: bool) -> str:
    return "yes" if flag else "no"
