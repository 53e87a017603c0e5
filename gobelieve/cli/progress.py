"""How far a long work is, for whoever sits at a terminal."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

SILENT_SECONDS = 1.0
"""Nothing is shown of what is done within so many seconds."""
INTERVAL_SECONDS = 0.2


class ProgressLine:
    """One line on stderr that is written over again and again; nothing if that is no terminal.

    As a context manager it takes the line away at the end.
    """

    def __init__(
        self,
        what: str,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._next = clock() + SILENT_SECONDS if self._stream.isatty() else float("inf")
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def __call__(self, done: int) -> None:
        """So many of the total are done."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + INTERVAL_SECONDS
        self._shown = True
        percent = 100 * done // max(self._total, 1)
        print(f"\r{self._what}: {percent}%", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the line away, so that another can be printed."""
        if self._shown:
            self._shown = False
            print("\r\x1b[K", end="", file=self._stream, flush=True)
