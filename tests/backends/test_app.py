"""Where the app's server writes: memory, SQLite, a real Redis, a real MariaDB of all years."""

import sqlite3
from contextlib import closing
from hashlib import md5
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from gobelieve.backends.app_secrets import ConfiguredSecrets, MysqlSecrets, SqliteSecrets
from gobelieve.backends.group_admin import MysqlGroupAdmin, SqliteGroupAdmin
from gobelieve.backends.mysql.datasource import parse_datasource
from gobelieve.backends.mysql.groups import MysqlGroups
from gobelieve.backends.mysql.service import MysqlService
from gobelieve.backends.redis.announcer import RedisAnnouncer
from gobelieve.backends.redis.keys import (
    RedisGroupSyncKeys,
    RedisService,
    RedisTokenAdmin,
    RedisTokens,
)
from gobelieve.backends.redis.users import RedisUserAdmin
from gobelieve.backends.sqlite.group_keys import SqliteGroupSyncKeys
from gobelieve.backends.sqlite.groups import SqliteGroups
from gobelieve.backends.sqlite.service import SqliteService, SqliteTokenAdmin, SqliteTokens
from gobelieve.backends.sqlite.users import SqliteUserAdmin
from gobelieve.config import RedisConfig
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import installed_reactor
from gobelieve.groups import events
from gobelieve.interfaces import Change, Conversation, NewGroup
from gobelieve.names import GroupReader, User
from tests.backends import app_contracts as contracts
from tests.backends.app_contracts import ANN, NOW
from tests.fakes.app import MemoryGroupAdmin, MemorySecrets, MemoryUserAdmin
from tests.fakes.backends import Memory, MemorySyncKeys, MemoryTokenAdmin, MemoryTokens
from tests.servers import missing, shared_maria, shared_redis

SCHEMA = Path(__file__).parents[2] / "etc" / "schema.sql"

# As upstream's scripts make them, today and in 2018.
UPSTREAM = """
CREATE TABLE `group` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `appid` bigint NULL,
    `master` bigint NULL, `super` tinyint NOT NULL DEFAULT 0, `name` varchar(255) NULL,
    `notice` varchar(255) NULL, `deleted` tinyint(1) NOT NULL) CHARSET utf8mb4;
CREATE TABLE `group_member` (`group_id` bigint NOT NULL DEFAULT 0, `uid` bigint NOT NULL DEFAULT 0,
    `timestamp` int NULL, `nickname` varchar(255) NULL, `mute` tinyint(1) DEFAULT 0,
    `deleted` tinyint(1) NOT NULL, PRIMARY KEY (`group_id`, `uid`)) CHARSET utf8mb4
"""
OLD = """
CREATE TABLE `group` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `appid` bigint NULL,
    `master` bigint NULL, `super` tinyint NOT NULL DEFAULT 0, `name` varchar(255) NULL,
    `notice` varchar(255) NULL) CHARSET utf8mb4;
CREATE TABLE `group_member` (`group_id` bigint NOT NULL DEFAULT 0, `uid` bigint NOT NULL DEFAULT 0,
    `nickname` varchar(255) NULL, PRIMARY KEY (`group_id`, `uid`)) CHARSET utf8mb4
"""


class MemoryGroupsTests(contracts.GroupAdminContract):
    """The fake passes as well."""

    def setUp(self) -> None:
        self.admin = MemoryGroupAdmin()


