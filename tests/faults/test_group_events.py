"""Groups that change while a router runs, in both formats, while Redis and MariaDB end and start.

The tests look from outside: which members get a phone push of a message to a super group.
"""

import json
import re
from struct import pack
from typing import Any

from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import GroupIM
from gobelieve.wire.publication import Publication
from tests.app_server import AppServer
from tests.faults.support import Bare, FaultTestCase, bare, summary
from tests.network.processes import Cluster
from tests.ports import free_port
from tests.servers import MariaServer, missing, shared_maria
from tests.waits import DEADLINE, for_this_machine, until, within

GROUP = 5
STOPS_IN = 8.0


class GroupEventsContract:
    """User 1 sends messages to a super group. No user is online."""

    form: str

    async def begin(self: Any, *, maria: MariaServer | None = None, down: bool = False) -> None:
        """Start a router with its own groups and Redis. A raw link stands for a gateway.

        With `down`, the database and Redis are not started yet.
        """
        self.maria = maria or shared_maria()
        self.redis = self.own_redis()
        database = f"events_{self.form}"
        self.app = AppServer(self.maria, self.redis, self.form, database)
        if down:
            self.redis.kill()
            self.maria.kill()
        else:
            self.make_group()
        self.http = free_port()
        settings = {
            "mysqldb_datasource": f"root@tcp(127.0.0.1:{self.maria.port})/{database}",
            "group_events": self.form,
            "http_listen_address": f"127.0.0.1:{self.http}",
            "redis.timeout": for_this_machine(0.5),
        }
        cluster = Cluster(self.redis, gateways=0, imr=settings)
        self.router = cluster.imr[0]
        await self.running(cluster, leave_out=cluster.ims, linked=False)
        self.link: Bare = await bare(self.router.listens[0])
        self.addCleanup(self.link.hang_up)

    def make_group(self: Any) -> None:
        """Make the group in empty tables."""
        self.app.begin()
        self.app.create(GROUP, 1, 2, 3)
        self.app.upgrade(GROUP)

    def own_maria(self: Any) -> MariaServer:
        """Return a MariaDB of this test, which the test may kill."""
        maria = MariaServer()
        self.addCleanup(maria.stop)
        maria.start()
        return maria

    async def apply(self: Any, cmd: int, body: bytes) -> None:
        """Send a frame to the router, and wait until it is in effect."""
        frames = encode_frame(cmd, body, 1, 1) + encode_frame(route.MARK, b"", 2, 1)
        await self.link.request(frames, route.MARKED)

    async def publish(self: Any) -> None:
        """Publish a message to the group."""
        message = GroupIM(sender=1, receiver=GROUP, msgid=0, content=b"x").frame(version=1)
        body = Publication(7, GROUP, 0, 0, 1, message).body(1)
        await self.apply(route.PUBLISH_GROUP, body)

    async def pushed(self: Any) -> list[int]:
        """Publish a message, and return the members that get a push of it."""
        self.redis.run("DEL", "group_push_queue")
        await self.publish()
        items: list[Any] = []

        def there() -> bool:
            queue = self.redis.run("LRANGE", "group_push_queue", "0", "-1")
            items[:] = [json.loads(item) for item in re.findall(r"^\{.*\}", queue, re.M)]
            return bool(items)

        await until(there, "a push")
        return sorted(items[0]["receivers"])

    async def groups(self: Any) -> Any:
        """Return what the router's status page says of its groups."""
        return (await summary(self.http))["groups"]

    async def until_pushed(self: Any, members: list[int]) -> None:
        """Wait until a message is pushed to these members."""

        async def run() -> None:
            while await self.pushed() != members:
                pass

        await within(DEADLINE, run(), f"pushes for {members}")

    async def until_followed(self: Any, followed: bool) -> None:
        """Wait until the status page says that the router follows changes, or does not."""

        async def run() -> None:
            while (await self.groups())["followed"] is not followed:
                pass

        await within(DEADLINE, run(), f"followed: {followed}")

    async def test_new_and_former_members(self: Any) -> None:
        """The router learns of new and former members by events. It loads the group once."""
        await self.begin()
        await self.until_followed(True)
        self.assertEqual(await self.pushed(), [2, 3])
        self.app.add(GROUP, 4)
        await self.until_pushed([2, 3, 4])
        self.app.remove(GROUP, 2)
        await self.until_pushed([3, 4])
        self.assertEqual((await self.groups())["counts"]["groups_loaded"], 1)
        self.assertNotIn("group_events_gaps", (await self.groups())["counts"])

    async def test_redis_is_killed_and_a_change_is_missed(self: Any) -> None:
        """When Redis is back, the router notices the change that it missed."""
        await self.begin()
        await self.until_followed(True)
        self.assertEqual(await self.pushed(), [2, 3])
        self.redis.kill()
        await self.until_followed(False)
        self.app.write("INSERT INTO group_member (group_id, uid) VALUES (%s, 4)", GROUP)
        self.redis.start()
        await self.until_followed(True)
        self.assertEqual(await self.pushed(), [2, 3, 4])
        self.assertEqual((await self.groups())["counts"]["group_events_gaps"], 1)
        self.app.action = 0
        self.app.add(GROUP, 5)
        await self.until_pushed([2, 3, 4, 5])

    async def test_database_and_redis_come_later_than_the_router(self: Any) -> None:
        """The router starts without database and Redis, and finds them later."""
        await self.begin(maria=self.own_maria(), down=True)
        self.assertEqual((await self.groups())["followed"], False)
        self.redis.start()
        await self.until_followed(True)
        self.maria.start()
        self.make_group()
        self.assertEqual(await self.pushed(), [2, 3])

    async def test_the_router_stops_while_the_database_is_frozen(self: Any) -> None:
        """While the database is frozen, the rest works, and the router stops in order and in
        time."""
        await self.begin(maria=self.own_maria())
        self.maria.freeze()
        await self.publish()
        await self.apply(route.SUBSCRIBE, pack(">qqb", 7, 2, 1))
        await within(for_this_machine(STOPS_IN), self.router.stop(), "the end of the router")


class StreamTests(GroupEventsContract, FaultTestCase):
    """The stream of 2019."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")
    form = "stream"


class PubsubTests(GroupEventsContract, FaultTestCase):
    """The channels of 2018."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")
    form = "pubsub"
