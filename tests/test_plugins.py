"""The plugins of gobelieve that twistd finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.waits import DEADLINE

ROOT = Path(__file__).parents[1]
DISCOVER = """
import json, sys
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

found = {p.tapname: p.module for p in getPlugins(IServiceMaker)}
print(json.dumps([found, sorted(sys.modules)]))
"""


class PluginTests(SynchronousTestCase):
    """Discovery of plugins, in a separate process."""

    def test_discovery(self) -> None:
        """twistd finds our four subcommands, and imports nothing of gobelieve to find them."""
        out = subprocess.run(
            [sys.executable, "-c", DISCOVER],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        found, modules = json.loads(out.stdout)
        ours = {name: module for name, module in found.items() if name.startswith("gobelieve")}
        self.assertEqual(
            ours,
            {
                "gobelieve": "gobelieve.services.embedded",
                "gobelieve-im": "gobelieve.services.im",
                "gobelieve-imr": "gobelieve.services.imr",
                "gobelieve-ims": "gobelieve.services.ims",
            },
        )
        heavy = ("gobelieve", "autobahn", "txredisapi", "pymysql", "twisted.internet.reactor")
        loaded = [name for name in modules if name.startswith(heavy)]
        self.assertEqual(loaded, [])
