"""``python -m gobelieve.bench MEASUREMENT``: start daemons, load them, and print the costs.

A measurement is a module with ``add_arguments``, ``start`` and ``run``. ``start`` is a context
manager that gives the daemons or files. ``run`` is a coroutine that measures, prints, and returns
whether it found no error.
"""

import argparse
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from gobelieve.bench import http, p2p, route, start, storage
from gobelieve.bench.crowd import Measurement
from gobelieve.event_loop.reactor import Reactor
from gobelieve.wire import client

MEASUREMENTS: dict[str, tuple[Any, str]] = {
    "group": (Measurement("group", 50, client.GroupIM, False), "messages to an ordinary group"),
    "http": (http, "posts to the HTTP API"),
    "p2p": (p2p, "messages from user to user"),
    "room": (Measurement("room", 500, client.RoomIM, False), "messages to a room"),
    "route": (route, "publications between gateways, and pushes"),
    "start": (start, "storage's start, with and without its snapshot, and verification"),
    "storage": (storage, "saves and a long sync"),
    "supergroup": (Measurement("supergroup", 3000, client.GroupIM, True), "to a super group"),
}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m gobelieve.bench")
    choices = parser.add_subparsers(dest="measurement", required=True)
    for name, (module, what) in MEASUREMENTS.items():
        module.add_arguments(choices.add_parser(name, help=what))
    options = parser.parse_args()
    measurement = MEASUREMENTS[options.measurement][0]
    sound: list[bool] = []

    async def measure(reactor: Reactor, running: Any) -> None:
        sound.append(await measurement.run(reactor, running, options))

    def begin(reactor: Reactor, running: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(measure(reactor, running))

    with measurement.start(options) as running:
        try:
            react(begin, (running,))
        except SystemExit as end:
            if end.code:
                raise
    sys.exit(not all(sound))


if __name__ == "__main__":
    main()
