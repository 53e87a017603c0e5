"""Storage is away, frozen, or killed: no message is acked that is not stored."""

from gobelieve.names import AckStatus
from gobelieve.wire import client
from tests.faults.support import (
    PATIENT,
    Bare,
    FaultTestCase,
    Load,
    Traffic,
    bare,
    exchange,
    pong_due,
    pong_in_time,
)
from tests.network.processes import Cluster
from tests.servers import missing, shared_redis
from tests.waits import for_this_machine, together

STORAGE_TIMEOUT = 1.0
KEY = 12345


class StorageAwayTests(FaultTestCase):
    """A gobelieve-ims that is not there, or does not answer."""

    skip = missing("redis-server")

    async def old_and_new(self, cluster: Cluster) -> tuple[Bare, Bare]:
        """Return clients of version 1 and 2, logged in."""
        both = []
        for version in (1, 2):
            one = await bare(cluster.port())
            self.addCleanup(one.hang_up)
            self.assertEqual(await one.log_in(cluster.token(2000 + version), version), 0)
            both.append(one)
        return both[0], both[1]

    async def check_refusals(self, old: Bare, new: Bare) -> None:
        """Check that version 2 gets a status and version 1 no ack, and that each SYNC gets its
        end."""
        for version, one in ((1, old), (2, new)):
            known = len(one.frames)
            message = client.IM(sender=2000 + version, receiver=1, msgid=0, content=b"lost?")
            one.write(message.frame(41, version))
            end = await one.request(client.Sync(sync_key=KEY).frame(42, version), 28)
            self.assertEqual(client.SyncEnd.decode(end.body).sync_key, KEY)
            await one.alive()
            if version == 1:
                self.assertNotIn(client.Ack.number, [f.cmd for f in one.frames[known:]])
            else:
                ack = client.Ack.decode((await one.frame(client.Ack.number, known)).body)
                self.assertEqual(ack, client.Ack(seq=41, status=AckStatus.STORAGE_AWAY))

    async def test_storage_away_at_the_start_and_later(self) -> None:
        """Without storage, clients are served except for messages. Messages work as soon as storage
        is there."""
        cluster = Cluster(shared_redis())
        await self.running(cluster, leave_out=cluster.ims, linked=False)
        old, new = await self.old_and_new(cluster)
        await self.check_refusals(old, new)
        alice, bob = cluster.client(1001), cluster.client(1002)
        for one in (alice, bob):
            self.addCleanup(one.close)
            await one.connect()
        await together([cluster.ims[0].start(), self.storage_found(cluster)])
        traffic = Traffic(alice, bob)
        await traffic.more()
        await traffic.stop()

        await cluster.ims[0].kill()
        await cluster.im[0].logged(r"storage \S+ is gone")
        await self.check_refusals(old, new)
        await pong_in_time(alice, bob)
        await together([cluster.ims[0].restart(), self.storage_found(cluster)])
        await exchange(alice, bob)
        await old.alive()
        await new.alive()

    async def test_storage_is_frozen(self) -> None:
        """After `storage_timeout` messages are refused. PING is answered all the time."""
        cluster = await self.cluster(im={"storage_timeout": for_this_machine(STORAGE_TIMEOUT)})
        alice, bob = cluster.client(1001, timing=PATIENT), cluster.client(1002, timing=PATIENT)
        await self.connected(alice, bob)
        old, new = await self.old_and_new(cluster)
        cluster.ims[0].pause()
        refusals = [self.status_of(alice, pong_due()) for _ in range(20)]
        statuses, *_ = await together([together(refusals), pong_in_time(alice, bob)])
        self.assertEqual(statuses, [AckStatus.STORAGE_AWAY] * 20)
        await self.check_refusals(old, new)
        cluster.ims[0].resume()
        while await self.status_of(alice):
            pass
        traffic = Traffic(alice, bob)
        await traffic.more()
        await traffic.stop()

    async def test_storage_killed_again_and_again_under_load(self) -> None:
        """Every acked message is there, no more often than it was sent, and in order."""
        cluster = await self.cluster()
        senders = [cluster.client(uid, timing=PATIENT) for uid in range(1001, 1007)]
        await self.connected(*senders)
        load = Load(senders, 2000)
        load.start()
        for _ in range(4):
            await load.more(100)
            await cluster.ims[0].restart(kill=True)
        await load.more(100)
        await load.stop()
        self.assertTrue(load.refused)
        received = await self.everything(cluster.port(), 2000, cluster.token(2000))
        load.check(received)
        first = senders[0].uid
        own = await self.everything(cluster.port(), first, cluster.token(first))
        wanted = [content for content in received if content.startswith(b"%d:" % first)]
        self.assertEqual(own, wanted)
