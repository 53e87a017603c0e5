"""The `World` of a daemon: the reactor, and a log and counters of its own."""

from twisted.logger import Logger

from gobelieve.event_loop.reactor import Reactor
from gobelieve.interfaces import Turn, World
from gobelieve.metrics import Counters
from gobelieve.services.process.options import Coroutines


def world_of(
    reactor: Reactor, turn: Turn, log_name: str, counters: Counters | None = None
) -> World:
    """Return a world with tasks of its own, and with new counters unless some are given."""
    return World(
        time=reactor,
        turn=turn,
        tasks=Coroutines(),
        counters=Counters() if counters is None else counters,
        log=Logger(log_name),
    )
