"""Ports for the servers and daemons of tests, which several test processes start at once.

Each process claims a block of ports by a lock on a file, and gives them one after another. So no
two processes have the same port. Within one process a port comes again only after the whole block
was given.

All ports are below those that the kernel uses for outgoing connections. Such a connection could
take the port of a server that is stopped, or connect to itself.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST, LAST = 15_000, 32_000
BLOCK = 500

_claimed: list[int] = []
"""The file descriptors of the locks, open while the process lives."""


def _claim() -> range:
    folder = Path(tempfile.gettempdir()) / f"gobelieve-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, LAST - BLOCK + 1, BLOCK):
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _claimed.append(lock)
        return range(first, first + BLOCK)
    raise RuntimeError(f"all blocks of ports are claimed; see {folder}")


def _ports() -> Iterator[int]:
    for port in itertools.cycle(_claim()):
        with socket.socket() as probe:
            # As servers do: a port is free even if old connections on it are still closing.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


_free = _ports()


def free_port() -> int:
    """Return a port that is free, and that no call returns again for a long time."""
    return next(_free)
