"""A connection of its own on which the changes of the app's server are followed.

Here: that somebody follows as long as there is a connection, tries again after an error, and that
the sink is told whenever changes may be late. What is followed is a `Source`:
`gobelieve.backends.redis.subscription` for the channels of 2018, and
`gobelieve.backends.redis.stream` for the stream of 2019.

Both look at the app's server's counter, a string ``prev:id`` that it writes in one transaction with
the announcement: ``id`` is the newest action. They look in such a way that the sink learns it at
its exact place between the changes; so a difference is a change that was missed, and never one
that is still on its way.
"""

import re
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gobelieve.backends.redis.service import RedisService
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from gobelieve.support.throttled_log import ThrottledLog

CHECK_SECONDS = 290.0
"""So often the counter is looked at. A change whose announcement was lost is noticed with the next
announcement, or after that much."""

RETRY_SECONDS = 1.0

_COUNTER = re.compile(rb"-?[0-9]{1,19}:(-?[0-9]{1,19})", re.ASCII)


def newest_action(counter: bytes | None) -> int:
    """What the counter says; without one nothing has happened yet."""
    if not counter:
        return 0
    found = _COUNTER.fullmatch(counter)
    if found is None:
        raise BackendError(f"Redis: {counter[:40]!r} is no prev:id")
    return int(found[1])


class Interruptible(Protocol):
    """Somebody for whom it matters whether all is heard. An `EventSink` is one."""

    def interrupted(self) -> None:
        """From now on changes may be late, or lost."""


class Source(Protocol):
    """Something in Redis that tells of changes."""

    async def follow(self, own: RedisService) -> None:
        """Pass changes on to the sink, for ever. `own` is a connection for this alone, just made
        or left behind by a `follow` that failed. Raises `BackendError`; may be cancelled."""

    def published(self, channel: bytes, content: bytes) -> None:
        """A message of a channel that `follow` has subscribed to."""


class RedisEvents(Service):
    """Follows a source while it runs."""

    log = Logger()

    def __init__(
        self, config: RedisConfig, reactor: IReactorTime, source: Source, sink: Interruptible
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._sink = sink
        self._own = RedisService(config, reactor, subscriber=self)
        self._following: Deferred[None] = succeed(None)
        self._throttled = ThrottledLog(self.log)

    def startService(self) -> None:
        super().startService()
        self._own.startService()

    def stopService(self) -> Deferred[None]:
        """At once: what is asked on this connection may be waited for in vain."""
        super().stopService()
        self._following.cancel()
        stopped = self._own.stopService()
        self._own.drop("the service is stopped")
        return stopped

    # --- as the guest of the connection

    def connected(self) -> None:
        """See `gobelieve.backends.redis.service.RedisSubscriber`."""
        if self.running:
            self._throttled.reset("not followed")
            self._following = Deferred.fromCoroutine(self._follow())
            self._following.addErrback(self._ended)

    def disconnected(self) -> None:
        """See `gobelieve.backends.redis.service.RedisSubscriber`."""
        self._following.cancel()
        self._sink.interrupted()

    def published(self, channel: bytes, content: bytes) -> None:
        """See `gobelieve.backends.redis.service.RedisSubscriber`."""
        self._source.published(channel, content)

    async def _follow(self) -> None:
        while True:
            try:
                await self._source.follow(self._own)
            except BackendError as why:
                self._throttled.warn_of(
                    "not followed", str(why), "changes cannot be followed: {why}"
                )
            except CancelledError:
                raise
            except Exception:
                # An error of ours must not make us deaf.
                self.log.failure("following changes failed")
            self._sink.interrupted()
            await deferLater(self._reactor, RETRY_SECONDS)

    def _ended(self, failure: Any) -> None:
        failure.trap(CancelledError)
