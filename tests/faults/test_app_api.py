"""The app API while Redis or MariaDB stand still: what is not done is said, and ordered again.

And while a gateway is told to stop: what it was ordered is done.
"""

from twisted.internet.defer import Deferred, gatherResults

from tests.network.processes import APPID, Cluster
from tests.network.sites import groups_in_maria
from tests.network.test_app_api import SECRET, LifeCase
from tests.servers import MariaServer, RedisServer, missing, shared_maria, shared_redis

NEW = {"master": 1, "name": "g", "super": False, "members": [1, 2]}


class FaultTests(LifeCase):
    """One gateway on servers of its own."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def site(self, redis: RedisServer, maria: MariaServer | None = None) -> Cluster:
        """Started, with its port known."""
        source = groups_in_maria("app_faults", maria)
        values = {"mysqldb_datasource": source, "app_secrets": [f"{APPID}:{SECRET}"]}
        cluster = Cluster(redis, im=values)
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.connected()
        self.port, self.clients = cluster.http_port(), [cluster.port()]
        return cluster

    async def test_redis_stands_still(self) -> None:
        """The change is written, and the answer says that it was not announced."""
        redis = RedisServer()
        redis.start()
        self.addCleanup(redis.stop)
        await self.site(redis)
        cat = await self.come(3)
        group = (await self.order("POST", "/groups", NEW))["group_id"]
        members = f"/groups/{group}/members"
        redis.freeze()
        code, said = await self.ask("POST", members, [3], "")
        self.assertEqual(code, 503)
        self.assertIn(b"did not answer", said)
        redis.thaw()
        await self.told("add_member", cat)
        await self.order("POST", members, [3])
        await self.told("add_member", cat)
        await cat.send_group(group, b"here I am")

    async def test_the_database_stands_still(self) -> None:
        """Nothing is done, and soon said; then all goes on."""
        maria = MariaServer()
        maria.start()
        self.addCleanup(maria.stop)
        await self.site(shared_redis(), maria)
        group = (await self.order("POST", "/groups", NEW))["group_id"]
        maria.freeze()
        code, said = await self.ask("POST", f"/groups/{group}/members", [3], "")
        self.assertEqual(code, 503)
        self.assertNotIn(b"MySQL", said)
        maria.thaw()
        await self.order("POST", f"/groups/{group}/members", [3])
        shown = await self.order("GET", f"/groups/{group}")
        self.assertEqual([one["uid"] for one in shown["members"]], [1, 2, 3])

    async def test_a_gateway_that_stops_does_what_it_was_ordered(self) -> None:
        """Whatever was answered by 200 is there, and what was written was announced."""
        shared_maria()
        cluster = await self.site(shared_redis())
        group = (await self.order("POST", "/groups", NEW))["group_id"]
        added: list[int] = []

        async def add(uid: int) -> None:
            try:
                code, _ = await self.ask("POST", f"/groups/{group}/members", [uid], "")
            except Exception:
                return  # it listens no more
            if code == 200:
                added.append(uid)

        adding = [Deferred.fromCoroutine(add(uid)) for uid in range(3, 60)]
        while len(added) < 5:
            await self.order("GET", f"/groups/{group}")
        await cluster.im[0].stop()
        await gatherResults(adding)
        with shared_maria().connect(database="app_faults") as db, db.cursor() as rows:
            rows.execute("SELECT uid FROM group_member WHERE group_id = %s", (group,))
            written = {uid for (uid,) in rows.fetchall()}
        said = cluster.redis.tell("XLEN", "group_manager_stream")
        # The group itself, each of its first members, and everybody who was added.
        self.assertEqual(said, f":{1 + len(written)}\r\n")
        self.assertLessEqual(set(added), written)
