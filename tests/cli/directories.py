"""Helpers of the tests of ``gobelieve storage``: a directory, and running the command."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.cli.main import parser, run_blocking
from tests.storage.support import im, open_store, save, to_group, to_users

VECTORS = Path(__file__).parents[1] / "vectors" / "storage"
ROOT = Path(__file__).parents[2]
CASES = ("seed", "master", "master_noindex")

# The command, which is killed instead of writing for the n-th time.
KILLED = """
import os, sys
from gobelieve.cli.main import main
from gobelieve.storage.tools import copies
from gobelieve.storage.files.files import Files

class Killed(Files):
    left = int(sys.argv[1])
    def write_all(self, fd, data, offset):
        if not self.left:
            os.kill(os.getpid(), 9)
        self.left -= 1
        super().write_all(fd, data, offset)

copies.CHUNK_BYTES, copies.Files = 1003, Killed
main(sys.argv[2:])
"""


class StorageCommand(SynchronousTestCase):
    """Has a directory with messages, not in use."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        store = open_store(self.root)
        first = to_users(102, 101, body=im(101, 102, "你好"))
        self.first, self.second = (
            msgid for msgid, _ in save(store, first, to_group(500, im(101, 500, "all\n")))
        )
        store.close()
        self.block = Path(self.root, "message_0")
        self.end = self.block.stat().st_size

    def add(self, data: bytes) -> None:
        """Append bytes to the block."""
        with open(self.block, "ab") as file:
            file.write(data)

    def hold(self) -> None:
        """Lock the directory as a daemon does."""
        self.addCleanup(open_store(self.root).close)

    def files(self, root: str | Path) -> dict[str, bytes]:
        """Return the files of a directory with their content."""
        return {path.name: path.read_bytes() for path in Path(root).iterdir()}

    def blocks(self, root: str | Path) -> dict[str, bytes]:
        """Return the content of a directory's blocks."""
        return {name: data for name, data in self.files(root).items() if "message" in name}

    def storage(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``gobelieve storage``. Return its exit code, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run_blocking(parser().parse_args(["storage", *arguments]))
        return code, out.getvalue(), err.getvalue()


def shell(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "gobelieve.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
