"""The processes of a benchmark: real servers on free loopback ports, in a temporary folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

START_SECONDS = 60
"""Seconds for a process to start, and to stop."""
TICKS = os.sysconf("SC_CLK_TCK")


class Running(NamedTuple):
    """The running processes, as a benchmark sees them."""

    clients: str
    """The address for clients."""
    redis: str | None
    """The address of the Redis; None if there is none."""
    data: str
    """The folder of the processes."""
    pids: dict[str, int]
    """The processes whose CPU time counts, by name."""
    http: str = ""
    """The address of the HTTP API, if it is measured."""

    def cpu_seconds(self) -> dict[str, float]:
        """Return the user and system time of each process so far."""
        return {name: _cpu_seconds(pid) for name, pid in self.pids.items()}


def free_port() -> int:
    """Return a port on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Site:
    """Processes in one folder. They end with the context of `site`."""

    def __init__(self, folder: str, stack: ExitStack) -> None:
        self.folder = folder
        self.pids: dict[str, int] = {}
        self._stack = stack

    def run(self, name: str, command: Sequence[str], port: int) -> None:
        """Start a process, and wait until it listens. Exits with its log if it does not."""
        self.pids[name] = self._stack.enter_context(_process(name, command, self.folder, port))

    def run_redis(self) -> str:
        """Start Redis and return its address."""
        if shutil.which("redis-server") is None:
            sys.exit("redis-server is needed for this measurement, unless it has --embedded")
        port = free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self.run("redis", command, port)
        return f"127.0.0.1:{port}"

    def run_daemon(self, name: str, port: int, values: Sequence[str]) -> None:
        """Start ``twistd gobelieve-NAME`` with these values for ``--set``."""
        arguments = [word for value in values for word in ("--set", value)]
        self.run_plugin(name, f"gobelieve-{name}", port, arguments)

    def run_plugin(self, name: str, plugin: str, port: int, arguments: Sequence[str]) -> None:
        """Start a plugin of twistd."""
        self.run(name, [sys.executable, "-m", "twisted", plugin, *arguments], port)


@contextmanager
def site() -> Iterator[Site]:
    """Return an empty site in a temporary folder. At the end its processes stop."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="gobelieve-bench-"))
        yield Site(folder, stack)


@contextmanager
def _process(name: str, command: Sequence[str], folder: str, port: int) -> Iterator[int]:
    with open(f"{folder}/{name}.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(process, port, log.name)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{process.args!r} did not start:\n{Path(log).read_text()}")


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
