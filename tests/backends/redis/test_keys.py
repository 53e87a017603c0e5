"""A real Redis: the suites, upstream's keys, and what happens when Redis does not."""

from typing import Any

from twisted.internet import reactor  # noqa: TID253
from twisted.internet.defer import Deferred, gatherResults

from gobelieve.backends.redis.daily_users import RedisDailyUsers
from gobelieve.backends.redis.keys import (
    RedisDeviceNumbers,
    RedisGroupSyncKeys,
    RedisPreferences,
    RedisPushQueues,
    RedisService,
    RedisSyncKeys,
    RedisTokenAdmin,
    RedisTokens,
    RedisUnreadCounts,
)
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from gobelieve.interfaces import Identity
from gobelieve.names import User
from tests.backends import contracts
from tests.servers import missing, shared_redis

ANN = User(7, 1001)


class RedisBackend(contracts.Backend):
    """`contracts.Backend`."""

    def __init__(self, service: RedisService) -> None:
        self.call = service.call
        self.tokens = RedisTokens(service)
        self.preferences = RedisPreferences(service)
        self.admin = RedisTokenAdmin(service)
        self.devices = RedisDeviceNumbers(service)
        self.sync_keys = RedisSyncKeys(service)
        self.group_sync_keys = RedisGroupSyncKeys(service)
        self.unread = RedisUnreadCounts(service)
        self.daily = RedisDailyUsers(service)
        self.pushes = RedisPushQueues(service)

    async def set_flag(self, user: User, name: str, value: int) -> None:
        await self.call("HSET", f"users_{user.appid}_{user.uid}", name, value)

    async def unread_of(self, user: User) -> int | None:
        count = await self.call("HGET", f"users_{user.appid}_{user.uid}", "unread")
        return count and int(count)

    async def users_on(self, year: int, month: int, day: int, appid: int) -> int:
        return int(await self.call("PFCOUNT", f"statistics_dau_{year}_{month}_{day}_{appid}"))

    async def pushed(self, queue: str) -> list[bytes]:
        items: list[bytes] = await self.call("LRANGE", queue, 0, -1)
        return items


class OnRedis(contracts.Contract):
    """The shared server, emptied for each test."""

    skip = missing("redis-server")

    def setUp(self) -> None:
        self.service = RedisService(RedisConfig(shared_redis().address), reactor)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.backend = RedisBackend(self.service)
        self.call = self.service.call


class RedisPreferencesTests(OnRedis, contracts.PreferencesContract):
    """Settings in Redis."""


