"""How many users log in a day: ``statistics_dau_<Y>_<M>_<D>_<appid>``, as upstream counted in 2018.

The day is the local date of the login, without leading zeros. Nothing deletes the keys; each has at
most 12 KB.
"""

from collections.abc import Iterable
from datetime import date

from gobelieve.backends.redis.keys import KEYS_AT_ONCE
from gobelieve.backends.redis.service import RedisService
from gobelieve.interfaces import Seen


class RedisDailyUsers:
    """`gobelieve.interfaces.DailyUsers`: a HyperLogLog for each day and app."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def add(self, seen: Iterable[Seen]) -> None:
        """Mostly one command for all; a thousand users a command."""
        days: dict[tuple[int, int], list[int]] = {}
        for appid, uid, day in seen:
            days.setdefault((day, appid), []).append(uid)
        for (ordinal, appid), uids in days.items():
            on = date.fromordinal(ordinal)
            key = f"statistics_dau_{on.year}_{on.month}_{on.day}_{appid}"
            for start in range(0, len(uids), KEYS_AT_ONCE):
                await self._redis.call("PFADD", key, *uids[start : start + KEYS_AT_ONCE])
