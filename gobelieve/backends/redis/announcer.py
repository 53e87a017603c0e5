"""Announcing changes of groups in Redis, as upstream's API server does, in both of its forms.

Each change is numbered, counted and announced by one script, so that whoever follows sees every
number once and in order; see `gobelieve.groups.events`. The newest number is taken from where those
who follow look for it, so that several servers, and upstream's own, may announce by turns.
"""

from collections.abc import Sequence

from gobelieve.backends.redis.service import RedisService
from gobelieve.groups import events
from gobelieve.interfaces import Change

KEPT = 100_000
"""Entries that the stream keeps, or some more; as upstream."""
CHANGES_PER_SCRIPT = 500
"""Changes a script: some milliseconds in which Redis serves nobody else."""

# A change is its channel, how many words it has, and the words: for the stream the fields, else
# what is published.
_ANNOUNCE = """
local last = string.match(redis.call('GET', KEYS[1]) or '', '^%-?%d+:(%-?%d+)$')
last = last or redis.call('GET', KEYS[2]) or '0'
redis.call('SET', KEYS[2], last)
local at, prev = 2, last
while ARGV[at] do
  local channel, count = ARGV[at], tonumber(ARGV[at + 1])
  prev = last
  redis.call('INCR', KEYS[2])
  last = redis.call('GET', KEYS[2])
  redis.call('SET', KEYS[1], prev .. ':' .. last)
  if KEYS[3] then
    local words = {}
    for i = 1, count do words[i] = ARGV[at + 1 + i] end
    words[count + 1], words[count + 2] = 'previous_action_id', prev
    words[count + 3], words[count + 4] = 'action_id', last
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[1], '*', unpack(words))
  else
    redis.call('PUBLISH', channel, prev .. ':' .. last .. ':' .. ARGV[at + 2])
  end
  at = at + 2 + count
end
return last
"""


class RedisAnnouncer:
    """`form` is ``stream`` or ``pubsub``."""

    def __init__(self, redis: RedisService, form: str) -> None:
        self._redis = redis
        self._keys = [events.COUNTER, events.NEWEST]
        if form == "stream":
            self._keys.append(events.STREAM)

    async def announce(self, changes: Sequence[Change]) -> int:
        """In this order; gives the number of the last. Some may be announced, and others not, if
        this fails."""
        last = 0
        for first in range(0, len(changes), CHANGES_PER_SCRIPT):
            words = [
                word
                for change in changes[first : first + CHANGES_PER_SCRIPT]
                for word in self._words(change)
            ]
            last = int(await self._redis.script(_ANNOUNCE, self._keys, [KEPT, *words]))
        return last

    def _words(self, change: Change) -> list[object]:
        if events.STREAM in self._keys:
            fields = [word for pair in events.entered(change).items() for word in pair]
            return [change.name, len(fields), *fields]
        return [change.name, 1, events.published(change)]
