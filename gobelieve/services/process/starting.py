"""Refusing to start: with one line, exit code 1, and no traceback, however twistd was called."""

import sys
from types import TracebackType
from typing import NoReturn

from gobelieve.errors import GobelieveError


class StartError(GobelieveError):
    """The daemon cannot start; the text says why."""


def cannot_start(why: object) -> NoReturn:
    """End the start of the daemon.

    A service must raise an `Exception` for this: twistd passes it to the process that waits for
    the daemon, which would wait for ever after a `SystemExit`. With ``-n`` the exception reaches
    the interpreter. Its traceback would not help an operator, so only the text is printed.
    """
    print_traceback = sys.excepthook

    def show(kind: type[BaseException], raised: BaseException, trace: TracebackType | None) -> None:
        if isinstance(raised, StartError):
            print(raised, file=sys.stderr)
        else:
            print_traceback(kind, raised, trace)

    sys.excepthook = show
    raise StartError(str(why))
