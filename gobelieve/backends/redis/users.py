"""What the app's server decides about users, in Redis, under upstream's keys.

============================================ ==================================================
``access_token_<token>``                     user_id, app_id, user_name, forbidden, notification_on
``users_<appid>_<uid>``                      access_token, name, forbidden, notification_on, mute,
                                             peer_<uid> and group_<gid> (1: do not ring)
``users_<appid>_<uid>_peer_do_not_disturb``  set of uids; ``..._group_do_not_disturb`` of groups
``conversations_donotdisturb_<appid>_<uid>`` set of ``p:<uid>`` and ``g:<gid>``
``turn/realm/...``                           what the user's calls are let through by
============================================ ==================================================

Upstream's parts read the same setting at several places, depending on their year; all are written.
"""

from collections.abc import Sequence
from hashlib import md5

from gobelieve.backends.redis.keys import user_key
from gobelieve.backends.redis.service import RedisService
from gobelieve.interfaces import Conversation
from gobelieve.names import User

SPEAK_FORBIDDEN = "speak_forbidden"
SESSIONS_ENDED = "sessions_ended"
"""Ours: ``appid,uid``."""
TURN_REALM = "com.beetle.face"

# Whether a token is good, and this user's.
_OWN = """
local function own(token)
  if not token then return false end
  local t = redis.pcall('HMGET', 'access_token_' .. token, 'user_id', 'app_id')
  return not t.err and t[1] == ARGV[2] and t[2] == ARGV[1]
end
"""

_GRANT = (
    _OWN
    + """
local token = redis.call('HGET', KEYS[1], 'access_token')
if not own(token) then
  token = ARGV[3]
  redis.call('PFADD', KEYS[2], ARGV[2])
end
redis.call('HSET', 'access_token_' .. token, 'user_id', ARGV[2], 'app_id', ARGV[1])
redis.call('HSET', KEYS[1], 'access_token', token)
if ARGV[4] then
  redis.call('HSET', 'access_token_' .. token, 'user_name', ARGV[4])
  redis.call('HSET', KEYS[1], 'name', ARGV[4])
end
return token
"""
)

_REVOKE = (
    _OWN
    + """
local token = redis.call('HGET', KEYS[1], 'access_token')
redis.call('HDEL', KEYS[1], 'access_token')
redis.call('DEL', KEYS[2])
if not own(token) then return 0 end
return redis.call('DEL', 'access_token_' .. token)
"""
)

_SET = (
    _OWN
    + """
local token = redis.call('HGET', KEYS[1], 'access_token')
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if own(token) then redis.call('HSET', 'access_token_' .. token, ARGV[3], ARGV[4]) end
if ARGV[5] then redis.call('HSET', KEYS[1], ARGV[5], ARGV[6]) end
if ARGV[7] then redis.call('PUBLISH', ARGV[7], ARGV[1] .. ',' .. ARGV[2] .. ',' .. ARGV[4]) end
return 1
"""
)

_DISTURB = """
local wanted = ARGV[1] == '1'
redis.call('HSET', KEYS[1], ARGV[2], wanted and '0' or '1')
local command = wanted and 'SREM' or 'SADD'
redis.call(command, KEYS[2], ARGV[3])
redis.call(command, KEYS[3], ARGV[4])
return 1
"""

_FORGET = """
for i, user in ipairs(KEYS) do redis.call('HDEL', user, ARGV[1]) end
return 1
"""

USERS_PER_SCRIPT = 1000
"""Users a script."""


def turn_key(user: User) -> str:
    """Where upstream's TURN server finds the user's password."""
    return f"turn/realm/{TURN_REALM}/user/{user.appid}_{user.uid}/key"


class RedisUserAdmin:
    """`gobelieve.interfaces.UserAdmin`."""

    def __init__(self, redis: RedisService) -> None:
        self._redis = redis

    async def grant(self, user: User, new: str, name: str | None) -> str:
        """As upstream's API server; but a token that somebody deleted does not become good again:
        there is a new one."""
        keys = [user_key(user), f"statistics_users_{user.appid}"]
        named = [] if name is None else [name]
        found: bytes = await self._redis.script(_GRANT, keys, [*user, new, *named])
        token = found.decode("utf-8", "replace")
        call = f"{user.appid}_{user.uid}:{TURN_REALM}:{token}".encode()
        await self._redis.call("SET", turn_key(user), md5(call, usedforsecurity=False).hexdigest())
        return token

    async def revoke_all(self, user: User) -> bool:
        """The token that was granted or made last. Of older ones nothing says whose they are."""
        keys = [user_key(user), turn_key(user)]
        return bool(await self._redis.script(_REVOKE, keys, [*user]))

    async def sessions_ended(self, user: User) -> None:
        """On a channel of ours."""
        await self._redis.call("PUBLISH", SESSIONS_ENDED, f"{user.appid},{user.uid}")

    async def rename(self, user: User, name: str) -> None:
        """In the user's hash."""
        await self._redis.call("HSET", user_key(user), "name", name)

    async def forbid(self, user: User, forbidden: bool) -> None:
        """Written and announced in one go."""
        value = [*user, "forbidden", int(forbidden), "forbidden", int(forbidden), SPEAK_FORBIDDEN]
        await self._redis.script(_SET, [user_key(user)], value)

    async def mute(self, user: User, muted: bool) -> None:
        """``mute``, and its contrary ``notification_on``."""
        value = [*user, "notification_on", int(not muted), "mute", int(muted)]
        await self._redis.script(_SET, [user_key(user)], value)

    async def disturb(self, user: User, conversation: Conversation, wanted: bool) -> None:
        """At all three places."""
        kind, id_ = "peer", conversation.peer
        if not id_:
            kind, id_ = "group", conversation.group_id
        own = user_key(user)
        others = f"conversations_donotdisturb_{user.appid}_{user.uid}"
        keys = [own, f"{own}_{kind}_do_not_disturb", others]
        values = [int(wanted), f"{kind}_{id_}", id_, f"{kind[0]}:{id_}"]
        await self._redis.script(_DISTURB, keys, values)

    async def forget_group_keys(self, appid: int, group_id: int, uids: Sequence[int]) -> None:
        """A thousand users a round trip."""
        keys = [user_key(User(appid, uid)) for uid in uids]
        for first in range(0, len(keys), USERS_PER_SCRIPT):
            some = keys[first : first + USERS_PER_SCRIPT]
            await self._redis.script(_FORGET, some, [f"group_sync_key_{group_id}"])
