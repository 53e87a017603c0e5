"""Refusing to start: with one line, exit code 1, and no traceback, however twistd was called."""

import sys
from types import TracebackType
from typing import NoReturn

from gobelieve.errors import GobelieveError


class StartError(GobelieveError):
    """The daemon cannot start; the text says why."""


def cannot_start(why: object) -> NoReturn:
    """End the start of the daemon.

    twistd hands what a service raises to the process that waits for the daemon, if it is an
    `Exception` (for `SystemExit` that one would wait for ever); with ``-n`` the exception reaches
    the interpreter, whose traceback would tell an operator nothing.
    """
    print_traceback = sys.excepthook

    def say(kind: type[BaseException], raised: BaseException, trace: TracebackType | None) -> None:
        if isinstance(raised, StartError):
            print(raised, file=sys.stderr)
        else:
            print_traceback(kind, raised, trace)

    sys.excepthook = say
    raise StartError(str(why))
