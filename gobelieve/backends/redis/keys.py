"""What is kept in Redis, under upstream's keys, so that its other parts find it there.

====================================== ======================================================
``access_token_<token>``               hash: user_id, app_id, user_name, forbidden, notification_on
``users_<appid>_<uid>``                hash: sync_key, group_sync_key_<group>, unread, name,
                                       access_token, forbidden, notification_on
``devices_<device id>_<platform>``     the number of the device
``devices_id``                         the number given last
``statistics_users_<appid>``           HyperLogLog of those who ever had a token
``push_queue`` and others              lists of JSON
====================================== ======================================================

Whatever takes more than one command is a Lua script: one round trip, and nobody in between.
(txredisapi's MULTI loses transactions.) The keys of users are not passed as KEYS everywhere, so
all of this wants one Redis, not a Redis Cluster.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from gobelieve.backends.redis.service import RedisService
from gobelieve.errors import BackendError
from gobelieve.interfaces import Identity, Settings, TokenDetails
from gobelieve.names import GroupReader, User

__all__ = [
    "RedisDeviceNumbers",
    "RedisGroupSyncKeys",
    "RedisPreferences",
    "RedisPushQueues",
    "RedisService",
    "RedisSyncKeys",
    "RedisTokenAdmin",
    "RedisTokens",
    "RedisUnreadCounts",
]

KEYS_AT_ONCE = 1000
"""Users a script: Redis serves nobody else meanwhile, for some milliseconds."""

# Whole decimal numbers as strings, since Lua's doubles are exact to 2^53 only.
_NUMBERS = """
local function whole(text)
  local sign, digits = string.match(text or '0', '^([+-]?)0*(%d+)$')
  if not digits then return nil end
  if sign == '-' and digits ~= '0' then return '-' .. digits end
  return digits
end
local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end
"""

_FIND = (
    _NUMBERS
    + """
local t = redis.pcall('HMGET', KEYS[1], 'user_id', 'app_id', 'forbidden', 'notification_on')
if t.err or not t[1] then return false end
local uid, appid = whole(t[1]), whole(t[2] or '0')
if not uid or not appid then return false end
local u = redis.pcall('HMGET', 'users_' .. appid .. '_' .. uid, 'forbidden', 'notification_on')
if u.err then return false end
return {appid, uid, t[3], t[4], u[1], u[2]}
"""
)

_CREATE = """
redis.call('HSET', KEYS[1], 'user_id', ARGV[2], 'user_name', ARGV[4], 'app_id', ARGV[1])
redis.call('HSET', KEYS[2], 'access_token', ARGV[3], 'name', ARGV[4])
redis.call('PFADD', KEYS[3], ARGV[2])
return 1
"""

_REVOKE = """
local t = redis.call('HMGET', KEYS[1], 'app_id', 'user_id')
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
local user = 'users_' .. (t[1] or '0') .. '_' .. (t[2] or '0')
if redis.pcall('HGET', user, 'access_token') == ARGV[1] then
  redis.call('HDEL', user, 'access_token')
end
return 1
"""

_DEVICE = """
local number = redis.call('GET', KEYS[1])
if number then return number end
number = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], number)
return tostring(number)
"""

_ADVANCE = (
    _NUMBERS
    + """
