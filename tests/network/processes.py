"""Real daemons for tests: processes of ``twistd -n gobelieve-...`` on loopback.

    class MyTests(ProcessTestCase):
        skip = missing("redis-server")

        async def setUp(self) -> None:
            self.cluster = Cluster(shared_redis(), gateways=2)
            self.addCleanup(self.cluster.stop)
            await self.cluster.start()

        async def test_something(self) -> None:
            alice = self.cluster.client(1001)
            bob = self.cluster.client(1002, gateway=1)
            self.addCleanup(alice.close)
            ...

`stop` ends the daemons in order, and fails the test if one logged a traceback or did not end.
Nothing here sleeps: a daemon is ready when its log says that it listens and runs.
"""

import itertools
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService, SqliteTokenAdmin
from gobelieve.client import Client
from gobelieve.names import User
from tests.ports import free_port
from tests.servers import RedisServer
from tests.waits import DEADLINE

ROOT = Path(__file__).parents[2]
BAD_WORDS = ("Traceback", "Unhandled", "unhandled")
APPID = 7

RUNNING = "the reactor runs"
# A twistd that ends with the tests, even if they are killed. It listens before its services
# start, so it prints another line when all have started.
LAUNCH = f"""
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
from twisted.internet import reactor
from twisted.scripts.twistd import run
reactor.callWhenRunning(print, "{RUNNING}")
sys.argv[0] = "twistd"
run()
"""


class DaemonError(Exception):
    """A daemon failed. The text has its log."""


