"""The ``gobelieve`` command: its subcommands, and how they end.

A subcommand is a module with ``add(subparsers)``, which declares its arguments and sets ``work``:
a coroutine function of (arguments, reactor), which prints its answer and raises a
`GobelieveError` if it cannot do what was asked. One that only works on files sets ``blocking``
instead: a function of the arguments, for which no reactor runs.

Exit codes: 0 done; 1 not done, with one line on stderr that says why; 2 wrong usage.
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

DONE, FAILED = 0, 1


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="gobelieve", description="Look after a GoBelieve instant-messaging system."
    )
    whole.add_argument("--version", action="version", version=f"gobelieve {__version__}")
    subparsers = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (token, app, group, storage):
        module.add(subparsers)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. The reactor runs once: one call a process."""
    parsed = parser().parse_args(arguments)
    if "blocking" in parsed:
        return run_blocking(parsed)
    codes: list[int] = []

    def begin(reactor: Reactor) -> Deferred[None]:
        return Deferred.fromCoroutine(run(parsed, reactor)).addCallback(codes.append)

    try:
        react(begin)
    except SystemExit as end:
        # No code: the work was interrupted.
        return codes[0] if codes else int(end.code or FAILED)


async def run(parsed: argparse.Namespace, reactor: Reactor) -> int:
    """Do the work of a parsed command line; the exit code."""
    if "blocking" in parsed:
        return run_blocking(parsed)
    try:
        await parsed.work(parsed, reactor)
        sys.stdout.flush()
    except (GobelieveError, OSError) as why:
        return _failed(why)
    return DONE


def run_blocking(parsed: argparse.Namespace) -> int:
    """The same for a command without a reactor."""
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
