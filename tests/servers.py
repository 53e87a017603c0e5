"""Real Redis and MariaDB servers for tests: on loopback, in folders of their own.

    class MyTests(TestCase):
        skip = missing("redis-server")

        def setUp(self):
            self.redis = shared_redis()     # one per test process, emptied: cheap
            self.other = RedisServer()      # a new one: may be killed, frozen, started again
            self.other.start()
            self.addCleanup(self.other.stop)

Nothing here sleeps: a server is ready when its log says so. Servers end with the test process.
"""

import atexit
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Event, Thread

from tests.ports import free_port

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
_TRIES = 5
_SECONDS_TO_START = 60


def missing(*programs: str) -> str | None:
    """Return the reason to skip tests that need these programs; None if they are installed.

    If the environment has CI, tests are never skipped: they fail.
    """
    absent = [program for program in programs if shutil.which(program, path=_PATH) is None]
    if not absent or os.environ.get("CI"):
        return None
    return "not installed: " + ", ".join(absent)


def _die_with_parent() -> None:
    # No server is left running, even if the tests are killed.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """A server process. `start` returns when the server is ready."""

    ready: str
    """The text in the log that says that the server is ready."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gobelieve-test-"))
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """Return the command line, with `port` and `folder`."""
        raise NotImplementedError

    def start(self) -> None:
        """Start on a free port; after `kill`, start on the same port again."""
        keep_port = self.port != 0
        for _ in range(_TRIES):
            # Another process may take the port between finding and using it.
            self.port = self.port if keep_port else free_port()
            said = self._launch()
            if said is None:
                return
        raise RuntimeError(f"{self.command()[0]} did not start:\n{said}")

    def _launch(self) -> str | None:
        """Return None when the server is ready, otherwise its output."""
        program, *arguments = self.command()
        self._process = process = subprocess.Popen(
            [shutil.which(program, path=_PATH) or program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
        )
        said: list[str] = []
        is_ready, ended = Event(), Event()

        def listen() -> None:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    said.append(line)
                    if self.ready in line:
                        is_ready.set()
                        ended.set()
            ended.set()

        Thread(target=listen, daemon=True).start()
        if ended.wait(_SECONDS_TO_START) and is_ready.is_set():
            return None
        self.kill()
        return "".join(said)

    def kill(self) -> None:
        """Kill the server, as a power cut would. `start` starts it again on the same port."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop the process until `thaw`: it neither answers nor closes anything.

        The signal alone is not enough: on a busy machine a thread may answer before it stops.
        """
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let the process continue after `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Kill the server and remove its folder. Its data is not needed, so it need not end in
        order."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Server):
    """Redis, without persistence. The first `start` chooses the port."""

    ready = "Ready to accept connections"

    def __init__(self, password: str = "") -> None:
        super().__init__()
        self.password = password

    @property
    def address(self) -> str:
        """Return the address as ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line of a Redis that listens on loopback only."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options += ["--save", "", "--appendonly", "no"]
        if self.password:
            options += ["--requirepass", self.password]
        return ["redis-server", *options]

    def run(self, *words: str) -> str:
        """Run one command on a new connection, blocking, and return the raw reply."""
        with socket.create_connection(("127.0.0.1", self.port), _SECONDS_TO_START) as connection:
            if self.password:
                connection.sendall(_resp("AUTH", self.password))
                assert connection.recv(5) == b"+OK\r\n"
            connection.sendall(_resp(*words))
            return connection.recv(65536).decode()


def _resp(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class MariaServer(Server):
    """MariaDB with an empty database ``gobelieve``; the user is root without a password."""

    ready = "ready for connections"
    database = "gobelieve"

    def command(self) -> list[str]:
        """Return the command line of a strict MariaDB, which is the default of MySQL and
        MariaDB."""
        return [
            "mariadbd",
            "--no-defaults",
            f"--user={getpass.getuser()}",
            f"--datadir={self.folder}/data",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tmpdir={self.temporary}",
            f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
        ]

    @property
    def temporary(self) -> Path:
        """Return a folder for temporary tables. A server that starts removes those of every server
        in it."""
        path = Path(self.folder, "tmp")
        path.mkdir(exist_ok=True)
        return path

    def start(self) -> None:
        """Start the server; the first start takes a second or two."""
        if self.port == 0:
            install = shutil.which("mariadb-install-db", path=_PATH) or "mariadb-install-db"
            made = subprocess.run(
                [
                    install,
                    "--no-defaults",
                    f"--user={getpass.getuser()}",
                    f"--datadir={self.folder}/data",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    f"--tmpdir={self.temporary}",
                ],
                capture_output=True,
                check=False,
            )
            if made.returncode:
                raise OSError(f"{install}: {made.stdout.decode()}{made.stderr.decode()}")
        super().start()
        with self.connect(database=None) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {self.database}")

    def connect(self, **options: object):  # type: ignore[no-untyped-def]
        """Return a blocking PyMySQL connection to the database, with autocommit."""
        import pymysql

        options.setdefault("database", self.database)
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            charset="utf8mb4",
            autocommit=True,
            **options,
        )


@cache
def _the_redis() -> RedisServer:
    server = RedisServer()
    server.start()
    atexit.register(server.stop)
    return server


def shared_redis() -> RedisServer:
    """Return the one Redis of this test process, emptied. A test must not stop it."""
    server = _the_redis()
    server.run("FLUSHALL")
    return server


@cache
def shared_maria() -> MariaServer:
    """Return the one MariaDB of this test process. Each test creates and drops its own tables."""
    server = MariaServer()
    server.start()
    atexit.register(server.stop)
    return server
