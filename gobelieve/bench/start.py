"""The start of storage, from its snapshot and by reading all blocks; and verification.

A directory is filled as the daemon fills one, and then opened in this process, without a daemon.
The files are in the kernel's cache as far as there is memory. So this measures our code, not the
disk. On a machine that is busy with something else, look at the CPU time.

The cost depends on the number of records, and on how far apart in memory the queues are. `talk` is
everyday use, and `short` has only short messages. `strangers` is the worst case: each short message
is for two other users, so the heads of its queues are never in the processor's cache.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from twisted.logger import Logger

from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import World
from gobelieve.metrics import Counters
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.services.process.options import Coroutines
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.layout import SNAPSHOT
from gobelieve.storage.queues.store import Store
from gobelieve.storage.tools.verify import Verification
from gobelieve.wire import client
from gobelieve.wire.storage import SUPER_GROUPS, USERS, SaveItem

APP = 7
MIXES = ("talk", "short", "strangers")
SHORT_BYTES, LONG_BYTES = 60, 1000
GROUP_MEMBERS = 20
MESSAGES_PER_SYNC = 5000
CONVERSATIONS = 1000
"""Conversations that go on at a time, of about ten messages each."""
Queues = tuple[int, ...]


class Timed(NamedTuple):
    """The result of some work, and its duration."""

    found: Any
    seconds: float
    cpu_seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--size", type=int, default=1024, help="MiB to store")
    parser.add_argument("--users", type=int, default=100_000, help="users who talk to each other")
    parser.add_argument("--mix", choices=MIXES, default=MIXES[0], help="the kind of messages")


@contextmanager
def start(options: argparse.Namespace) -> Iterator[str]:
    """Return a temporary folder for the blocks, as a context manager."""
    with TemporaryDirectory(prefix="gobelieve-bench-") as folder:
        yield os.path.join(folder, "messages")


async def run(reactor: Reactor, root: str, options: argparse.Namespace) -> bool:
    """Measure and print. Return False on damage, or if the two starts differ."""
    world = _world(reactor)
    filled = _timed(lambda: _fill(root, options, world))
    by_snapshot = _timed(lambda: _opened(root, world))
    os.unlink(os.path.join(root, SNAPSHOT))
    rebuilt = _timed(lambda: _opened(root, world))
    verified = _timed(lambda: _verified(root))
    size, records, findings = verified.found
    queues = len(rebuilt.found[0])
    print(f"{size / 1e6:,.0f} MB, {records:,} records, {queues:,} queues ({options.mix});", end="")
    print(f" filled in {filled.seconds:.0f} s")
    for what, (_, seconds, cpu), read in (
        ("start from the snapshot", by_snapshot, False),
        ("rebuild", rebuilt, True),
        ("verify", verified, True),
    ):
        print(f"  {what:23} {seconds:7.2f} s, {cpu:7.2f} s CPU", end="")
        print(f" {size / seconds / 1e6:6.0f} MB/s {records / seconds:12,.0f} records/s" * read)
    agree = bool(by_snapshot.found == rebuilt.found)
    if not agree:
        print("the snapshot and the blocks do not agree", file=sys.stderr)
    if findings:
        print(f"{findings} findings", file=sys.stderr)
    return agree and not findings


def _timed(work: Callable[[], Any]) -> Timed:
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    return Timed(found, time.perf_counter() - begun, time.process_time() - cpu)


def _world(reactor: Reactor) -> World:
    return World(
        time=reactor,
        turn=ReactorTurn(reactor),
        tasks=Coroutines(),
        counters=Counters(),
        log=Logger("gobelieve.storage"),
    )


def _fill(root: str, options: argparse.Namespace, world: World) -> None:
    """Store messages, and write a snapshot at the end."""
    store = Store(root, world=world, in_thread=_at_once)
    store.open()
    items, block = _items(options), store.blocks.size
    while store.blocks.end[0] * block + store.blocks.end[1] < options.size << 20:
        for _ in range(MESSAGES_PER_SYNC):
            store.append(next(items))
        store.flush()
        store.begin_sync()()
        store.synced()
    store.close_with_snapshot(lambda: None)


def _at_once(work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
    work()
    done(None)


def _items(options: argparse.Namespace) -> Iterator[SaveItem]:
    """Yield messages of users, the same ones in each run."""
    random = Random(1)
    short, long = _im(SHORT_BYTES), _im(LONG_BYTES)

    def strangers() -> Queues:
        return APP, random.randrange(options.users), APP, random.randrange(options.users)

    talks = [strangers() for _ in range(CONVERSATIONS)]
    while True:
        place = random.randrange(CONVERSATIONS)
        if options.mix == "strangers" or random.random() < 0.1:
            talks[place] = strangers()
        chance = random.random() if options.mix == "talk" else 1
        if chance < 0.01:
            yield SaveItem(1, client.GroupIM.number, SUPER_GROUPS, (APP, talks[place][1]), short)
        elif chance < 0.05:
            members = [number for talk in talks[: GROUP_MEMBERS // 2] for number in talk]
            yield SaveItem(1, client.GroupIM.number, USERS, tuple(members), short)
        else:
            body = long if chance < 0.2 else short
            yield SaveItem(1, client.IM.number, USERS, talks[place], body)


def _im(size: int) -> bytes:
    return client.IM(sender=2, receiver=1, timestamp=1, msgid=0, content=b"x" * size).encode()


def _opened(root: str, world: World) -> tuple[Any, ...]:
    """Start a storage, and return the arrays of its index."""
    store = Store(root, world=world)
    store.open()
    store.close()
    index = store.index
    return index.owners, index.tables, index.names, index.values


def _verified(root: str) -> tuple[int, int, int]:
    """Verify a directory. Return its number of bytes, records and findings."""
    with ReadOnlyFolder(root) as folder:
        verification = Verification(folder, lambda done: None)
        findings = sum(1 for _ in verification.findings())
        return folder.total, sum(verification.kinds), findings
