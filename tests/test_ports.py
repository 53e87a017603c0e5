"""The choice of free ports for tests."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.ports import BLOCK, free_port


class PortTests(SynchronousTestCase):
    """Free ports in one process and in several."""

    def test_no_port_is_given_twice_soon(self) -> None:
        """No port is given twice soon, and none that another process has claimed."""
        mine = {free_port() for _ in range(50)}
        self.assertEqual(len(mine), 50)
        command = "from tests.ports import free_port; print(*(free_port() for _ in range(50)))"
        said = subprocess.run(
            [sys.executable, "-c", command], check=True, capture_output=True, text=True
        ).stdout
        theirs = {int(port) for port in said.split()}
        self.assertEqual(len(theirs), 50)
        self.assertFalse({port // BLOCK for port in mine} & {port // BLOCK for port in theirs})