class OnSqlite(TestCase):
    """A new file for each test."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.service = SqliteService(self.path, installed_reactor())
        self.service.startService()
        self.addCleanup(self.service.stopService)


class SqliteGroupsTests(OnSqlite, contracts.GroupAdminContract):
    """In the embedded file."""

    def setUp(self) -> None:
        super().setUp()
        self.admin = SqliteGroupAdmin(self.service)

    async def test_what_is_written_is_what_gateways_load(self) -> None:
        id_ = await self.make(1, 2)
        await self.admin.mute(7, id_, 2, True)
        group = await SqliteGroups(self.service).load(id_)
        assert group is not None
        self.assertEqual((group.appid, group.joined(1), group.muted(2)), (7, NOW, True))

    async def test_who_was_marked_as_deleted_joins_anew(self) -> None:
        group = await self.make(1, 2)
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("UPDATE group_member SET deleted = 1, mute = 1 WHERE uid = 2")
        self.assertEqual([member.uid for member in await self.members(group)], [1])
        await self.admin.add(7, group, [2], NOW + 9)
        _, bob = await self.members(group)
        self.assertEqual((bob.uid, bob.joined, bob.muted), (2, NOW + 9, False))


class OnMaria(TestCase):
    """A database of its own, with the tables of `tables`."""

    skip = missing("mariadbd", "mariadb-install-db")
    tables = SCHEMA.read_text("utf-8")

    def setUp(self) -> None:
        from pymysql.constants import CLIENT

        self.maria = shared_maria()
        self.run_sql("DROP DATABASE IF EXISTS app_test", None)
        self.run_sql("CREATE DATABASE app_test", None)
        several = CLIENT.MULTI_STATEMENTS
        with (
            self.maria.connect(database="app_test", client_flag=several) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(self.tables)
            while cursor.nextset():
                pass
        source = parse_datasource(f"root@tcp(127.0.0.1:{self.maria.port})/app_test")
        self.service = MysqlService(source, installed_reactor())
        self.service.startService()
        self.addCleanup(self.service.stopService)

    def run_sql(self, sql: str, database: str | None = "app_test") -> None:
        with self.maria.connect(database=database) as connection, connection.cursor() as cursor:
            cursor.execute(sql)


class MariaGroupsTests(OnMaria, contracts.GroupAdminContract):
    """With our own tables."""

    def setUp(self) -> None:
        super().setUp()
        self.admin = MysqlGroupAdmin(self.service)

    async def test_what_is_written_is_what_gateways_load(self) -> None:
        id_ = await self.make(1, 2)
        await self.admin.mute(7, id_, 2, True)
        group = await MysqlGroups(self.service).load(id_)
        assert group is not None
        self.assertEqual((group.appid, group.joined(1), group.muted(2)), (7, self.joined, True))

    async def test_many_changes_of_few_groups_at_once(self) -> None:
        """None is lost, and none fails, whatever locks them meanwhile."""
        groups = [await self.make(1), await self.make(1)]
        changes = [
            change
            for uid in range(2, 42)
            for group in groups
            for change in (
                self.admin.add(7, group, [uid, uid + 100], NOW),
                self.admin.remove(7, group, [uid + 100]),
                self.admin.nickname(7, group, 1, f"n{uid}"),
            )
        ]
        await gatherResults([Deferred.fromCoroutine(change) for change in changes])
        for group in groups:
            uids = {member.uid for member in await self.members(group)}
            self.assertLessEqual(set(range(1, 42)), uids)

    async def test_a_connection_that_was_killed_is_not_noticed(self) -> None:
        group = await self.make(1)
        with self.maria.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'app_test'")
            for (id_,) in cursor.fetchall():
                cursor.execute(f"KILL {id_}")
        await self.admin.add(7, group, [2], NOW)
        self.assertEqual(len(await self.members(group)), 2)

    async def test_without_the_tables_it_fails_and_says_so(self) -> None:
        self.run_sql("DROP TABLE `group`")
        why = await self.assertFailure(
            Deferred.fromCoroutine(self.admin.create(NewGroup(7, 1, "g", False, (1,)), NOW)),
            BackendError,
        )
        self.assertIn("doesn't exist", str(why))


class UpstreamMariaGroupsTests(MariaGroupsTests):
    """With upstream's, whose column `deleted` has no default."""

    tables = UPSTREAM


class OldMariaGroupsTests(OnMaria, contracts.GroupAdminContract):
    """With the tables of 2018, which say neither who is muted nor since when one is a member."""

    tables = OLD
    joined = 0

    def setUp(self) -> None:
        super().setUp()
        self.admin = MysqlGroupAdmin(self.service)

    async def test_settings_of_a_member(self) -> None:
        group = await self.make(1)
        await self.admin.nickname(7, group, 1, "Annie")
        self.assertEqual((await self.members(group))[0].nickname, "Annie")
        muting = Deferred.fromCoroutine(self.admin.mute(7, group, 1, True))
        why = await self.assertFailure(muting, BackendError)
        self.assertIn("has no column mute", str(why))

    async def test_who_joins_later_is_a_member_once(self) -> None:
        group = await self.make(1)
        await self.admin.add(7, group, [1, 2], NOW)
        self.assertEqual([member.uid for member in await self.members(group)], [1, 2])


