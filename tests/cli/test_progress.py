"""Long works: how far they are, and that they can be interrupted."""

import argparse
import io
from contextlib import redirect_stderr

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.cli.main import run_blocking
from gobelieve.cli.progress import ProgressLine


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


class ProgressTests(SynchronousTestCase):
    """How far it is."""

    def setUp(self) -> None:
        self.now = 0.0

    def line(self, stream: io.StringIO) -> ProgressLine:
        return ProgressLine("verify", 1000, stream, lambda: self.now)

    def test_a_terminal(self) -> None:
        """Is told after a second, then five times a second, and left clean."""
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

    def test_what_is_quick(self) -> None:
        """Says nothing."""
        stream = Terminal()
        line = self.line(stream)
        self.now = 0.9
        line(500)
        line.clear()
        self.assertEqual(stream.getvalue(), "")

    def test_a_file(self) -> None:
        """Says nothing either."""
        stream = io.StringIO()
        line = self.line(stream)
        self.now = 5
        line(500)
        self.assertEqual(stream.getvalue(), "")


class InterruptedTests(SynchronousTestCase):
    """Ctrl-C."""

    def test_it(self) -> None:
        """Is one line and exit code 1."""

        def work(parsed: argparse.Namespace) -> None:
            raise KeyboardInterrupt

        err = io.StringIO()
        with redirect_stderr(err):
            code = run_blocking(argparse.Namespace(blocking=work))
        self.assertEqual((code, err.getvalue()), (1, "gobelieve: interrupted\n"))
