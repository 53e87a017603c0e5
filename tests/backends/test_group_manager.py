"""The whole group manager on a real Redis and MariaDB, to which the app's server writes."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from gobelieve.backends.redis.service import RedisService
from gobelieve.config import ImConfig, RedisConfig
from gobelieve.errors import BackendError
from gobelieve.event_loop.reactor import installed_reactor
from gobelieve.groups import cache
from gobelieve.interfaces import Group
from gobelieve.services.groups.groups import GroupManagerService, add_groups
from gobelieve.services.process.ordered import OrderedService
from tests.app_server import AppServer
from tests.servers import RedisServer, missing, shared_maria, shared_redis

REDIS_TIMEOUT = 0.5


class ManagerContract:
    """What both forms of announcement do."""

    form: str

    def setUp(self: Any) -> None:
        self.redis = shared_redis()
        self.database = f"manager_{self.form}"
        self.app = AppServer(shared_maria(), self.redis, self.form, self.database)
        self.app.begin()
        self.addCleanup(self.app.write, f"DROP DATABASE {self.database}", database=None)

    async def begin(self: Any, check_seconds: float = 0.2) -> None:
        """Start, and wait until changes are followed."""
        config = ImConfig(
            mysqldb_datasource=f"root@tcp(127.0.0.1:{shared_maria().port})/{self.database}",
            group_events=self.form,
            redis=RedisConfig(self.redis.address, timeout=REDIS_TIMEOUT),
        )
        service = OrderedService()
        redis = RedisService(config.redis, installed_reactor())
        service.add("redis", redis)
        groups = add_groups(service, config, redis, installed_reactor(), check_seconds)
        assert groups is not None
        self.groups: GroupManagerService = groups
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: groups.manager.followed)

    async def until(self, true: Any) -> None:
        while not true():
            await deferLater(installed_reactor(), 0.005)

    async def group(self: Any, group_id: int = 5) -> Group:
        found = await self.groups.find(group_id)
        assert found is not None
        group: Group = found
        return group

    def loads(self: Any) -> int:
        return int(self.groups.counters["groups_loaded"])

    async def test_every_change_arrives_without_another_load(self: Any) -> None:
        await self.begin()
        self.assertIsNone(await self.groups.find(5))
        self.app.create(5, 1, 2)
        while await self.groups.find(5) is None:
            await deferLater(installed_reactor(), 0.005)
        group = await self.group()
        self.assertEqual(sorted(group.members), [1, 2])
        self.app.add(5, 3)
        await self.until(lambda: 3 in group)
        self.app.remove(5, 1)
        await self.until(lambda: 1 not in group)
        self.app.mute(5, 2)
        await self.until(lambda: group.muted(2))
        self.app.upgrade(5)
        await self.until(lambda: group.super)
        self.assertIs(self.groups.loaded(5), group)
        self.assertEqual(self.loads(), 1)
        self.app.disband(5)
        await self.until(lambda: self.groups.loaded(5) is None)
        self.assertIsNone(await self.groups.find(5))
        self.assertEqual(self.groups.counters["group_events_gaps"], 0)

    async def test_a_lost_announcement_is_noticed_by_the_check(self: Any) -> None:
        self.app.create(5, 1)
        await self.begin()
        self.assertEqual(list((await self.group()).members), [1])
        self.app.add(5, 2, lost=True)
        await self.until(lambda: self.groups.loaded(5) is None)
        self.assertEqual(sorted((await self.group()).members), [1, 2])
        self.assertEqual(self.groups.counters["group_events_gaps"], 1)

    async def test_a_lost_announcement_is_noticed_by_the_next_one(self: Any) -> None:
        self.app.create(5, 1)
        self.app.create(6, 1)
        await self.begin(check_seconds=100)
        await self.group()
        self.app.add(5, 2, lost=True)
        self.app.add(6, 2)
        await self.until(lambda: self.groups.loaded(5) is None)
        self.assertEqual(sorted((await self.group()).members), [1, 2])

    async def test_a_change_while_redis_was_away_is_repaired(self: Any) -> None:
        self.redis = RedisServer()
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.app = AppServer(shared_maria(), self.redis, self.form, self.database)
        self.app.create(5, 1)
        await self.begin()
        await self.group()
        self.redis.kill()
        await self.until(lambda: not self.groups.manager.followed)
        self.assertIsNotNone(self.groups.loaded(5))
        self.app.write("INSERT INTO group_member (group_id, uid) VALUES (5, 2)")
        self.redis.start()
        await self.until(lambda: self.groups.manager.followed)
        self.assertEqual(sorted((await self.group()).members), [1, 2])

    async def test_while_redis_is_away_groups_are_read_anew(self: Any) -> None:
        self.patch(cache, "STALE_SECONDS", 0.3)
        self.redis = RedisServer()
        self.addCleanup(self.redis.stop)
        self.redis.start()
        self.app = AppServer(shared_maria(), self.redis, self.form, self.database)
        self.app.create(5, 1)
        await self.begin()
        await self.group()
        self.redis.kill()
        await self.until(lambda: not self.groups.manager.followed)
        for uid in (2, 3):
            self.app.write("INSERT INTO group_member (group_id, uid) VALUES (5, %s)", uid)
            await self.until(lambda: self.groups.loaded(5) is None)
            self.assertIn(uid, await self.group())

    async def test_changes_during_a_load_are_in_it(self: Any) -> None:
        await self.begin()
        self.app.create(5, *range(1, 20))
        for uid in range(20, 60):
            self.groups.manager._cache.forget(5)
            asked = Deferred.fromCoroutine(self.groups.find(5))
            await deferLater(installed_reactor(), 0)
            self.app.add(5, uid)
            await asked
        await self.until(lambda: self.groups.counters["group_events"] == 41)
        self.assertEqual(sorted((await self.group()).members), list(range(1, 60)))

    async def test_without_the_database_there_is_an_error_and_not_no_group(self: Any) -> None:
        await self.begin()
        self.app.write(f"DROP DATABASE {self.database}", database=None)
        with self.assertRaises(BackendError):
            await self.groups.find(5)
        self.app.begin()
        self.app.create(5, 1)
        self.assertEqual(list((await self.group()).members), [1])


class StreamManagerTests(ManagerContract, TestCase):
    """With the stream of 2019."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")
    timeout = 60
    form = "stream"


class PubsubManagerTests(ManagerContract, TestCase):
    """With the channels of 2018."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")
    timeout = 60
    form = "pubsub"
