"""Redis is away, frozen, or killed: connected clients notice nothing, and others log in later."""

from gobelieve.wire import client
from tests.faults.support import PATIENT, FaultTestCase, bare, exchange, pong_due, pong_in_time
from tests.network.processes import APPID, make_client
from tests.servers import RedisServer, missing
from tests.waits import for_this_machine, until, within

REDIS_TIMEOUT = 0.5


class TokenTests(FaultTestCase):
    """Logins with an unknown token."""

    skip = missing("redis-server")

    async def test_three_unknown_tokens_and_the_connection_is_closed(self) -> None:
        """Each unknown token gets status 1. After the third the connection is closed. Other clients
        notice nothing."""
        cluster = await self.cluster()
        traffic = await self.traffic(cluster.client(1001), cluster.client(1002))
        guest = await bare(cluster.port())
        for token in ("unknown", "", "\0\r\n" * 40):
            self.assertEqual(await guest.log_in(token), 1)
        await guest.closed()

        late = await bare(cluster.port())
        self.addCleanup(late.hang_up)
        self.assertEqual(await late.log_in("unknown"), 1)
        self.assertEqual(await late.log_in(cluster.token(1003)), 0)
        late.write(client.AuthToken(platform=2, token=b"unknown", device_id=b"").frame(5))
        await late.alive()
        await traffic.more()
        await traffic.stop()


class RedisAwayTests(FaultTestCase):
    """A cluster with its own Redis."""

    skip = missing("redis-server")

    def log_in_later(self, redis: RedisServer, token: str, uid: int) -> None:
        """Write a token into a Redis that has lost it."""
        redis.run("HSET", f"access_token_{token}", "user_id", str(uid), "app_id", str(APPID))

    async def turned_away(self, port: int, token: str) -> None:
        """Check that a login is neither accepted nor refused: the connection is closed."""
        guest = await bare(port)
        guest.write(client.AuthToken(platform=2, token=token.encode(), device_id=b"x").frame(1))
        await guest.closed()
        self.assertEqual(guest.frames, [])

    async def test_clients_log_in_by_themselves_when_redis_is_back(self) -> None:
        """Clients that log in without Redis are not told that their token is bad. They try
        again."""
        redis = self.own_redis()
        cluster = await self.cluster(redis, im={"redis.timeout": for_this_machine(REDIS_TIMEOUT)})
        tokens = {uid: cluster.token(uid) for uid in (1001, 1002)}
        alice, bob = (make_client(cluster.port(), u, t, {}) for u, t in tokens.items())
        await self.connected(alice, bob)
        redis.kill()
        await cluster.im[0].restart()
        await self.turned_away(cluster.port(), tokens[1001])
        redis.start()
        for uid, token in tokens.items():
            self.log_in_later(redis, token, uid)
        await exchange(alice, bob)

    async def test_redis_is_frozen(self) -> None:
        """While Redis is frozen, logins are closed in time, and connected clients notice
        nothing."""
        redis = self.own_redis()
        cluster = await self.cluster(redis, im={"redis.timeout": for_this_machine(REDIS_TIMEOUT)})
        alice, bob = cluster.client(1001, timing=PATIENT), cluster.client(1002, timing=PATIENT)
        traffic = await self.traffic(alice, bob)
        token = cluster.token(1003)
        redis.freeze()
        await within(pong_due(), self.turned_away(cluster.port(), token), "an end of the login")
        await traffic.more()
        await traffic.stop()
        await pong_in_time(alice, bob)
        self.assertEqual(await alice.sync_to_end(), alice.key)
        redis.thaw()
        await until(lambda: cluster.im[0].log.count("is connected") > 3, "Redis is found again")
        (late,) = await self.connected(cluster.client(1003))
        await exchange(alice, late)

    async def test_redis_killed_and_started_again_under_traffic(self) -> None:
        """No message is lost, PING is answered, and pushes are in their list afterwards."""
        redis = self.own_redis()
        cluster = await self.cluster(redis, gateways=2)
        alice, bob = cluster.client(1001), cluster.client(1002, gateway=1)
        traffic = await self.traffic(alice, bob)
        (carol,) = await self.connected(cluster.client(1003))
        for _ in range(2):
            redis.kill()
            await traffic.more(20)
            await within(pong_due(), carol.send(1004, '{"text": "to somebody away"}'), "an ack")
            await pong_in_time(alice, bob, carol)
            redis.start()
            await until(
                lambda: redis.run("LLEN", "push_queue") == ":1\r\n", "the push is in its list"
            )
            await traffic.more(20)
            await pong_in_time(alice, bob, carol)
        await traffic.stop()
        self.assertLess(traffic.slowest, pong_due())
        (late,) = await self.connected(cluster.client(1005))
        await exchange(late, carol)


class DeviceTests(FaultTestCase):
    """The device id in a login."""

    skip = missing("redis-server")

    async def test_a_device_id_of_any_bytes(self) -> None:
        """A device id may have any bytes. It need not be text."""
        cluster = await self.cluster()
        for device_id in (b"\xff\xfe\x00", b"\r\n$5\r\n", b"\xed\xa0\x80", b"d" * 255):
            guest = await bare(cluster.port())
            self.addCleanup(guest.hang_up)
            token = cluster.token(1001).encode()
            asked = client.AuthToken(platform=2, token=token, device_id=device_id)
            answer = await guest.request(asked.frame(1), client.AuthStatus.number)
            self.assertEqual(client.AuthStatus.decode(answer.body).status, 0)