class RedisTokensTests(OnRedis, contracts.TokensContract):
    """Tokens in Redis."""

    async def find(self, token: str) -> Identity | None:
        return await self.backend.tokens.find(token)

    async def test_a_token_of_upstream_s_api_logs_in(self) -> None:
        await self.call("HSET", "access_token_t", "user_id", "1001", "app_id", "7")
        self.assertEqual(await self.find("t"), Identity(ANN, False, False))

    async def test_settings_count_from_either_hash(self) -> None:
        user, token = "users_7_1001", "access_token_t"
        await self.call("HSET", token, "user_id", 1001, "app_id", 7)
        for key in (token, user):
            await self.call("HSET", key, "forbidden", 1, "notification_on", 0)
            self.assertEqual(await self.find("t"), Identity(ANN, True, False), key)
            await self.call("HSET", key, "forbidden", 0, "notification_on", 2)
            self.assertEqual(await self.find("t"), Identity(ANN, False, True), key)
            await self.call("HDEL", key, "forbidden", "notification_on")

    async def test_a_missing_app_is_app_0_and_a_missing_user_is_refused(self) -> None:
        await self.call("HSET", "access_token_t", "user_id", 1001)
        self.assertEqual(await self.find("t"), Identity(User(0, 1001), False, False))
        await self.call("HSET", "access_token_u", "app_id", 7)
        self.assertIsNone(await self.find("u"))

    async def test_a_field_that_is_no_number_refuses_the_token(self) -> None:
        good = {"user_id": "1001", "app_id": "7", "forbidden": "0", "notification_on": "0"}
        for name in good:
            for bad in ("x", "", " 7", "7 ", "1.0", "1e3", "0x7", "\uff17", "9" * 19, "--7", "-"):
                fields = [text for pair in (good | {name: bad}).items() for text in pair]
                await self.call("HSET", "access_token_t", *fields)
                self.assertIsNone(await self.find("t"), f"{name}={bad!r}")
        await self.call("HSET", "access_token_t", *(t for pair in good.items() for t in pair))
        self.assertIsNotNone(await self.find("t"))
        await self.call("HSET", "users_7_1001", "forbidden", "yes")
        self.assertIsNone(await self.find("t"))

    async def test_a_number_written_otherwise_means_the_same_user(self) -> None:
        await self.call("HSET", "users_7_1001", "forbidden", 1)
        await self.call("HSET", "access_token_t", "user_id", "+01001", "app_id", "007")
        self.assertEqual(await self.find("t"), Identity(ANN, True, False))

    async def test_keys_of_another_type_refuse_the_token(self) -> None:
        await self.call("SET", "access_token_t", "1001")
        self.assertIsNone(await self.find("t"))
        await self.call("HSET", "access_token_u", "user_id", 1001, "app_id", 7)
        await self.call("SET", "users_7_1001", "x")
        self.assertIsNone(await self.find("u"))

    async def test_a_token_is_made_as_upstream_s_api_makes_it(self) -> None:
        await self.backend.admin.create(ANN, "t", "Ann")
        token = await self.call("HGETALL", "access_token_t")
        self.assertEqual(token, [b"user_id", b"1001", b"user_name", b"Ann", b"app_id", b"7"])
        user = await self.call("HGETALL", "users_7_1001")
        self.assertEqual(user, [b"access_token", b"t", b"name", b"Ann"])
        self.assertEqual(await self.call("PFCOUNT", "statistics_users_7"), 1)

    async def test_revoking_takes_the_user_s_field_only_if_it_names_the_token(self) -> None:
        for token in ("t-1", "t-2"):
            await self.backend.admin.create(ANN, token, "Ann")
        await self.backend.admin.revoke("t-1")
        self.assertEqual(await self.call("HGET", "users_7_1001", "access_token"), b"t-2")
        await self.backend.admin.revoke("t-2")
        self.assertIsNone(await self.call("HGET", "users_7_1001", "access_token"))
        self.assertEqual(await self.call("HGET", "users_7_1001", "name"), b"Ann")

    async def test_finding_is_one_round_trip(self) -> None:
        await self.backend.admin.create(ANN, "t", "Ann")
        await self.find("t")
        await self.call("CONFIG", "RESETSTAT")
        for _ in range(10):
            await self.find("t")
        stats = (await self.call("INFO", "commandstats")).decode()
        self.assertIn("cmdstat_evalsha:calls=10,", stats)
        self.assertNotIn("cmdstat_eval:", stats)

    async def test_a_token_that_is_no_text_is_a_backend_error(self) -> None:
        with self.assertRaisesRegex(BackendError, "cannot be sent"):
            await self.find("\udc80")


class RedisDeviceNumbersTests(OnRedis, contracts.DeviceNumbersContract):
    """Device numbers in Redis."""

    async def test_numbers_of_upstream_go_on(self) -> None:
        await self.call("SET", "devices_id", 41)
        await self.call("SET", "devices_old_2", 17)
        self.assertEqual(await self.backend.devices.number("old", 2), 17)
        self.assertEqual(await self.backend.devices.number("new", 2), 42)
        self.assertEqual(await self.call("GET", "devices_new_2"), b"42")
        self.assertEqual(await self.call("GET", "devices_id"), b"42")

    async def test_what_is_no_number_is_a_backend_error(self) -> None:
        await self.call("SET", "devices_old_2", "x")
        with self.assertRaisesRegex(BackendError, "devices_old_2"):
            await self.backend.devices.number("old", 2)


