"""Masters and slaves as daemons: killed, cut off, frozen, promoted, and equal in the end."""

import os
import shutil
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from gobelieve.names import AckStatus
from gobelieve.storage.format.records import BLOCK_SIZE
from gobelieve.wire.client import IM
from gobelieve.wire.storage import (
    USERS,
    Fetch,
    Page,
    Save,
    pack_save,
    unpack_messages,
    unpack_saved,
)
from tests.faults.support import PATIENT, FaultTestCase, Load, bare
from tests.network.processes import (
    APPID,
    ROOT,
    AllInOne,
    Daemon,
    DaemonError,
    Daemons,
    sample,
    settings,
)
from tests.network.tap import Tap
from tests.ports import free_port
from tests.storage.support import open_store, to_users
from tests.waits import until

ALICE, BOB, CAROL = 1001, 1002, 2000


def blocks(root: Path) -> dict[str, bytes]:
    """Return the content of the block files."""
    return {path.name: path.read_bytes() for path in root.glob("message_*")}


def lengths(root: Path) -> dict[str, int]:
    """Return the lengths of the block files."""
    return {path.name: path.stat().st_size for path in root.glob("message_*")}


class Slaves(Daemons):
    """Slaves, each in its own folder."""

    def add(self, master: int) -> Daemon:
        """Add a slave of the master at this port. Its own slaves use its second port."""
        rpc, sync = free_port(), free_port()
        daemon = Daemon("gobelieve-ims", listens=[rpc, sync])
        own = {
            "rpc_listen": f"127.0.0.1:{rpc}",
            "sync_listen": f"127.0.0.1:{sync}",
            "master_address": f"127.0.0.1:{master}",
            "storage_root": daemon.folder / "storage",
        }
        daemon.arguments = [*sample("ims"), *settings(own)]
        self.daemons.append(daemon)
        return daemon