# --- users


class MemoryUsersTests(contracts.UserAdminContract):
    """The fake passes as well."""

    def setUp(self) -> None:
        memory = Memory()
        self.users = self.memory = MemoryUserAdmin(memory)
        self.tokens, self.token_admin = MemoryTokens(memory), MemoryTokenAdmin(memory)
        self.group_sync_keys = MemorySyncKeys[GroupReader](memory)

    async def silent(self, user: User) -> set[str]:
        return {
            f"p:{peer}" if peer else f"g:{group}"
            for who, (peer, group) in self.memory.silent
            if who == user
        }


class SqliteUsersTests(OnSqlite, contracts.UserAdminContract):
    """In the embedded file."""

    def setUp(self) -> None:
        super().setUp()
        self.users = SqliteUserAdmin(self.service)
        self.tokens, self.token_admin = SqliteTokens(self.service), SqliteTokenAdmin(self.service)
        self.group_sync_keys = SqliteGroupSyncKeys(self.service)

    async def silent(self, user: User) -> set[str]:
        with closing(sqlite3.connect(self.path)) as db:
            sql = "SELECT conversation FROM do_not_disturb WHERE appid = ? AND uid = ?"
            return {name for (name,) in db.execute(sql, user)}

    async def test_a_token_of_the_command_line_counts_as_granted(self) -> None:
        await self.token_admin.create(ANN, "t-cli", "Ann")
        self.assertEqual(await self.users.grant(ANN, "t-1", None), "t-cli")


class _Guest:
    """Listens to channels."""

    def __init__(self) -> None:
        self.ready: Deferred[None] = Deferred()
        self.heard: list[tuple[bytes, bytes]] = []

    def connected(self) -> None:
        self.ready.callback(None)

    def disconnected(self) -> None:
        pass

    def published(self, channel: bytes, content: bytes) -> None:
        self.heard.append((channel, content))


class OnRedis(TestCase):
    """The shared server, emptied for each test."""

    skip = missing("redis-server")

    def setUp(self) -> None:
        self.config = RedisConfig(shared_redis().address)
        self.service = RedisService(self.config, installed_reactor())
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.call = self.service.call

    async def listen(self, *channels: str) -> list[tuple[bytes, bytes]]:
        """What is published from now on."""
        subscriber = _Guest()
        own = RedisService(self.config, installed_reactor(), subscriber=subscriber)
        own.startService()
        self.addCleanup(own.stopService)
        await subscriber.ready
        for channel in channels:
            await own.call("SUBSCRIBE", channel)
        return subscriber.heard

    async def hash(self, key: str) -> dict[bytes, bytes]:
        words = await self.call("HGETALL", key)
        return dict(zip(words[::2], words[1::2], strict=True))


