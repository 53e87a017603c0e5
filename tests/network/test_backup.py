"""Backups of a server while clients send messages."""

import os
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from tests.cli.directories import KILLED
from tests.faults.support import PATIENT, FaultTestCase, Load
from tests.network.processes import ROOT, AllInOne

ALICE, BOB, CAROL = 1001, 1002, 2000


class BackupTests(FaultTestCase):
    """The all-in-one daemon. A second one starts with the restored backup as its storage."""

    async def begin(self) -> None:
        """Start the first server, and clients that send messages."""
        self.server, self.second = AllInOne(), AllInOne()
        self.addCleanup(self.second.stop)
        await self.running(self.server)
        self.storage = str(self.server.data / "storage")
        self.backup = self.mktemp()
        senders = [await self.server.client(uid, timing=PATIENT) for uid in (ALICE, BOB)]
        await self.connected(*senders)
        self.load = Load(senders, CAROL, window=20)
        self.load.start()
        await self.load.more(100)

    async def python(self, *arguments: str) -> tuple[str, str, int]:
        """Run Python with these arguments. Return stdout, stderr and exit code, which is 137 after
        SIGKILL."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        shell = ["-c", '"$@"; exit $?', "sh", sys.executable, *arguments]
        out, err, code = await getProcessOutputAndValue("/bin/sh", shell, env)
        return out.decode(), err.decode(), code

    async def storage_command(self, *arguments: str) -> str:
        """Run ``gobelieve storage``, check that it succeeds, and return its output."""
        out, err, code = await self.python("-m", "gobelieve.cli", "storage", *arguments)
        self.assertEqual((err, code), ("", 0), out)
        return out

    async def opens_with(self, acked: list[bytes]) -> None:
        """Restore the backup for the second server. It must have these messages, and none that was
        not sent."""
        self.second.data.mkdir()
        restored = str(self.second.data / "storage")
        await self.storage_command("restore", self.backup, restored)
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
        """Each backup has all messages acked before it began. The next one adds the newer ones."""
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
        # The backup has not changed by the restore, and can go on.
        await self.storage_command("backup", self.storage, self.backup)
        self.assertEqual(block_of(self.backup), block_of(self.storage))

    async def test_killed_in_the_middle(self) -> None:
        """The next backup after killed ones is complete."""
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
    """Return the content of the first block in a directory."""
    return Path(root, "message_0").read_bytes()