class RedisSyncKeysTests(OnRedis, contracts.SyncKeysContract):
    """Sync keys in Redis."""

    async def test_they_are_where_upstream_keeps_them(self) -> None:
        await self.backend.sync_keys.advance({ANN: 12})
        self.assertEqual(await self.call("HGETALL", "users_7_1001"), [b"sync_key", b"12"])

    async def test_what_is_no_number_counts_as_none(self) -> None:
        for bad in ("x", "", "-5"):
            await self.call("HSET", "users_7_1001", "sync_key", bad)
            self.assertEqual(await self.backend.sync_keys.load(ANN), 0)
            await self.backend.sync_keys.lower(ANN, 3)
            await self.backend.sync_keys.advance({ANN: 9})
            self.assertEqual(await self.backend.sync_keys.load(ANN), 9)


class RedisGroupSyncKeysTests(OnRedis, contracts.GroupSyncKeysContract):
    """Sync keys of super groups in Redis."""


class RedisUnreadCountsTests(OnRedis, contracts.UnreadCountsContract):
    """Unread counts in Redis."""


class RedisDailyUsersTests(OnRedis, contracts.DailyUsersContract):
    """Daily users in Redis."""


class RedisPushQueuesTests(OnRedis, contracts.PushQueuesContract):
    """Push queues in Redis."""

    async def test_workers_take_from_the_left(self) -> None:
        await self.backend.pushes.append([("push_queue", b"1"), ("push_queue", b"2")])
        self.assertEqual(await self.call("LPOP", "push_queue"), b"1")


class RedisCallTests(OnRedis):
    """Calls on a Redis that is well."""

    async def test_replies_are_not_made_numbers_or_text(self) -> None:
        for value in (b"007", b"+8613800138000", b"1_000", b"1.50", b"\xff", b"QUEUED", b""):
            await self.call("SET", "k", value)
            self.assertEqual(await self.call("GET", "k"), value)

    async def test_an_error_reply_is_a_backend_error_with_its_text(self) -> None:
        await self.call("SET", "k", "text")
        with self.assertRaisesRegex(BackendError, "Redis answered: WRONGTYPE"):
            await self.call("HGET", "k", "f")

    async def test_a_script_redis_has_forgotten_is_sent_again(self) -> None:
        for _ in range(2):
            await self.call("SCRIPT", "FLUSH")
            self.assertEqual(await self.service.script("return ARGV[1]", [], ["x"]), b"x")

    async def test_a_script_that_fails_is_a_backend_error(self) -> None:
        with self.assertRaisesRegex(BackendError, "nonsense"):
            await self.service.script("return redis.error_reply('nonsense')", [])

    async def test_a_caller_that_gives_up_does_not_shift_the_replies(self) -> None:
        asked: list[Deferred[Any]] = [
            Deferred.fromCoroutine(self.call("ECHO", str(number))) for number in range(10)
        ]
        # Not waiting for a connection any more: these are on their way.
        await asked[0]
        asked = [Deferred.fromCoroutine(self.call("ECHO", str(number))) for number in range(10)]
        asked[3].addErrback(lambda _: None)
        asked[3].cancel()
        replies = await gatherResults(asked)
        self.assertEqual(replies, [None if n == 3 else str(n).encode() for n in range(10)])

    async def test_after_the_stop_calls_fail_at_once(self) -> None:
        await self.call("PING")
        await self.service.stopService()
        with self.assertRaisesRegex(BackendError, "stopped"):
            await self.call("PING")

    async def test_what_was_asked_before_the_stop_is_answered(self) -> None:
        await self.call("PING")
        asked = [Deferred.fromCoroutine(self.call("INCR", "n")) for _ in range(100)]
        await self.service.stopService()
        self.assertEqual(await gatherResults(asked), list(range(1, 101)))