class RedisUsersTests(OnRedis, contracts.UserAdminContract):
    """Under upstream's keys."""

    def setUp(self) -> None:
        super().setUp()
        self.users = RedisUserAdmin(self.service)
        self.tokens, self.token_admin = RedisTokens(self.service), RedisTokenAdmin(self.service)
        self.group_sync_keys = RedisGroupSyncKeys(self.service)

    async def silent(self, user: User) -> set[str]:
        key = f"conversations_donotdisturb_{user.appid}_{user.uid}"
        return {member.decode() for member in await self.call("SMEMBERS", key)}

    async def test_upstream_s_keys_of_a_login(self) -> None:
        await self.users.grant(ANN, "t-1", "Ann")
        self.assertEqual(
            await self.hash("access_token_t-1"),
            {b"user_id": b"1001", b"app_id": b"7", b"user_name": b"Ann"},
        )
        self.assertEqual(
            await self.hash("users_7_1001"), {b"access_token": b"t-1", b"name": b"Ann"}
        )
        self.assertEqual(await self.call("PFCOUNT", "statistics_users_7"), 1)
        turn = "turn/realm/com.beetle.face/user/7_1001/key"
        wanted = md5(b"7_1001:com.beetle.face:t-1").hexdigest().encode()
        self.assertEqual(await self.call("GET", turn), wanted)
        await self.users.revoke_all(ANN)
        self.assertIsNone(await self.call("GET", turn))

    async def test_upstream_s_keys_of_settings(self) -> None:
        await self.users.grant(ANN, "t-1", "Ann")
        await self.users.mute(ANN, False)
        await self.users.forbid(ANN, True)
        await self.users.disturb(ANN, Conversation(1002, 0), False)
        await self.users.disturb(ANN, Conversation(0, 5), False)
        token, user = await self.hash("access_token_t-1"), await self.hash("users_7_1001")
        self.assertEqual((token[b"notification_on"], token[b"forbidden"]), (b"1", b"1"))
        self.assertEqual((user[b"notification_on"], user[b"mute"]), (b"1", b"0"))
        self.assertEqual((user[b"forbidden"], user[b"peer_1002"], user[b"group_5"]), (b"1",) * 3)
        for kind, member in (("peer", b"1002"), ("group", b"5")):
            key = f"users_7_1001_{kind}_do_not_disturb"
            self.assertEqual(await self.call("SMEMBERS", key), [member])

    async def test_a_setting_makes_no_token_of_what_is_none(self) -> None:
        """The one that the user's hash names was deleted, or is another user's."""
        await self.call("HSET", "users_7_1001", "access_token", "t-gone")
        await self.users.forbid(ANN, True)
        self.assertEqual(await self.call("EXISTS", "access_token_t-gone"), 0)
        await self.call("HSET", "access_token_t-bob", "user_id", 1002, "app_id", 7)
        await self.call("HSET", "users_7_1001", "access_token", "t-bob")
        self.assertEqual(await self.users.grant(ANN, "t-new", None), "t-new")

    async def test_what_is_announced(self) -> None:
        heard = await self.listen("speak_forbidden", "sessions_ended")
        await self.users.forbid(ANN, True)
        await self.users.forbid(ANN, False)
        await self.users.sessions_ended(ANN)
        while len(heard) < 3:
            await self.call("PING")
        self.assertEqual(
            heard,
            [
                (b"speak_forbidden", b"7,1001,1"),
                (b"speak_forbidden", b"7,1001,0"),
                (b"sessions_ended", b"7,1001"),
            ],
        )


