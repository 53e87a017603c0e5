"""``gobelieve app create``: a secret, by which an app's server may use the app API."""

import argparse
from typing import Any

from gobelieve.backends.app_secrets import SqliteSecrets
from gobelieve.backends.tokens.new import new_token
from gobelieve.cli.arguments import identity
from gobelieve.cli.stores import add_data, data_file
from gobelieve.event_loop.reactor import Reactor


def add(subparsers: Any) -> None:
    """Declare ``app`` and what comes after it."""
    about = "make the secrets of apps, in the data folder of the embedded daemon"
    group = subparsers.add_parser("app", help=about, description=about.capitalize() + ".")
    actions = group.add_subparsers(title="actions", required=True, metavar="ACTION")
    help_ = "make a new secret for an app and print it; an older one is no good any more"
    action = actions.add_parser("create", help=help_)
    action.add_argument("--app", metavar="ID", type=identity, required=True, help="application id")
    action.add_argument("--name", default="", help="what to call it")
    add_data(action)
    action.set_defaults(work=create)


async def create(parsed: argparse.Namespace, reactor: Reactor) -> None:
    """Print the secret and nothing else, so that a script can take it."""
    secret = new_token()
    async with data_file(parsed, reactor, create=True) as db:
        await SqliteSecrets(db).set(parsed.app, parsed.name, secret)
    print(secret)
