"""The progress of a long command, for a user at a terminal."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

SILENT_SECONDS = 1.0
"""Seconds before the line is shown for the first time."""
INTERVAL_SECONDS = 0.2


class ProgressLine:
    """A line on stderr that is rewritten again and again. Without a terminal nothing is written.

    As a context manager it removes the line at the end.
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
        """Show that this number of the total is done."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + INTERVAL_SECONDS
        self._shown = True
        percent = 100 * done // max(self._total, 1)
        print(f"\r{self._what}: {percent}%", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Remove the line, so that another can be printed."""
        if self._shown:
            self._shown = False
            print("\r\x1b[K", end="", file=self._stream, flush=True)
