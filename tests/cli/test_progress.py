"""The progress and the interruption of long commands."""

import argparse
import io
from contextlib import redirect_stderr

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.cli.main import run_blocking
from gobelieve.cli.progress import ProgressLine


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class ProgressTests(SynchronousTestCase):
    """The progress line of a long command."""

    def setUp(self) -> None:
        self.now = 0.0

    def line(self, stream: io.StringIO) -> ProgressLine:
        return ProgressLine("verify", 1000, stream, lambda: self.now)

    def test_a_terminal(self) -> None:
        """A terminal shows the line after one second, then five times per second, and no line at
        the end."""
        stream = Terminal()
        line = self.line(stream)
        for done in range(0, 1000, 10):
            line(done)
            self.now += 0.125
        self.assertTrue(stream.getvalue().startswith("\rverify: 8%\rverify: 10%\rverify: 12%"))
        line.clear()
        line.clear()
        self.assertTrue(
            stream.getvalue().endswith("\rverify: 98%\r\x1b[K"), stream.getvalue()[-50:]
        )

    def test_a_quick_command(self) -> None:
        """A quick command shows no line."""
        stream = Terminal()
        line = self.line(stream)
        self.now = 0.9
        line(500)
        line.clear()
        self.assertEqual(stream.getvalue(), "")

    def test_a_file(self) -> None:
        """A stream that is no terminal gets no line."""
        stream = io.StringIO()
        line = self.line(stream)
        self.now = 5
        line(500)
        self.assertEqual(stream.getvalue(), "")


class InterruptedTests(SynchronousTestCase):
    """Commands that Ctrl-C interrupts."""

    def test_one_line_and_exit_code_1(self) -> None:
        """An interrupted command prints one line, and its exit code is 1."""

        def work(parsed: argparse.Namespace) -> None:
            raise KeyboardInterrupt

        err = io.StringIO()
        with redirect_stderr(err):
            code = run_blocking(argparse.Namespace(blocking=work))
        self.assertEqual((code, err.getvalue()), (1, "gobelieve: interrupted\n"))
