"""Posts over HTTP: each connection stays open, and has one `/post_peer_message` in flight.

The receivers are not connected. Each post is stored for two users, and a phone push is decided.
This process makes the requests, which needs about as much CPU time as answering them.
"""

import argparse
import time
from contextlib import AbstractContextManager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from gobelieve.bench.daemons import all_in_one, three_daemons
from gobelieve.bench.processes import Running
from gobelieve.config import parse_address
from gobelieve.event_loop.reactor import Reactor

APP = 7
FIRST_UID = 1_000_000
GOOD = b"HTTP/1.1 200 "


class Poster(Protocol):
    """A connection that sends the next request when the last one is answered."""

    def __init__(self, number: int, size: int) -> None:
        self.answered = self.failed = 0
        self.delays: list[float] = []
        self.ended: Deferred[None] = Deferred()
        self._going = True
        self._number = number
        self._content = b"x" * size
        self._data = b""

    def begin(self) -> None:
        """Send the first request."""
        sender = FIRST_UID + 2 * self._number
        query = f"appid={APP}&sender={sender}&receiver={sender + 1}"
        self._request = (
            f"POST /post_peer_message?{query} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {len(self._content)}\r\n\r\n"
        ).encode() + self._content
        self._send()

    def end(self) -> None:
        """Send no request after the present one."""
        self._going = False

    def _send(self) -> None:
        assert self.transport is not None
        self._sent = time.perf_counter()
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Take an answer. It has no body, so it ends with its head."""
        self._data += data
        if not self._data.endswith(b"\r\n\r\n"):
            return
        if self._data.startswith(GOOD):
            self.answered += 1
        else:
            self.failed += 1
        self._data = b""
        self.delays.append(time.perf_counter() - self._sent)
        if self._going:
            self._send()
        else:
            self.ended.callback(None)
            assert self.transport is not None
            self.transport.loseConnection()


class _Given(Factory):
    """Returns a protocol that exists already."""

    noisy = False

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def buildProtocol(self, addr: Any) -> Poster:
        return self._poster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this measurement."""
    parser.add_argument("--embedded", action="store_true", help="measure the all-in-one daemon")
    parser.add_argument("--connections", type=int, default=64, help="posts in flight at a time")
    parser.add_argument("--size", type=int, default=100, help="bytes of content")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before it")


def start(options: argparse.Namespace) -> AbstractContextManager[Running]:
    """Start the daemons that the options name."""
    return all_in_one() if options.embedded else three_daemons()


async def run(reactor: Reactor, running: Running, options: argparse.Namespace) -> bool:
    """Measure and print. Return False if a post was not answered by 200."""
    host, port = parse_address(running.http)
    posters = [Poster(number, options.size) for number in range(options.connections)]
    for poster in posters:
        await HostnameEndpoint(reactor, host, port).connect(_Given(poster))
    for poster in posters:
        poster.begin()
    await deferLater(reactor, options.warmup)
    for poster in posters:
        poster.delays.clear()
    before, cpu = sum(poster.answered for poster in posters), running.cpu_seconds()
    began = time.perf_counter()
    await deferLater(reactor, options.seconds)
    took = time.perf_counter() - began
    spent = {name: now - cpu[name] for name, now in running.cpu_seconds().items()}
    posts = sum(poster.answered for poster in posters) - before
    delays = sorted(delay for poster in posters for delay in poster.delays)
    for poster in posters:
        poster.end()
    for poster in posters:
        await poster.ended
    failed = sum(poster.failed for poster in posters)
    print(f"http, {options.connections} connections, {options.size} bytes")
    print(f"  posts/s       {posts / took:10,.0f}   (stored and answered)")
    for name, seconds in spent.items():
        print(f"  us CPU {name:10}{seconds / max(posts, 1) * 1e6:7.1f}")
    for share in (50, 99):
        at = delays[min(len(delays) - 1, len(delays) * share // 100)] if delays else 0.0
        print(f"  ms to answer p{share}  {at * 1e3:6.2f}")
    print(f"  failed {failed}")
    return not failed
