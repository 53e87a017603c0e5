"""The daemons under measurement: real processes on free loopback ports, in a fresh folder."""

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

from gobelieve.bench.databases import Crowd, mariadb_command, write_to_mariadb

START_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


class Running(NamedTuple):
    """What is measured: where clients connect, where tokens go, and whose CPU time counts."""

    clients: str
    redis: str | None
    data: str
    pids: dict[str, int]
    http: str = ""
    """Where the HTTP API is, if it is measured."""

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time of each process so far."""
        return {name: _cpu_seconds(pid) for name, pid in self.pids.items()}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def three_daemons(
    settings: Sequence[str] = (), cluster: Sequence[str] = (), crowd: Crowd | None = None
) -> Iterator[Running]:
    """Redis, ims, imr and im. `settings` are for ims, as for ``--set``; `cluster` for all.

    With a `crowd` there is a MariaDB too, which has this group.
    """
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is needed for this measurement; --embedded does without")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="gobelieve-bench-"))
        redis, rpc, route, clients, http = (free_port() for _ in range(5))
        command = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
        pids = {"redis": stack.enter_context(_process("redis", command, folder, redis))}
        root = f"storage_root={folder}/messages"
        groups: list[str] = []
        if crowd is not None:
            port = free_port()
            pids["mariadb"] = stack.enter_context(
                _process("mariadb", mariadb_command(folder, port), folder, port)
            )
            groups = [f"mysqldb_datasource={write_to_mariadb(port, crowd)}"]
        daemons = (
            ("ims", rpc, [f"rpc_listen=127.0.0.1:{rpc}", root, *settings]),
            (
                "imr",
                route,
                [f"listen=127.0.0.1:{route}", f"redis.address=127.0.0.1:{redis}", *groups],
            ),
            (
                "im",
                clients,
                [
                    "host=127.0.0.1",
                    f"port={clients}",
                    f"http_listen_address=127.0.0.1:{http}",
                    f"redis.address=127.0.0.1:{redis}",
                    f"storage_rpc_addrs=['127.0.0.1:{rpc}']",
                    f"route_addrs=['127.0.0.1:{route}']",
                    f"pending_root={folder}/pending",
                    *groups,
                ],
            ),
        )
        for name, port, values in daemons:
            values += [f"cluster.{setting}" for setting in cluster]
            arguments = [part for value in values for part in ("--set", value)]
            command = _twistd(f"gobelieve-{name}", *arguments)
            pids[name] = stack.enter_context(_process(name, command, folder, port))
        where = f"127.0.0.1:{http}"
        yield Running(f"127.0.0.1:{clients}", f"127.0.0.1:{redis}", folder, pids, where)


@contextmanager
def storages(policies: Sequence[str]) -> Iterator[dict[str, Running]]:
    """A storage daemon for each policy of syncing; clients are askers here."""
    with ExitStack() as stack:
        found: dict[str, Running] = {}
        for policy in policies:
            folder = stack.enter_context(TemporaryDirectory(prefix="gobelieve-bench-"))
            rpc = free_port()
            values = [
                f"rpc_listen=127.0.0.1:{rpc}",
                f"storage_root={folder}/messages",
                f"fsync={policy}",
            ]
            arguments = [part for value in values for part in ("--set", value)]
            command = _twistd("gobelieve-ims", *arguments)
            pid = stack.enter_context(_process("ims", command, folder, rpc))
            found[policy] = Running(f"127.0.0.1:{rpc}", None, folder, {"ims": pid})
        yield found


@contextmanager
def router() -> Iterator[Running]:
    """imr and its Redis; clients are gateways here, and pushes wait for none of them."""
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is needed for this measurement")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="gobelieve-bench-"))
        redis, route = free_port(), free_port()
        command = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
        pids = {"redis": stack.enter_context(_process("redis", command, folder, redis))}
        values = [
            f"listen=127.0.0.1:{route}",
            f"redis.address=127.0.0.1:{redis}",
            "push_grace=0",
            "link_grace=0",
        ]
        arguments = [part for value in values for part in ("--set", value)]
        command = _twistd("gobelieve-imr", *arguments)
        pids["imr"] = stack.enter_context(_process("imr", command, folder, route))
        yield Running(f"127.0.0.1:{route}", f"127.0.0.1:{redis}", folder, pids)


@contextmanager
def all_in_one(settings: Sequence[str] = ()) -> Iterator[Running]:
    """The daemon that has all roles; `settings` are for its storage."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="gobelieve-bench-"))
        clients, rpc, route, http = (free_port() for _ in range(4))
        values = [
            f"im.port={clients}",
            "im.ws_address=",
            f"im.http_listen_address=127.0.0.1:{http}",
            f"ims.rpc_listen=127.0.0.1:{rpc}",
            f"imr.listen=127.0.0.1:{route}",
            *(f"ims.{setting}" for setting in settings),
        ]
        arguments = [part for value in values for part in ("--set", value)]
        command = _twistd("gobelieve", "--data", folder, *arguments)
        pid = stack.enter_context(_process("gobelieve", command, folder, clients))
        where = f"127.0.0.1:{http}"
        yield Running(f"127.0.0.1:{clients}", None, folder, {"gobelieve": pid}, where)


def _twistd(plugin: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "twisted", plugin, *arguments]


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
