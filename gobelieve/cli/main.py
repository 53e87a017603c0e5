"""The ``gobelieve`` command: its commands, and its exit codes.

Each command is a module with ``add(subparsers)``, listed in `COMMANDS`. It declares actions by
`gobelieve.cli.arguments.add_action`, each with a coroutine function of (arguments, reactor). The
function prints the answer, or raises `GobelieveError`. An action that only uses files sets
``blocking`` instead of ``work``: a function of the arguments, for which no reactor runs.

Exit codes: 0 for success; 1 for a failure, with its reason in a line on stderr; 2 for wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from gobelieve import __version__
from gobelieve.cli import app, group, storage, token
from gobelieve.errors import GobelieveError
from gobelieve.event_loop.reactor import Reactor

COMMANDS = (token, app, group, storage)
DONE, FAILED = 0, 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="gobelieve", description="Look after a GoBelieve instant-messaging system."
    )
    whole.add_argument("--version", action="version", version=f"gobelieve {__version__}")
    subparsers = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(subparsers)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. The reactor allows one call per process."""
    parsed = parser().parse_args(arguments)
    if "blocking" in parsed:
        return run_blocking(parsed)
    codes: list[int] = []

    def begin(reactor: Reactor) -> Deferred[None]:
        return Deferred.fromCoroutine(run(parsed, reactor)).addCallback(codes.append)

    try:
        react(begin)
    except SystemExit as end:
        # Without a code the work was interrupted.
        return codes[0] if codes else int(end.code or FAILED)


async def run(parsed: argparse.Namespace, reactor: Reactor) -> int:
    """Run a parsed command line and return the exit code."""
    if "blocking" in parsed:
        return run_blocking(parsed)
    try:
        await parsed.work(parsed, reactor)
        sys.stdout.flush()
    except (GobelieveError, OSError) as why:
        return _failed(why)
    return DONE


def run_blocking(parsed: argparse.Namespace) -> int:
    """Run a command that needs no reactor, and return the exit code."""
    try:
        parsed.blocking(parsed)
        sys.stdout.flush()
    except (GobelieveError, OSError) as why:
        return _failed(why)
    except KeyboardInterrupt:
        return _failed("interrupted")
    return DONE


def _failed(why: Exception | str) -> int:
    if isinstance(why, OSError) and why.filename:
        why = f"{why.filename}: {why.strerror}"
    print(f"gobelieve: {why}", file=sys.stderr)
    return FAILED
