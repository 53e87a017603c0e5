"""Measurements that need no daemons: they run, and notice what is wrong."""

import argparse
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.bench import start


class StartTests(SynchronousTestCase):
    """``python -m gobelieve.bench start``."""

    def measure(self, *arguments: str) -> tuple[bool, str, str]:
        parser = argparse.ArgumentParser()
        start.add_arguments(parser)
        options = parser.parse_args(["--size", "1", "--users", "300", *arguments])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), start.start(options) as root:
            sound = self.successResultOf(Deferred.fromCoroutine(start.run(None, root, options)))
        self.assertFalse(os.path.exists(root))
        return sound, out.getvalue(), err.getvalue()

    def test_figures(self) -> None:
        """It says how long each start took, whatever is stored."""
        for mix in start.MIXES:
            sound, out, err = self.measure("--mix", mix)
            self.assertEqual((sound, err), (True, ""))
            lines = out.splitlines()
            self.assertIn(f" queues ({mix})", lines[0])
            self.assertRegex(lines[1], r"start from the snapshot +\d+\.\d\d s")
            self.assertRegex(lines[2], r"rebuild .* \d+ MB/s +[\d,]+ records/s")
            self.assertRegex(lines[3], r"verify .* \d+ MB/s +[\d,]+ records/s")

    def test_damage(self) -> None:
        """A measurement of a directory that is not sound fails."""

        def fill(root: str, options: argparse.Namespace) -> None:
            filled(root, options)
            with open(os.path.join(root, "message_0"), "r+b") as file:
                file.seek(32 + 16)
                file.write(b"damage")

        filled = start._fill
        with patch.object(start, "_fill", fill):
            sound, _, err = self.measure()
        self.assertFalse(sound)
        self.assertIn("findings", err)
