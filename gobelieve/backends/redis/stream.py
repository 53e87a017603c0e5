"""The changes that the app's server enters in a stream, as it does since 2019.

A stream keeps its entries (upstream's server the newest 100,000 or so): after an interruption we go
on behind the entry that we saw last, and nothing is lost. If that one was cut off meanwhile, the
action ids show the gap.

The counter is looked at together with the id of the newest entry, in one script, and told to the
sink when that entry was passed on. A counter that moves without entries is thus noticed too: the
app's server may be one that publishes to channels.
"""

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from gobelieve.backends.redis.events import CHECK_SECONDS, newest_action
from gobelieve.backends.redis.service import RedisService
from gobelieve.config import RedisConfig
from gobelieve.interfaces import EventSink

ENTRIES_AT_ONCE = 100
"""A turn of 2 ms; 70,000 entries a second all the same."""

_CHECK = """
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return {newest[1] and newest[1][1] or '0-0', redis.call('GET', KEYS[2])}
"""

_Id = tuple[int, int]
START: _Id = (0, 0)


def _parse_id(text: bytes) -> _Id:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number)


def _fields(words: list[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(words[::2], words[1::2], strict=False))


class Stream:
    """`gobelieve.backends.redis.events.Source`."""

    def __init__(
        self,
        config: RedisConfig,
        stream: str,
        counter: str,
        sink: EventSink,
        reactor: IReactorTime,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._stream = stream
        self._counter = counter
        self._sink = sink
        self._reactor = reactor
        self._check_seconds = check_seconds
        # Shorter than the connection's patience, so that a silent Redis is noticed.
        self._block = max(1, round(config.timeout * 500))
        self._seen: _Id | None = None
        """The entry passed on last; None before the first connection."""
        self._target: tuple[_Id, int] | None = None
        """What to tell the sink once it has this entry."""

    async def follow(self, own: RedisService) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        while True:
            await self._check(own)
            checked = self._reactor.seconds()
            while self._reactor.seconds() - checked < self._check_seconds:
                self._take(await self._read(own))

    def published(self, channel: bytes, content: bytes) -> None:
        """Nothing is subscribed to."""

    async def _check(self, own: RedisService) -> None:
        newest, *counter = await own.script(_CHECK, [self._stream, self._counter])
        # Lua ends a table at the first nil.
        action = newest_action(counter[0] if counter else None)
        end = _parse_id(newest)
        if self._seen is None or end < self._seen:
            # The first time; or the stream is not the one that it was.
            self._seen = end
        self._target = end, action
        self._reach()

    async def _read(self, own: RedisService) -> list[Any]:
        assert self._seen is not None
        after = b"%d-%d" % self._seen
        command = ("XREAD", "COUNT", ENTRIES_AT_ONCE, "BLOCK", self._block, "STREAMS")
        reply = await own.call(*command, self._stream, after)
        return reply[0][1] if reply else []

    def _take(self, entries: list[Any]) -> None:
        for text, words in entries:
            entry = _parse_id(text)
            if self._target is not None and entry > self._target[0]:
                # That one was cut off before it was read: the sink will find a gap.
                self._seen = self._target[0]
                self._reach()
            self._seen = entry
            self._sink.entered(_fields(words or []))
            self._reach()

    def _reach(self) -> None:
        if self._target is not None and self._seen == self._target[0]:
            action, self._target = self._target[1], None
            self._sink.checked(action)
