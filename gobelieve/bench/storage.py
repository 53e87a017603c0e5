"""Storage alone: saves from one and from many connections, and a long sync.

Each asker has a connection of its own, and one open save of a message for two queues. One asker
shows how long a save takes. Many askers show how many saves storage can do.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import deferLater

from gobelieve.bench.daemons import storages
from gobelieve.bench.processes import Running
from gobelieve.config import parse_address
from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import Entries
from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.protocols.storage.link import StorageLink
from gobelieve.protocols.storage.pool import StoragePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import client

POLICIES = ("commit", "interval", "never")
ASKERS = (1, 64)
APP = 7
READER = User(APP, 1)
"""The owner of the long queue."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--size", type=int, default=100, help="bytes of content")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time per line")
    parser.add_argument("--stored", type=int, default=3000, help="messages of the long sync")


def start(options: argparse.Namespace) -> AbstractContextManager[dict[str, Running]]:
    """Start one daemon per policy."""
    return storages(POLICIES)


class Asker:
    """Saves one message after another."""

    def __init__(self, link: StorageLink, number: int, body: bytes) -> None:
        self.link = link
        self.saved = 0
        self.failed = 0
        self.going = True
        self._pool = StoragePool([link])
        self._queues = (User(APP, 1000 + number), User(APP, 2000 + number))
        self._body = body

    def save(self) -> None:
        """Begin the next save."""
        self._pool.save(client.IM.number, self._body, 0, self._queues, self)

    def stored(self, status: int, entries: Entries) -> None:
        """Count the answer and begin the next save."""
        if status:
            self.failed += 1
        else:
            self.saved += 1
        if self.going:
            self.save()


async def run(reactor: Reactor, running: dict[str, Running], options: argparse.Namespace) -> bool:
    """Measure and print. Return False if a save failed or the sync lacks a message."""
    print(f"storage, messages of {options.size} bytes for two queues each")
    print(f"  {'fsync':10}{'askers':>7}{'saves/s':>12}{'us CPU a save':>15}{'ms a save':>11}")
    sound = True
    for policy in POLICIES:
        for askers in ASKERS:
            sound &= await _saves(reactor, running[policy], policy, askers, options)
    return await _sync(reactor, running[POLICIES[0]], options) and sound


def _body(options: argparse.Namespace) -> bytes:
    content = b"x" * options.size
    return client.IM(sender=2, receiver=1, timestamp=1, msgid=0, content=content).encode()


async def _links(reactor: Reactor, running: Running, count: int) -> Sequence[StorageLink]:
    turn = ReactorTurn(reactor)
    links = [StorageLink(running.clients, turn, reactor) for _ in range(count)]
    host, port = parse_address(running.clients)
    for link in links:
        await HostnameEndpoint(reactor, host, port).connect(link)
    return links


async def _saves(
    reactor: Reactor, running: Running, policy: str, count: int, options: argparse.Namespace
) -> bool:
    body = _body(options)
    links = await _links(reactor, running, count)
    askers = [Asker(link, number, body) for number, link in enumerate(links)]
    for asker in askers:
        asker.save()
    await deferLater(reactor, 0.3)
    saved, cpu, begun = sum(a.saved for a in askers), running.cpu_seconds(), time.perf_counter()
    await deferLater(reactor, options.seconds)
    took = time.perf_counter() - begun
    saves = max(1, sum(a.saved for a in askers) - saved)
    spent = running.cpu_seconds()["ims"] - cpu["ims"]
    for asker in askers:
        asker.going = False
    failed = sum(asker.failed for asker in askers)
    print(
        f"  {policy:10}{count:7}{saves / took:12,.0f}{spent / saves * 1e6:15.1f}"
        f"{took * count / saves * 1e3:11.2f}" + (f"   {failed} FAILED" if failed else "")
    )
    return not failed


class _Counted:
    """Counts the answers to saves; a `gobelieve.interfaces.MessageInFlight`."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def stored(self, status: int, entries: Entries) -> None:
        self._counters.add("failed" if status else "saved")


async def _sync(reactor: Reactor, running: Running, options: argparse.Namespace) -> bool:
    (link,) = await _links(reactor, running, 1)
    pool, body, counters = StoragePool([link]), _body(options), Counters()

    counted = _Counted(counters)
    for _ in range(options.stored):
        pool.save(client.IM.number, body, 0, (READER,), counted)
    while counters["saved"] + counters["failed"] < options.stored:
        await deferLater(reactor, 0.01)
    best, got = float("inf"), 0
    for _ in range(5):
        begun, key, got = time.perf_counter(), 0, 0
        more = True
        while more:
            page = await pool.fetch(READER, key)
            key, more, got = page.last, page.more, got + len(page.messages)
        best = min(best, time.perf_counter() - begun)
    print(f"  sync of {got} messages: {best * 1e3:.1f} ms, {got / best:,.0f} messages/s")
    if got != options.stored:
        print(f"{options.stored - got} messages did not come back", file=sys.stderr)
    return bool(got == options.stored)