class _Output(ProcessProtocol):
    """Reads the log of one process, and notices its end."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self.exit: Failure | None = None
        self.waiting: list[tuple[str, int, Deferred[None]]] = []
        self.watching_end: list[Deferred[None]] = []

    def outReceived(self, data: bytes) -> None:
        self.text += data.decode("utf-8", "replace")
        for entry in list(self.waiting):
            pattern, start, seen = entry
            if re.search(pattern, self.text[start:]):
                self.waiting.remove(entry)
                seen.callback(None)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        self.ended = True
        self.exit = reason
        waiting, self.waiting = self.waiting, []
        for pattern, _, seen in waiting:
            seen.errback(DaemonError(f"ended before it logged {pattern!r}"))
        watching, self.watching_end = self.watching_end, []
        for end in watching:
            end.callback(None)

    def seen(self, pattern: str, start: int = 0) -> Deferred[None]:
        """Return a Deferred that fires when the log, from this offset, matches the pattern."""
        seen: Deferred[None] = Deferred()
        if re.search(pattern, self.text[start:]):
            seen.callback(None)
        elif self.ended:
            seen.errback(DaemonError(f"ended before it logged {pattern!r}"))
        else:
            self.waiting.append((pattern, start, seen))
        return seen

    def end(self) -> Deferred[None]:
        """Return a Deferred that fires when the process has ended."""
        end: Deferred[None] = Deferred()
        if self.ended:
            end.callback(None)
        else:
            self.watching_end.append(end)
        return end


class Daemon:
    """One ``twistd -n PLUGIN ARGUMENTS``, in its own folder.

    It counts as started when its log names all ports in `listens`.
    """

    def __init__(
        self, plugin: str, arguments: Sequence[str] = (), listens: Sequence[int] = ()
    ) -> None:
        self.plugin = plugin
        self.arguments = list(arguments)
        self.listens = list(listens)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{plugin}-"))
        self.logs = ""
        """The logs of the runs before the present one."""
        self._output = _Output()
        self._output.ended = True
        self._transport: Any = None

    @property
    def log(self) -> str:
        """The log of all runs."""
        return self.logs + self._output.text

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return not self._output.ended

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self.running
        pid: int = self._transport.pid
        return pid

    async def start(self) -> None:
        """Start, and wait until it listens. Raises `DaemonError` with its log if it does not."""
        from twisted.internet import reactor

        assert not self.running, f"{self.plugin} runs already"
        self.logs += self._output.text
        self._output = output = _Output()
        command = [sys.executable, "-c", LAUNCH, "-n", "--pidfile=twistd.pid", self.plugin]
        spawner: Any = reactor
        self._transport = spawner.spawnProcess(
            output,
            sys.executable,
            [*command, *self.arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            path=str(self.folder),
        )
        wanted = [RUNNING, *(rf"starting on {port}\b" for port in self.listens)]
        logged = [output.seen(text) for text in wanted]
        ready = gatherResults(logged, consumeErrors=True).addTimeout(DEADLINE, spawner)
        try:
            await ready
        except Exception:
            await self.kill()
            raise DaemonError(f"{self.plugin} did not start:\n{output.text}") from None

    async def stop(self) -> None:
        """Send SIGTERM and wait for the end. Raises `DaemonError` if it ends badly, or not at
        all."""
        from twisted.internet import reactor

        if not self.running:
            return
        self.signal("CONT")
        self.signal("TERM")
        clock: Any = reactor
        try:
            await self._output.end().addTimeout(DEADLINE, clock)
        except Exception:
            text = self.log
            await self.kill()
            raise DaemonError(f"{self.plugin} did not stop:\n{text}") from None
        # twistd ends by the signal that it received.
        how = self._output.exit
        assert how is not None
        if not how.check(ProcessDone) and getattr(how.value, "signal", None) != signal.SIGTERM:
            raise DaemonError(f"{self.plugin} ended with {self._output.exit}:\n{self.log}")

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end, as after a power cut."""
        if self.running:
            end = self._output.end()
            self.signal("KILL")
            await end

    def pause(self) -> None:
        """Freeze the process until `resume`: it neither answers nor closes anything."""
        self.signal("STOP")

    def resume(self) -> None:
        """Let the process continue after `pause`."""
        self.signal("CONT")

    async def restart(self, *, kill: bool = False) -> None:
        """End the daemon, and start it again on the same ports and in the same folder."""
        await (self.kill() if kill else self.stop())
        (self.folder / "twistd.pid").unlink(missing_ok=True)
        await self.start()

    async def logged(self, pattern: str) -> None:
        """Wait until the log of the present run matches the pattern."""
        from twisted.internet import reactor

        clock: Any = reactor
        try:
            await self._output.seen(pattern).addTimeout(DEADLINE, clock)
        except Exception:
            raise DaemonError(f"{self.plugin} did not log {pattern!r}:\n{self.log}") from None

    def signal(self, name: str) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, getattr(signal, f"SIG{name}"))

    def check(self) -> None:
        """Raise `DaemonError` if any run logged a traceback."""
        for word in BAD_WORDS:
            if word in self.log:
                raise DaemonError(f"{self.plugin} logged {word!r}:\n{self.log}")

    def remove(self) -> None:
        """Remove the daemon's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sample(name: str) -> list[str]:
    """Return the options for the sample configuration, from which each daemon of a test starts."""
    return ["--config", str(ROOT / "etc" / f"{name}.toml")]


def settings(values: dict[str, Any]) -> list[str]:
    """Return ``--set`` options. A dot in a key stands for a table."""
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


class Daemons:
    """Several daemons, started in order and stopped in the opposite order."""

    def __init__(self) -> None:
        self.daemons: list[Daemon] = []
        self._tokens = itertools.count(1)

    async def start(self) -> None:
        """Start all daemons, and wait until they listen."""
        for daemon in self.daemons:
            await daemon.start()

    async def stop(self) -> None:
        """Stop all daemons and remove their folders. Raises `DaemonError` if one failed."""
        failed: list[DaemonError] = []
        for daemon in reversed(self.daemons):
            try:
                await daemon.stop()
                daemon.check()
            except DaemonError as why:
                failed.append(why)
            daemon.remove()
        if failed:
            raise failed[0]

    def token_name(self, uid: int) -> str:
        """Return a new token that no other test uses."""
        return f"token-{os.getpid()}-{uid}-{next(self._tokens)}"


class Cluster(Daemons):
    """One process for each ims, imr and im, with a Redis that runs already.

    `gateways`, `storages` and `routers` are their numbers. `group_routers` and `group_storages` are
    additional ones for super groups. `im`, `imr` and `ims` are their settings.
    """

    def __init__(
        self,
        redis: RedisServer,
        *,
        gateways: int = 1,
        storages: int = 1,
        routers: int = 1,
        group_routers: int = 0,
        group_storages: int = 0,
        im: dict[str, Any] | None = None,
        imr: dict[str, Any] | None = None,
        ims: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.redis = redis
        self._storages = storages
        self.ims = [self._ims(ims or {}) for _ in range(storages + group_storages)]
        self.imr = [self._imr(imr or {}) for _ in range(routers + group_routers)]
        addresses = [f"127.0.0.1:{one.listens[0]}" for one in self.imr]
        self._route_addrs, self._group_route_addrs = addresses[:routers], addresses[routers:]
        self.im = [self._im(im or {}) for _ in range(gateways)]
        self.daemons = [*self.ims, *self.imr, *self.im]

    async def start(self) -> None:
        """Start all daemons, those of a role at the same time, and wait until they listen."""
        for role in (self.ims, self.imr, self.im):
            some = [daemon for daemon in role if daemon in self.daemons]
            starting = [Deferred.fromCoroutine(daemon.start()) for daemon in some]
            await gatherResults(starting, consumeErrors=True)

    async def connected(self) -> None:
        """Wait until every gateway has connected to all routers and storages."""
        for gateway in self.im:
            for what, count in (("router", len(self.imr)), ("storage", len(self.ims))):
                await gateway.logged(rf"(?s)({what} \S+ is connected.*){{{count}}}")

    def _ims(self, values: dict[str, Any]) -> Daemon:
        port = free_port()
        daemon = Daemon("gobelieve-ims", listens=[port])
        own = {"rpc_listen": f"127.0.0.1:{port}", "storage_root": daemon.folder / "storage"}
        daemon.arguments = [*sample("ims"), *settings({**own, **values})]
        return daemon

    def _imr(self, values: dict[str, Any]) -> Daemon:
        port = free_port()
        # All gateways of a test have connected before it causes a push.
        own = {
            "listen": f"127.0.0.1:{port}",
            "redis.address": self.redis.address,
            "push_grace": 0,
        }
        return Daemon("gobelieve-imr", [*sample("imr"), *settings({**own, **values})], [port])

    def _im(self, values: dict[str, Any]) -> Daemon:
        tcp, websocket, http = free_port(), free_port(), free_port()
        storages = [f"127.0.0.1:{one.listens[0]}" for one in self.ims]
        own = {
            "host": "127.0.0.1",
            "port": tcp,
            "ws_address": f"127.0.0.1:{websocket}",
            "http_listen_address": f"127.0.0.1:{http}",
            "storage_rpc_addrs": storages[: self._storages],
            "group_storage_rpc_addrs": storages[self._storages :],
            "route_addrs": self._route_addrs,
            "group_route_addrs": self._group_route_addrs,
            "redis.address": self.redis.address,
        }
        arguments = [*sample("im"), *settings({**own, **values})]
        return Daemon("gobelieve-im", arguments, [tcp, websocket, http])

    def port(self, gateway: int = 0) -> int:
        """Return the port for TCP clients."""
        return self.im[gateway].listens[0]

    def websocket_port(self, gateway: int = 0) -> int:
        """Return the port for browsers."""
        return self.im[gateway].listens[1]

    def http_port(self, gateway: int = 0) -> int:
        """Return the port of the status pages and the HTTP API."""
        return self.im[gateway].listens[2]

    def token(self, uid: int, appid: int = APPID) -> str:
        """Return a new token of this user."""
        token = self.token_name(uid)
        self.redis.run("HSET", f"access_token_{token}", "user_id", str(uid), "app_id", str(appid))
        return token

    def client(self, uid: int, gateway: int = 0, *, appid: int = APPID, **options: Any) -> Client:
        """Return a client of this gateway with a new token. It is not connected yet."""
        options["appid"] = appid
        return make_client(self.port(gateway), uid, self.token(uid, appid), options)


class AllInOne(Daemons):
    """The all-in-one daemon: ``twistd -n gobelieve --data DIR``."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        super().__init__()
        tcp, websocket, http, route, rpc = (free_port() for _ in range(5))
        daemon = Daemon("gobelieve", listens=[tcp, websocket, http, route, rpc])
        own = {
            "im.port": tcp,
            "im.ws_address": f"127.0.0.1:{websocket}",
            "im.http_listen_address": f"127.0.0.1:{http}",
            "imr.listen": f"127.0.0.1:{route}",
            "imr.push_grace": 0,
            "ims.rpc_listen": f"127.0.0.1:{rpc}",
        }
        self.data = daemon.folder / "data"
        changed = settings({**own, **(values or {})})
        daemon.arguments = ["--data", str(self.data), *sample("gobelieve"), *changed]
        self.daemon = daemon
        self.daemons = [daemon]

    @property
    def port(self) -> int:
        """The port for TCP clients."""
        return self.daemon.listens[0]

    @property
    def websocket_port(self) -> int:
        """The port for browsers."""
        return self.daemon.listens[1]

    @property
    def http_port(self) -> int:
        """The port of the status pages and the HTTP API."""
        return self.daemon.listens[2]

    async def token(self, uid: int, appid: int = APPID) -> str:
        """Return a new token of this user, written into the running daemon's file."""
        from twisted.internet import reactor

        core: Any = reactor
        token = self.token_name(uid)
        service = SqliteService(self.data / FILE_NAME, core)
        service.startService()
        try:
            await SqliteTokenAdmin(service).create(User(appid, uid), token, "")
        finally:
            await service.stopService()
        return token

    async def client(self, uid: int, *, appid: int = APPID, **options: Any) -> Client:
        """Return a client with a new token. It is not connected yet."""
        options["appid"] = appid
        return make_client(self.port, uid, await self.token(uid, appid), options)


def make_client(port: int, uid: int, token: str, options: dict[str, Any]) -> Client:
    """Return a client of a server on loopback, in the tests' reactor. It reconnects quickly."""
    from twisted.internet import reactor

    options.setdefault("retry", lambda attempt: 0.05)
    return Client(reactor, f"127.0.0.1:{port}", uid, token, **options)
