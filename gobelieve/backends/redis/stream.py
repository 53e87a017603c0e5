"""The changes that the app's server enters in a stream, as the Go servers do since 2019.

A stream keeps its entries; the Go API server keeps about the newest 100,000. After an interruption
the source continues behind the entry that it passed last, so that nothing is lost. If that entry
was trimmed meanwhile, the action ids show the gap.

One script reads the counter together with the id of the newest entry. The sink gets the counter
once it has that entry. So a counter that moves without entries is noticed too: the app's server may
publish to channels instead.
"""

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from gobelieve.backends.redis.events import CHECK_SECONDS, newest_action
from gobelieve.backends.redis.service import RedisService
from gobelieve.interfaces import EventSink

ENTRIES_PER_READ = 100
"""So many entries take 2 ms of a turn; 70,000 entries per second are read all the same."""

_CHECK = """
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return {newest[1] and newest[1][1] or '0-0', redis.call('GET', KEYS[2])}
"""

_EntryId = tuple[int, int]
"""Milliseconds and a number, as Redis gives them to entries."""


def _parse_id(text: bytes) -> _EntryId:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number)


def _fields(words: list[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(words[::2], words[1::2], strict=False))


class Stream:
    """A stream as a source: see `gobelieve.backends.redis.events.Source`.

    `stream` and `counter` are keys of Redis.
    """

    def __init__(
        self,
        sink: EventSink,
        reactor: IReactorTime,
        *,
        stream: str,
        counter: str,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._sink = sink
        self._reactor = reactor
        self._stream = stream
        self._counter = counter
        self._check_seconds = check_seconds
        self._passed: _EntryId | None = None
        """The last entry that the sink got; None before the first check."""
        self._checked: tuple[_EntryId, int] | None = None
        """The newest entry of a check, and the counter that the sink gets after that entry."""

    async def follow(self, own: RedisService) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        while True:
            await self._check(own)
            checked_at = self._reactor.seconds()
            while self._reactor.seconds() - checked_at < self._check_seconds:
                self._pass(await self._read(own))

    def published(self, channel: bytes, content: bytes) -> None:
        """Do nothing: there are no subscriptions."""

    def interrupted(self) -> None:
        """See `gobelieve.backends.redis.events.Source`."""
        self._sink.interrupted()

    async def _check(self, own: RedisService) -> None:
        newest, *counter = await own.script(_CHECK, [self._stream, self._counter])
        # A Lua table ends at its first nil, so the counter may be missing.
        action = newest_action(counter[0] if counter else None)
        newest_id = _parse_id(newest)
        if self._passed is None or newest_id < self._passed:
            # This is the first check, or another stream than before.
            self._passed = newest_id
        self._checked = newest_id, action
        self._pass_counter()

    async def _read(self, own: RedisService) -> list[Any]:
        assert self._passed is not None
        # Half of the timeout, so that a silent Redis is noticed.
        block = max(1, round(own.timeout * 500))
        command = ("XREAD", "COUNT", ENTRIES_PER_READ, "BLOCK", block, "STREAMS")
        reply = await own.call(*command, self._stream, b"%d-%d" % self._passed)
        return reply[0][1] if reply else []

    def _pass(self, entries: list[Any]) -> None:
        for text, words in entries:
            entry = _parse_id(text)
            if self._checked is not None and entry > self._checked[0]:
                # The entry of the check was trimmed before it was read: the sink will find a gap.
                self._passed = self._checked[0]
                self._pass_counter()
            self._passed = entry
            self._sink.entered(_fields(words or []))
            self._pass_counter()

    def _pass_counter(self) -> None:
        if self._checked is not None and self._passed == self._checked[0]:
            action, self._checked = self._checked[1], None
            self._sink.checked(action)
