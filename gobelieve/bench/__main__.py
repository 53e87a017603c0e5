"""``python -m gobelieve.bench p2p``: start the daemons, load them, print what it cost."""

import argparse
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from gobelieve.bench import p2p
from gobelieve.bench.daemons import Running, all_in_one, three_daemons


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m gobelieve.bench", description=__doc__)
    parser.add_argument("--embedded", action="store_true", help="measure the daemon all in one")
    parser.add_argument(
        "--fsync", default="commit", choices=["commit", "interval", "never"], help="of storage"
    )
    measurements = parser.add_subparsers(dest="measurement", required=True)
    p2p.add_arguments(measurements.add_parser("p2p", help="messages from user to user"))
    options = parser.parse_args()

    start = all_in_one if options.embedded else three_daemons
    sound: list[bool] = []

    async def measure(reactor: Any, running: Running) -> None:
        sound.append(await p2p.run(reactor, running, options))

    def begin(reactor: Any, running: Running) -> Deferred[None]:
        return Deferred.fromCoroutine(measure(reactor, running))

    with start([f"fsync={options.fsync}"]) as running:
        try:
            react(begin, (running,))
        except SystemExit as end:
            if end.code:
                raise
    sys.exit(not all(sound))


if __name__ == "__main__":
    main()
