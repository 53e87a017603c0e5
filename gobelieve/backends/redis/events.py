"""A connection of its own that follows announcements of the app's server in Redis.

`RedisEvents` follows as long as there is a connection, retries after an error, and reports each
time from which announcements may be late. A `Source` says what is followed:
`gobelieve.backends.redis.subscription` follows the channels of 2018,
`gobelieve.backends.redis.stream` the stream of 2019.

The app's server keeps a counter, the string ``prev:id``, and writes it in one transaction with the
announcement; ``id`` is the newest action. Each source passes the counter to the sink at its exact
place between the changes. So a difference is always a missed change, never one that is still on
its way.
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
"""Seconds between two checks of the counter.

A change whose announcement was lost is noticed at the next announcement, or at the next check.
"""

RETRY_SECONDS = 1.0

_COUNTER = re.compile(rb"-?[0-9]{1,19}:(-?[0-9]{1,19})", re.ASCII)


def newest_action(counter: bytes | None) -> int:
    """Return the newest action of a counter; 0 without a counter. Raises `BackendError`."""
    if not counter:
        return 0
    found = _COUNTER.fullmatch(counter)
    if found is None:
        raise BackendError(f"Redis: {counter[:40]!r} is not prev:id")
    return int(found[1])


class Source(Protocol):
    """Announcements in Redis, and the sink to which they are passed."""

    async def follow(self, own: RedisService) -> None:
        """Pass changes to the sink until this is cancelled. Raises `BackendError`.

        `own` is a connection for this source alone. It may have subscriptions of an earlier
        `follow` that failed.
        """

    def published(self, channel: bytes, content: bytes) -> None:
        """Handle a message of a channel to which `follow` has subscribed."""

    def interrupted(self) -> None:
        """Note that announcements may be late or lost from now on."""


class RedisEvents(Service):
    """Follows a source while it runs."""

    log = Logger()

    def __init__(self, config: RedisConfig, reactor: IReactorTime, source: Source) -> None:
        self._reactor = reactor
        self._source = source
        self._own = RedisService(config, reactor, subscriber=self)
        self._following: Deferred[None] = succeed(None)
        self._throttled = ThrottledLog(self.log)

    def startService(self) -> None:
        super().startService()
        self._own.startService()

    def stopService(self) -> Deferred[None]:
        """Stop at once: a call on this connection may never be answered."""
        super().stopService()
        self._following.cancel()
        stopped = self._own.stopService()
        self._own.drop("the service is stopped")
        return stopped

    # --- the subscriber of the connection: see `gobelieve.backends.redis.service.RedisSubscriber`

    def connected(self) -> None:
        """Begin to follow."""
        if self.running:
            self._throttled.reset("not followed")
            self._following = Deferred.fromCoroutine(self._follow())
            self._following.addErrback(self._ended)

    def disconnected(self) -> None:
        """Stop following, and report the interruption."""
        self._following.cancel()
        self._source.interrupted()

    def published(self, channel: bytes, content: bytes) -> None:
        """Forward a message to the source."""
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
                # A defect in our code must not end the following.
                self.log.failure("following changes failed")
            self._source.interrupted()
            await deferLater(self._reactor, RETRY_SECONDS)

    def _ended(self, failure: Any) -> None:
        failure.trap(CancelledError)
