"""Backups of a server that people write to all the while."""

import os
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from tests.cli.directories import KILLED
from tests.faults.support import PATIENT, FaultTestCase, Load
from tests.network.processes import ROOT, AllInOne

ALICE, BOB, CAROL = 1001, 1002, 2000


class BackupTests(FaultTestCase):
    """All in one process; the backup is the storage of a second one."""

    async def begin(self) -> None:
        """The first server runs, and is written to."""
        self.server, self.second = AllInOne(), AllInOne()
        self.addCleanup(self.second.stop)
        await self.running(self.server)
        self.storage = str(self.server.data / "storage")
        self.backup = str(self.second.data / "storage")
        senders = [await self.server.client(uid, timing=PATIENT) for uid in (ALICE, BOB)]
        await self.connected(*senders)
        self.load = Load(senders, CAROL, window=20)
        self.load.start()
        await self.load.more(100)

    async def python(self, *arguments: str) -> tuple[str, str, int]:
        """stdout, stderr, exit code of a Python with these arguments; 137 if it was killed."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        shell = ["-c", '"$@"; exit $?', "sh", sys.executable, *arguments]
        out, err, code = await getProcessOutputAndValue("/bin/sh", shell, env)
        return out.decode(), err.decode(), code

    async def storage_command(self, *arguments: str) -> str:
        """What ``gobelieve storage`` prints; it must succeed."""
        out, err, code = await self.python("-m", "gobelieve.cli", "storage", *arguments)
        self.assertEqual((err, code), ("", 0), out)
        return out

    async def opens_with(self, acked: list[bytes]) -> None:
        """See that a second server with the backup has these, and nothing that was not sent."""
        await self.running(self.second)
        token = await self.second.token(CAROL)
        received = await self.everything(self.second.port, CAROL, token)
        self.assertEqual(set(acked) - set(received), set())
        self.assertEqual(set(received) - set(self.load.attempts), set())
        self.assertEqual(len(received), len(set(received)))
        token = await self.server.token(CAROL)
        whole = await self.everything(self.server.port, CAROL, token)
        self.assertEqual(received, whole[: len(received)])

    async def test_one_after_the_other(self) -> None:
        """Each has all that was acked when it began, and the next one adds what came since."""
        await self.begin()
        for number in range(4):
            acked = list(self.load.acked)
            out = await self.storage_command("backup", self.storage, self.backup)
            self.assertIn("message_0:0 to" if number == 0 else "from message_0:", out)
            self.assertIn("findings: 0\n", await self.storage_command("verify", self.backup))
            await self.load.more(50)
        self.assertIn("in use: ", await self.storage_command("verify", self.storage))
        await self.opens_with(acked)
        await self.second.daemon.stop()
        await self.load.more(50)
        await self.load.stop()
        # That a daemon opened the backup has changed nothing in it.
        await self.storage_command("backup", self.storage, self.backup)
        self.assertEqual(block_of(self.backup), block_of(self.storage))

    async def test_killed_in_the_middle(self) -> None:
        """Again and again; the next one that is let do its work completes it."""
        await self.begin()
        for writes in (0, 1, 5, 2):
            arguments = ("storage", "backup", self.storage, self.backup)
            _, _, code = await self.python("-c", KILLED, str(writes), *arguments)
            self.assertEqual(code, 137)
            await self.load.more(50)
        acked = list(self.load.acked)
        await self.storage_command("backup", self.storage, self.backup)
        await self.load.stop()
        await self.opens_with(acked)


def block_of(root: str) -> bytes:
    """What the first block of a directory has."""
    return Path(root, "message_0").read_bytes()
