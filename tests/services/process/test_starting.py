"""A daemon that cannot start logs the reason in one line."""

import sys
from contextlib import redirect_stderr
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.process.starting import StartError, cannot_start


class StartTests(SynchronousTestCase):
    """Exceptions that reach the interpreter."""

    def said(self, raised: BaseException) -> str:
        """Return the text that is printed for an uncaught exception."""
        with redirect_stderr(StringIO()) as said:
            sys.excepthook(type(raised), raised, raised.__traceback__)
        return said.getvalue()

    def test_one_line_and_no_traceback(self) -> None:
        """A refusal to start is one line; a bug is shown with its traceback."""
        self.patch(sys, "excepthook", sys.excepthook)
        error = self.assertRaises(StartError, cannot_start, "the disk is gone")
        self.assertEqual(self.said(error), "the disk is gone\n")
        self.assertIn("ValueError: a bug", self.said(ValueError("a bug")))