for i, user in ipairs(KEYS) do
  local field, key = ARGV[i], ARGV[#KEYS + i]
  local kept = whole(redis.call('HGET', user, field) or '0')
  if not kept or kept:sub(1, 1) == '-' or less(kept, key) then
    redis.call('HSET', user, field, key)
  end
end
return 1
"""
)

_LOWER = (
    _NUMBERS
    + """
local kept = whole(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if kept and kept:sub(1, 1) ~= '-' and less(ARGV[2], kept) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
"""
)

_UNREAD = """
for i, user in ipairs(KEYS) do redis.call('HSET', user, 'unread', ARGV[i]) end
return 1
"""

_APPEND = """
local item = #KEYS
for i, queue in ipairs(KEYS) do
  for _ = 1, tonumber(ARGV[i]) do
    item = item + 1
    redis.call('RPUSH', queue, ARGV[item])
  end
end
return 1
"""


def token_key(token: str) -> str:
    """Where a token is kept."""
    return f"access_token_{token}"


def user_key(user: User) -> str:
    """Where what is known of a user is kept."""
    return f"users_{user.appid}_{user.uid}"


def whole(value: bytes | None) -> int | None:
    """A signed 64-bit decimal as Redis clients write it; absent is 0, and None if it is none."""
    if value is None:
        return 0
    digits = value[1:] if value[:1] in (b"+", b"-") else value
    if not digits.isdigit() or len(value) > 20:
        return None
    number = int(value)
    return number if -(1 << 63) <= number < 1 << 63 else None


class RedisTokens:
    """`gobelieve.interfaces.Tokens`: one round trip."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def find(self, token: str) -> Identity | None:
        """Settings count if either hash has them: upstream's API writes each to another one."""
        found = await self._redis.script(_FIND, [token_key(token)])
        if found is None:
            return None
        numbers = [whole(value) for value in found]
        if None in numbers or numbers[1] == 0:
            return None
        appid, uid, forbidden, notified, user_forbidden, user_notified = (n or 0 for n in numbers)
        return Identity(
            User(appid, uid), bool(forbidden or user_forbidden), bool(notified or user_notified)
        )


class RedisPreferences:
    """`gobelieve.interfaces.Preferences`, from the user's hash."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def of(self, user: User) -> Settings:
        """What is no number counts as not set."""
        found = await self._redis.call("HMGET", user_key(user), "forbidden", "notification_on")
        forbidden, notified = (bool(whole(value)) for value in found)
        return Settings(forbidden, notified)


class RedisTokenAdmin:
    """`gobelieve.interfaces.TokenAdmin`, as upstream's API server does it."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def create(self, user: User, token: str, name: str) -> None:
        """Older tokens of the user stay good."""
        keys = [token_key(token), user_key(user), f"statistics_users_{user.appid}"]
        await self._redis.script(_CREATE, keys, [user.appid, user.uid, token, name])

    async def revoke(self, token: str) -> bool:
        """The user's own field goes too if it names this token."""
        return bool(await self._redis.script(_REVOKE, [token_key(token)], [token]))

    async def describe(self, token: str) -> TokenDetails | None:
        """The name is the user's present one; the token's own only if there is none."""
        identity = await RedisTokens(self._redis).find(token)
        if identity is None:
            return None
        name = await self._redis.call("HGET", user_key(identity.user), "name")
        if name is None:
            name = await self._redis.call("HGET", token_key(token), "user_name")
        return TokenDetails(identity, (name or b"").decode("utf-8", "replace"))


class RedisDeviceNumbers:
    """`gobelieve.interfaces.DeviceNumbers`."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def number(self, device_id: str, platform: int) -> int:
        """One script, so that two first logins at once cannot get two numbers."""
        key = f"devices_{device_id}_{platform}"
        number = whole(await self._redis.script(_DEVICE, [key, "devices_id"]))
        if not number or number < 0:
            raise BackendError(f"Redis: {key} holds no device number")
        return number


R = TypeVar("R")


class _SyncKeys(Generic[R]):
    """`gobelieve.interfaces.SyncKeys`, in a field of the user's hash."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    def place(self, reader: R) -> tuple[str, str]:
        """Key and field."""
        raise NotImplementedError

    async def load(self, reader: R) -> int:
        """What is no number, or less than 0, counts as none."""
        return max(0, whole(await self._redis.call("HGET", *self.place(reader))) or 0)

    async def advance(self, keys: Mapping[R, int]) -> None:
        """A thousand readers a round trip. After an error some may be kept: ask again for all."""
        wanted = [(*self.place(reader), key) for reader, key in keys.items() if key > 0]
        for start in range(0, len(wanted), KEYS_AT_ONCE):
            users, fields, values = zip(*wanted[start : start + KEYS_AT_ONCE], strict=True)
            await self._redis.script(_ADVANCE, users, [*fields, *values])

    async def lower(self, reader: R, key: int) -> None:
        """Only ever down."""
        user, field = self.place(reader)
        await self._redis.script(_LOWER, [user], [field, max(0, key)])


class RedisSyncKeys(_SyncKeys[User]):
    """Of users' own queues."""

    def place(self, reader: User) -> tuple[str, str]:
        return user_key(reader), "sync_key"


class RedisGroupSyncKeys(_SyncKeys[GroupReader]):
    """Of super groups' queues."""

    def place(self, reader: GroupReader) -> tuple[str, str]:
        appid, uid, group_id = reader
        return user_key(User(appid, uid)), f"group_sync_key_{group_id}"


class RedisUnreadCounts:
    """`gobelieve.interfaces.UnreadCounts`."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def set(self, counts: Mapping[User, int]) -> None:
        """The push workers count on from here. A thousand users a round trip."""
        wanted = [(user_key(user), count) for user, count in counts.items()]
        for start in range(0, len(wanted), KEYS_AT_ONCE):
            users, values = zip(*wanted[start : start + KEYS_AT_ONCE], strict=True)
            await self._redis.script(_UNREAD, users, values)


class RedisPushQueues:
    """`gobelieve.interfaces.PushQueues`: lists, appended at the right end."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def append(self, items: Sequence[tuple[str, bytes]]) -> None:
        """All or none, unless Redis fails in between; asking again may append twice."""
        queues: dict[str, list[bytes]] = {}
        for queue, item in items:
            queues.setdefault(queue, []).append(item)
        if queues:
            counts = [len(queue) for queue in queues.values()]
            all_items = [item for queue in queues.values() for item in queue]
            await self._redis.script(_APPEND, list(queues), [*counts, *all_items])
