"""``gobelieve app create``: a secret, with which an app's server may use the app API."""

import argparse
from typing import Any

from gobelieve.backends.app_secrets import SqliteSecrets
from gobelieve.backends.tokens.new import new_token
from gobelieve.cli.arguments import add_action, add_app, add_group
from gobelieve.cli.stores import add_data, data_file
from gobelieve.event_loop.reactor import Reactor


def add(subparsers: Any) -> None:
    """Declare ``app`` and its action."""
    about = "make the secrets of apps, in the data folder of the all-in-one daemon"
    actions = add_group(subparsers, "app", about)
    about = "make a new secret for an app and print it; an older one becomes invalid"
    action = add_action(actions, "create", create, about)
    add_app(action)
    action.add_argument("--name", default="", help="the name of the app")
    add_data(action)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the secret and nothing else, so that a script can read it."""
    secret = new_token()
    async with data_file(parsed, reactor, create=True) as db:
        await SqliteSecrets(db).set(parsed.app, parsed.name, secret)
    print(secret)