class ReplicationTests(FaultTestCase):
    """The master is the all-in-one daemon. Its clients send messages all the time."""

    async def begin(self, sync_delay: float = 0.05) -> None:
        """Make a master that is not started yet."""
        self.sync_port = free_port()
        port = f"127.0.0.1:{self.sync_port}"
        self.server = AllInOne({"ims.sync_listen": port, "ims.sync_delay": sync_delay})
        self.server.daemon.listens.append(self.sync_port)
        self.slaves = Slaves()
        self.addCleanup(self.slaves.stop)
        self.root = self.server.data / "storage"

    async def write(self) -> None:
        """Start the master, and clients that send messages."""
        await self.running(self.server)
        senders = [await self.server.client(uid, timing=PATIENT) for uid in (ALICE, BOB)]
        await self.connected(*senders)
        self.load = Load(senders, CAROL, window=20)
        self.load.start()
        await self.load.more(100)

    async def slave(self, master: int | None = None) -> Daemon:
        """Start a slave, and wait until it follows."""
        daemon = self.slaves.add(master or self.sync_port)
        await daemon.start()
        await daemon.logged("is connected, our end is 32")
        return daemon

    def folder(self, daemon: Daemon) -> Path:
        """Return the folder of a slave's blocks."""
        return daemon.folder / "storage"

    async def equal(self, *daemons: Daemon) -> None:
        """Wait until the slaves have all messages of the master, which gets no new ones."""
        wanted = lengths(self.root)
        for daemon in daemons:
            folder = self.folder(daemon)
            await until(lambda f=folder: lengths(f) == wanted, "the slave has everything")  # type: ignore[misc]
            self.assertEqual(blocks(folder), blocks(self.root))
            self.assertNotIn("is cut off", daemon.log)

    async def received(self, daemon: Daemon, uid: int = CAROL) -> list[bytes]:
        """Return the messages of a user in a slave's storage."""
        asker = await bare(daemon.listens[0])
        after, found = 0, list[bytes]()
        while True:
            known = len(asker.frames)
            asker.write(Fetch(appid=APPID, uid=uid, after=after, limit=0).frame(1))
            page = Page.decode((await asker.frame(Page.number, known)).body)
            found += [IM.decode(m.body, 1).content for m in unpack_messages(page.messages)]
            after = page.last
            if not page.more:
                asker.hang_up()
                return found

    async def save(self, daemon: Daemon, content: bytes) -> int:
        """Return the status of a save at a slave's storage."""
        message = IM(sender=ALICE, receiver=CAROL, timestamp=1, msgid=0, content=content)
        item = pack_save(1, IM.number, USERS, (APPID, CAROL), message.encode())
        asker = await bare(daemon.listens[0])
        answer = await asker.request(Save(items=item).frame(7), 231)
        asker.hang_up()
        return unpack_saved(answer.body, 0, 1)[0]

    async def command(self, *arguments: str) -> str:
        """Run ``gobelieve storage``, check that it succeeds, and return its output."""
        words = ["-m", "gobelieve.cli", "storage", *arguments]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        out, err, code = await getProcessOutputAndValue(sys.executable, words, env)
        self.assertEqual((err, code), (b"", 0), out)
        printed: str = out.decode()
        return printed

    async def alone(self, daemon: Daemon) -> None:
        """Start a former slave without its master."""
        await daemon.stop()
        (daemon.folder / "twistd.pid").unlink(missing_ok=True)
        daemon.arguments += settings({"master_address": '""'})
        await daemon.start()

    async def test_a_slave_is_promoted_after_all_daemons_were_killed(self) -> None:
        """The promoted slave has all acked messages, and its files equal the master's."""
        await self.begin()
        tap = Tap()
        await self.write()
        self.addCleanup(tap.stop)
        port = await tap.start(self.sync_port)
        first = await self.slave(port)
        second = await self.slave(first.listens[1])
        await self.load.more(50)

        await self.server.daemon.kill()
        self.load.interrupted()
        await self.server.daemon.restart(kill=True)
        await self.load.more(100)
        tap.cut()
        await self.load.more(100)
        await first.restart(kill=True)
        await self.load.more(50)
        tap.mend()
        await self.load.more(50)
        await second.restart(kill=True)
        await self.load.more(50)
        await self.load.stop()
        await self.equal(first, second)
        self.load.check(await self.received(second))

        await self.server.daemon.kill()
        await first.stop()
        await self.command("promote", str(self.folder(first)))
        await self.alone(first)
        self.load.check(await self.received(first))
        self.assertEqual(await self.save(first, b"to the new master"), 0)
        await until(
            lambda: lengths(self.folder(first)) == lengths(self.folder(second)),
            "its slave follows the new master",
        )
        self.assertEqual((await self.received(second))[-1], b"to the new master")

    async def test_a_frozen_slave_delays_no_save(self) -> None:
        """A frozen slave delays no save. When it continues, it gets all messages."""
        await self.begin()
        await self.write()
        slave = await self.slave()
        slave.pause()
        await self.load.more(500)
        slave.resume()
        await self.load.more(20)
        await self.load.stop()
        await self.equal(slave)

    async def test_a_master_that_stops_in_order(self) -> None:
        """When a master has stopped, its slave has all acked messages, however long it may wait for
        more."""
        await self.begin(sync_delay=600)
        await self.write()
        slave = await self.slave()
        await self.load.more(50)
        await self.server.daemon.stop()
        self.load.interrupted()
        self.assertEqual(blocks(self.folder(slave)), blocks(self.root))
        await self.server.daemon.restart()
        await self.load.stop()

    async def test_over_the_end_of_a_block(self) -> None:
        """A slave that began as a backup follows into the next block while clients send
        messages."""
        await self.begin()
        store = open_store(str(self.root))
        body = bytes(32_000)
        while store.blocks.end[1] < BLOCK_SIZE - 50_000:
            store.append(to_users(3000, body=body))
            store.flush()
        store.close()
        daemon = self.slaves.add(self.sync_port)
        await self.command("backup", str(self.root), str(self.folder(daemon)))
        await self.write()
        await daemon.start()
        await self.load.more(500)
        await self.load.stop()
        self.assertEqual(set(lengths(self.root)), {"message_0", "message_1"})
        await self.equal(daemon)
        self.load.check(await self.received(daemon))

    async def test_a_slave_is_read_only(self) -> None:
        """A slave refuses saves with a status. It does not start as a master by mistake."""
        await self.begin()
        await self.write()
        await self.load.stop()
        slave = await self.slave()
        self.assertEqual(await self.save(slave, b"not here"), AckStatus.READ_ONLY)
        await self.equal(slave)
        with self.assertRaises(DaemonError) as caught:
            await self.alone(slave)
        self.assertIn("gobelieve storage promote", str(caught.exception))

    async def test_an_old_master_is_refused(self) -> None:
        """An old master with a message that the new one does not have is refused. Both logs say so,
        and no file changes."""
        await self.begin()
        await self.write()
        await self.load.stop()
        slave = await self.slave()
        await self.equal(slave)
        await slave.stop()
        folder, arguments = self.folder(slave), list(slave.arguments)
        await self.command("promote", str(folder))
        await self.alone(slave)
        self.assertEqual(await self.save(slave, b"nobody else has this"), 0)
        await slave.stop()
        before = blocks(folder)

        slave.arguments = arguments
        (slave.folder / "twistd.pid").unlink(missing_ok=True)
        await slave.start()
        await slave.logged("gives us nothing, it says of us: its end .* is beyond ours")
        await self.server.daemon.logged("gets nothing: its end .* is beyond ours")
        self.assertEqual(blocks(folder), before)
        await slave.stop()

        aside = f"{folder}.diverged-1"
        self.assertIn(aside, await self.command("resync", "--yes", str(folder)))
        (slave.folder / "twistd.pid").unlink(missing_ok=True)
        await slave.start()
        await self.equal(slave)
        self.assertEqual(blocks(Path(aside)), before)
        shutil.rmtree(aside)
