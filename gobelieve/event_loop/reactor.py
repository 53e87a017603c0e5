"""Twisted's reactor as a type, without an import of the reactor itself."""

from typing import cast

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
)


class Reactor(IReactorCore, IReactorTime, IReactorTCP, IReactorThreads):
    """The interfaces of the reactor that daemons and commands use.

    A zope interface, since Twisted's own functions are typed with zope interfaces: they accept a
    `Reactor` as it is, and so do parts that take `gobelieve.interfaces.Time`. Twisted types its
    reactor in the same way. A part that only needs the clock takes `IReactorTime` or `Time`.
    """


def installed_reactor() -> Reactor:
    """Return the reactor of this process; the first import of Twisted's module installs it."""
    from twisted.internet import reactor

    return cast(Reactor, reactor)
