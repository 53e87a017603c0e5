"""The app API while Redis or MariaDB are frozen, and while a gateway stops.

A request that was not done gets an error, and may be repeated. A gateway that stops finishes the
requests that it accepted.
"""

from twisted.internet.defer import Deferred, gatherResults

from tests.network.processes import APPID, Cluster
from tests.network.sites import groups_in_maria
from tests.network.test_app_api import SECRET, LifeCase
from tests.servers import MariaServer, RedisServer, missing, shared_maria, shared_redis

NEW = {"master": 1, "name": "g", "super": False, "members": [1, 2]}


class FaultTests(LifeCase):
    """One gateway with its own Redis or MariaDB."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def site(self, redis: RedisServer, maria: MariaServer | None = None) -> Cluster:
        """Start the daemons of the site."""
        source = groups_in_maria("app_faults", maria)
        values = {"mysqldb_datasource": source, "app_secrets": [f"{APPID}:{SECRET}"]}
        cluster = Cluster(redis, im=values)
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.connected()
        self.port, self.clients = cluster.http_port(), [cluster.port()]
        return cluster

    async def test_redis_is_frozen(self) -> None:
        """While Redis is frozen, the change is written. The answer says that it was not
        announced."""
        redis = RedisServer()
        redis.start()
        self.addCleanup(redis.stop)
        await self.site(redis)
        cat = await self.log_in(3)
        group = (await self.request("POST", "/groups", NEW))["group_id"]
        members = f"/groups/{group}/members"
        redis.freeze()
        code, answer = await self.raw_request("POST", members, [3], "")
        self.assertEqual(code, 503)
        self.assertIn(b"did not answer", answer)
        redis.thaw()
        await self.notified("add_member", cat)
        await self.request("POST", members, [3])
        await self.notified("add_member", cat)
        await cat.send_group(group, b"here I am")

    async def test_the_database_is_frozen(self) -> None:
        """While the database is frozen, a request soon gets an error. Later all requests work."""
        maria = MariaServer()
        maria.start()
        self.addCleanup(maria.stop)
        await self.site(shared_redis(), maria)
        group = (await self.request("POST", "/groups", NEW))["group_id"]
        maria.freeze()
        code, answer = await self.raw_request("POST", f"/groups/{group}/members", [3], "")
        self.assertEqual(code, 503)
        self.assertNotIn(b"MySQL", answer)
        maria.thaw()
        await self.request("POST", f"/groups/{group}/members", [3])
        shown = await self.request("GET", f"/groups/{group}")
        self.assertEqual([one["uid"] for one in shown["members"]], [1, 2, 3])

    async def test_a_gateway_that_stops_finishes_its_requests(self) -> None:
        """A gateway that stops has written every change that it answered with 200, and announced
        every change that it wrote."""
        shared_maria()
        cluster = await self.site(shared_redis())
        group = (await self.request("POST", "/groups", NEW))["group_id"]
        added: list[int] = []

        async def add(uid: int) -> None:
            try:
                code, _ = await self.raw_request("POST", f"/groups/{group}/members", [uid], "")
            except Exception:
                return  # the gateway does not listen any more
            if code == 200:
                added.append(uid)

        adding = [Deferred.fromCoroutine(add(uid)) for uid in range(3, 60)]
        while len(added) < 5:
            await self.request("GET", f"/groups/{group}")
        await cluster.im[0].stop()
        await gatherResults(adding)
        with shared_maria().connect(database="app_faults") as db, db.cursor() as rows:
            rows.execute("SELECT uid FROM group_member WHERE group_id = %s", (group,))
            written = {uid for (uid,) in rows.fetchall()}
        answer = cluster.redis.run("XLEN", "group_manager_stream")
        # One entry for the group, and one for each member.
        self.assertEqual(answer, f":{1 + len(written)}\r\n")
        self.assertLessEqual(set(added), written)
