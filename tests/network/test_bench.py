"""The benchmarks with many members run on real daemons, and find no error."""

import sys

from twisted.internet.utils import getProcessOutputAndValue

from tests.network.processes import ROOT
from tests.servers import missing
from tests.waits import ProcessTestCase

SMALL = ["--members=6", "--senders=2", "--window=2", "--warmup=0.1", "--seconds=0.2"]
FIGURES = (
    r"messages/s +[\d,]*[1-9]",
    r"deliveries/s +[\d,]*[1-9]",
    r"us CPU total +\d+\.\d\d",
    r"ms to all p99 +\d+\.\d\d",
    r"lost 0, doubled 0, out of order 0, refused 0",
)


class MeasurementTests(ProcessTestCase):
    """``python -m gobelieve.bench`` with group, supergroup and room."""

    async def measure(self, *arguments: str) -> None:
        command = ["-m", "gobelieve.bench", *arguments, *SMALL]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, command, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        )
        text: str = out.decode()
        self.assertEqual((code, err), (0, b""), text)
        for figure in FIGURES:
            self.assertRegex(text, figure)

    async def test_group(self) -> None:
        """The benchmark of an ordinary group runs on the all-in-one daemon."""
        await self.measure("group", "--embedded")

    async def test_super_group(self) -> None:
        """The benchmark of a super group runs on the all-in-one daemon."""
        await self.measure("supergroup", "--embedded")

    async def test_room(self) -> None:
        """The benchmark of a room runs on the all-in-one daemon."""
        await self.measure("room", "--embedded")

    async def test_daemons(self) -> None:
        """The benchmark of a super group runs on separate daemons with a database."""
        await self.measure("supergroup")

    test_daemons.skip = missing(  # type: ignore[attr-defined]
        "redis-server", "mariadbd", "mariadb-install-db"
    )
