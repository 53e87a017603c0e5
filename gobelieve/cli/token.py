"""``gobelieve token create | show | revoke``: who may log in."""

import argparse
from typing import Any

from gobelieve.backends.tokens.new import new_token
from gobelieve.cli.arguments import identity
from gobelieve.cli.stores import add_store, token_admin
from gobelieve.errors import GobelieveError
from gobelieve.event_loop.reactor import Reactor
from gobelieve.names import User


def add(subparsers: Any) -> None:
    """Declare ``token`` and what comes after it."""
    about = "make, show and revoke login tokens"
    group = subparsers.add_parser("token", help=about, description=about.capitalize() + ".")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")

    action = actions.add_parser("create", help="make a token for a user and print it")
    action.add_argument("--app", metavar="ID", type=identity, required=True, help="application id")
    action.add_argument("--uid", metavar="ID", type=identity, required=True, help="user id")
    action.add_argument("--name", default="", help="name shown in phone pushes")
    add_store(action)
    action.set_defaults(work=create)

    for name, work, help_ in (
        ("show", show, "print whom a token logs in"),
        ("revoke", revoke, "end a token; connections that are open stay open"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("token", metavar="TOKEN")
        add_store(action)
        action.set_defaults(work=work)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the new token and nothing else, so that a script can take it."""
    token = new_token()
    async with token_admin(parsed, reactor, create=True) as admin:
        await admin.create(User(parsed.app, parsed.uid), token, parsed.name)
    print(token)


async def show(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Lines of key and value."""
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
    """Print nothing if all is well."""
    async with token_admin(parsed, reactor) as admin:
        if not await admin.revoke(parsed.token):
            raise GobelieveError("this token logs nobody in")


def _yes_no(flag: bool) -> str:
    return "yes" if flag else "no"