class AnnouncerTests(OnRedis):
    """Numbers and forms are those of upstream's API server."""

    changes = (
        Change(events.CREATE, 100, 7, False),
        Change(events.MEMBER_ADD, 100, uid=1001),
        Change(events.MEMBER_REMOVE, 100, uid=1001),
        Change(events.UPGRADE, 100, 7, True),
        Change(events.MEMBER_MUTE, 100, uid=1002, muted=True),
        Change(events.DISBAND, 100),
    )

    async def counters(self) -> tuple[bytes, bytes]:
        return await self.call("GET", "groups_actions"), await self.call("GET", "groups_actions_id")

    async def test_published(self) -> None:
        heard = await self.listen(*events.CHANNELS)
        await self.call("SET", "groups_actions", "40:41")
        action = await RedisAnnouncer(self.service, "pubsub").announce(self.changes)
        while len(heard) < len(self.changes):
            await self.call("PING")
        self.assertEqual(
            heard,
            [
                (b"group_create", b"41:42:100,7,0"),
                (b"group_member_add", b"42:43:100,1001"),
                (b"group_member_remove", b"43:44:100,1001"),
                (b"group_upgrade", b"44:45:100,7,1"),
                (b"group_member_mute", b"45:46:100,1002,1"),
                (b"group_disband", b"46:47:100"),
            ],
        )
        self.assertEqual(action, 47)
        self.assertEqual(await self.counters(), (b"46:47", b"47"))
        for channel, content in heard:
            parsed = events.parse_published(channel.decode(), content)
            self.assertEqual(parsed.group_id, 100)

    async def test_entered(self) -> None:
        action = await RedisAnnouncer(self.service, "stream").announce(self.changes)
        entries = await self.call("XRANGE", "group_manager_stream", "-", "+")
        found = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in entries]
        self.assertEqual(
            found[:2],
            [
                {
                    b"name": b"group_create",
                    b"group_id": b"100",
                    b"app_id": b"7",
                    b"super": b"0",
                    b"previous_action_id": b"0",
                    b"action_id": b"1",
                },
                {
                    b"name": b"group_member_add",
                    b"group_id": b"100",
                    b"member_id": b"1001",
                    b"previous_action_id": b"1",
                    b"action_id": b"2",
                },
            ],
        )
        parsed = [events.parse_entered(fields) for fields in found]
        self.assertEqual([one.name for one in parsed], [change.name for change in self.changes])
        self.assertEqual([one.action for one in parsed], [1, 2, 3, 4, 5, 6])
        self.assertTrue(parsed[4].muted)
        self.assertEqual((action, await self.counters()), (6, (b"5:6", b"6")))

    async def test_several_announce_by_turns(self) -> None:
        """No number is given twice, and each knows the one before."""
        one, two = (RedisAnnouncer(self.service, "stream") for _ in range(2))
        calls = [
            Deferred.fromCoroutine((one, two)[i % 2].announce(self.changes)) for i in range(50)
        ]
        await gatherResults(calls)
        entries = await self.call("XRANGE", "group_manager_stream", "-", "+")
        parsed = [events.parse_entered(dict(zip(w[::2], w[1::2], strict=True))) for _, w in entries]
        self.assertEqual([one.action for one in parsed], list(range(1, 301)))
        self.assertEqual([one.previous for one in parsed], list(range(300)))

    async def test_the_members_of_a_large_group(self) -> None:
        """In several scripts."""
        many = [Change(events.MEMBER_ADD, 100, uid=uid) for uid in range(1, 2002)]
        self.assertEqual(await RedisAnnouncer(self.service, "stream").announce(many), 2001)
        self.assertEqual(await self.call("XLEN", "group_manager_stream"), 2001)

    async def test_numbers_beyond_what_doubles_can_hold(self) -> None:
        large = (1 << 62) + 1
        await self.call("SET", "groups_actions", f"{large - 1}:{large}")
        announcer = RedisAnnouncer(self.service, "stream")
        self.assertEqual(await announcer.announce(self.changes[:1]), large + 1)


class SecretsTests(OnMaria):
    """Where the secrets of apps are looked for."""

    async def test_the_configuration_comes_first(self) -> None:
        others = MemorySecrets({7: ["old"], 8: ["eight"]})
        secrets = ConfiguredSecrets(["7:one", "7:two:three"], others)
        self.assertEqual(await secrets.of(7), ["one", "two:three"])
        self.assertEqual(await secrets.of(8), ["eight"])
        self.assertEqual(list(await ConfiguredSecrets(["7:one"]).of(8)), [])

    async def test_the_table(self) -> None:
        self.run_sql("INSERT INTO app (id, name, secret) VALUES (7, 'a', 'sesame'), (8, 'b', NULL)")
        secrets = MysqlSecrets(self.service)
        self.assertEqual(await secrets.of(7), ["sesame"])
        self.assertEqual(list(await secrets.of(8)), [])
        self.assertEqual(list(await secrets.of(9)), [])

    async def test_a_database_without_the_table_knows_no_app(self) -> None:
        self.run_sql("DROP TABLE app")
        self.assertEqual(list(await MysqlSecrets(self.service).of(7)), [])


class SqliteSecretsTests(OnSqlite):
    """In the embedded file."""

    async def test_the_one_that_was_set_last_counts(self) -> None:
        secrets = SqliteSecrets(self.service)
        self.assertEqual(await secrets.of(7), [])
        await secrets.set(7, "demo", "one")
        await secrets.set(7, "demo", "two")
        self.assertEqual(await secrets.of(7), ["two"])

    async def test_an_empty_one_is_none(self) -> None:
        """Somebody may have written the row by hand; nothing lets in."""
        secrets = SqliteSecrets(self.service)
        await secrets.set(7, "demo", "")
        self.assertEqual(await secrets.of(7), [])
