"""The command as a process, as a shell sees it."""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

import gobelieve
from tests.waits import DEADLINE

HERE = str(Path(gobelieve.__file__).parent.parent)


class ProcessTests(TestCase):
    """``python -m gobelieve.cli`` in a folder of its own."""

    def run_in(self, folder: str, *arguments: str) -> tuple[int, str, str]:
        """Run a command line in a folder, and return exit code, stdout and stderr."""
        Path(folder).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "gobelieve.cli", *arguments],
            cwd=folder,
            env={"PYTHONPATH": HERE, "PATH": ""},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        return done.returncode, done.stdout, done.stderr

    def test_version(self) -> None:
        result = self.run_in(self.mktemp(), "--version")
        self.assertEqual(result, (0, f"gobelieve {gobelieve.__version__}\n", ""))

    def test_the_folder_var_is_used_if_none_is_named(self) -> None:
        folder = self.mktemp()
        code, out, err = self.run_in(folder, "token", "create", "--app", "7", "--uid", "1001")
        self.assertEqual((code, err), (0, ""))
        self.assertTrue((Path(folder) / "var" / "gobelieve.db").exists())
        code, out, err = self.run_in(folder, "token", "show", out.strip())
        self.assertEqual((code, err), (0, ""))
        self.assertIn("uid: 1001\n", out)

    def test_a_failure_is_one_line_and_exit_code_1(self) -> None:
        code, out, err = self.run_in(self.mktemp(), "token", "show", "t")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(
            err, "gobelieve: there is no var/gobelieve.db: is --data or --redis missing?\n"
        )

    def test_wrong_usage_is_exit_code_2(self) -> None:
        code, out, err = self.run_in(self.mktemp(), "token", "show")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("TOKEN", err)
        self.assertNotIn("Traceback", err)
