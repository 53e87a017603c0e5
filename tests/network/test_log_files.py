"""Log files that are moved away from running daemons, and SIGHUP, which ends no daemon."""

import os
import signal
import sys
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from gobelieve.wire.storage import StoragePing, StoragePong
from tests.faults.support import FaultTestCase, bare
from tests.network.processes import (
    LAUNCH,
    ROOT,
    RUNNING,
    AllInOne,
    Daemon,
    Daemons,
    sample,
    settings,
)
from tests.ports import free_port
from tests.waits import until

REOPENED = "SIGHUP: the log file is opened again"
ROTATED = "SIGUSR1: the log begins a new file"


class Logged(Daemon):
    """A storage daemon that logs to a file."""

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__("gobelieve-ims", listens=[self.port])
        own = {"rpc_listen": f"127.0.0.1:{self.port}", "storage_root": self.folder / "storage"}
        self.arguments = [*sample("ims"), *settings(own)]
        self.path = self.folder / "ims.log"

    @property
    def log(self) -> str:
        """The content of all its log files."""
        return "".join(path.read_text() for path in self.folder.glob("ims.log*"))

    async def start(self) -> None:
        """Start, and wait until the log says that it runs."""
        from twisted.internet import reactor

        spawner: Any = reactor
        command = [sys.executable, "-c", LAUNCH, "-n", "--pidfile=twistd.pid"]
        self._output.ended = False
        self._transport = spawner.spawnProcess(
            self._output,
            sys.executable,
            [*command, f"--logfile={self.path}", self.plugin, *self.arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            path=str(self.folder),
        )
        await until(lambda: RUNNING in self.log or self._output.ended, "the daemon runs")
        assert self.running, self.log + self._output.text


class LogFileTests(FaultTestCase):
    """Daemons that log to a file, with ``--logfile``."""

    async def begin(self) -> Logged:
        """Start a daemon and return it."""
        daemon, daemons = Logged(), Daemons()
        daemons.daemons = [daemon]
        await self.running(daemons)
        self.visits = 0
        return daemon

    async def visit(self, daemon: Logged, times: int = 1) -> None:
        """Open and close connections. Each logs two lines."""
        for _ in range(times):
            asker = await bare(daemon.port)
            await asker.request(StoragePing().frame(1), StoragePong.number)
            asker.hang_up()
            self.visits += 1

    async def noticed(self, daemon: Logged) -> None:
        """Wait until all visits are logged, none of them twice."""

        def seen() -> bool:
            return daemon.log.count(" disconnected") >= self.visits

        await until(seen, "all lines are in the log")
        self.assertEqual(daemon.log.count(" connected"), self.visits)
        self.assertEqual(daemon.log.count(" disconnected"), self.visits)

    async def test_moved_away_again_and_again(self) -> None:
        """The log is moved away as logrotate does, while the daemon is in use. No line is lost or
        torn."""
        daemon = await self.begin()
        for number in range(1, 6):
            await self.visit(daemon, 5)
            moved = daemon.path.rename(daemon.folder / f"ims.log.{number}")
            await self.visit(daemon, 5)
            self.assertFalse(daemon.path.exists())
            daemon.signal("HUP")
            await self.visit(daemon, 5)
            await until(lambda: self.opened(daemon), "the log is opened again")
            old = moved.read_text()
            await self.visit(daemon, 1)
            await self.noticed(daemon)
            self.assertEqual(moved.read_text(), old, "the moved file is let go of")
            self.assertIn(" connected", daemon.path.read_text())
        lines = daemon.log.splitlines()
        self.assertEqual([line for line in lines if not line[:4].isdigit()], [])

    def opened(self, daemon: Logged) -> bool:
        """Wait until the new file is there, and names its reason."""
        return daemon.path.exists() and REOPENED in daemon.path.read_text()

    async def test_cut_off(self) -> None:
        """The log is cut off without a signal, like logrotate's ``copytruncate``. It gets no
        hole."""
        daemon = await self.begin()
        await self.visit(daemon, 3)
        await self.noticed(daemon)
        os.truncate(daemon.path, 0)
        self.visits = 0
        await self.visit(daemon, 3)
        await self.noticed(daemon)
        self.assertNotIn(b"\0", daemon.path.read_bytes())

    async def test_it_cannot_be_opened_again(self) -> None:
        """If the log cannot be opened again, the daemon says so in the old file, and continues
        there."""
        daemon = await self.begin()
        moved = daemon.path.rename(daemon.folder / "moved")
        daemon.path.mkdir()
        daemon.signal("HUP")
        await until(lambda: "Is a directory" in moved.read_text(), "it says why")
        await self.visit(daemon)
        await until(lambda: " disconnected" in moved.read_text(), "it goes on")
        daemon.path.rmdir()

    async def test_sigusr1(self) -> None:
        """SIGUSR1 rotates the log, as in any twistd."""
        daemon = await self.begin()
        await self.visit(daemon)
        await self.noticed(daemon)
        daemon.signal("USR1")
        first = daemon.folder / "ims.log.1"
        await until(lambda: first.exists() and ROTATED in daemon.path.read_text(), "a new file")
        self.assertIn(" connected", first.read_text())

    async def test_in_the_background(self) -> None:
        """A daemon without ``--nodaemon`` opens its log again too. It is in twistd's default
        place."""
        daemon = Logged()
        self.addCleanup(daemon.remove)
        pid, log = daemon.folder / "twistd.pid", daemon.folder / "twistd.log"
        words = ["-c", "from twisted.scripts.twistd import run; run()", f"--pidfile={pid}"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [*words, daemon.plugin, *daemon.arguments], env, str(daemon.folder)
        )
        self.assertEqual((out, err, code), (b"", b"", 0))
        process = int(pid.read_text())
        self.addCleanup(lambda: os.kill(process, signal.SIGKILL) if pid.exists() else None)
        await until(lambda: "starting on" in log.read_text(), "it listens")
        log.rename(daemon.folder / "twistd.log.1")
        os.kill(process, signal.SIGHUP)
        await until(lambda: log.exists() and REOPENED in log.read_text(), "a new file")
        os.kill(process, signal.SIGTERM)
        await until(lambda: not pid.exists(), "it ends")
        self.assertIn("Server Shut Down", log.read_text())


class NoFileTests(FaultTestCase):
    """Daemons that log to standard output, as under systemd."""

    async def test_sighup_ends_no_daemon(self) -> None:
        """Each daemon keeps running after SIGHUP, and stops in order later."""
        server, router = AllInOne(), Daemons()
        port = free_port()
        arguments = settings({"listen": f"127.0.0.1:{port}", "push_disabled": "true"})
        router.daemons = [Daemon("gobelieve-imr", [*sample("imr"), *arguments], [port])]
        await self.running(server)
        await self.running(router)
        for daemon in (*server.daemons, *router.daemons):
            for _ in range(3):
                daemon.signal("HUP")
        alice = await server.client(1001)
        await self.connected(alice)
        await alice.send(1002, "x")
        (await bare(port)).hang_up()
        await router.daemons[0].logged("gateway .* connected")
