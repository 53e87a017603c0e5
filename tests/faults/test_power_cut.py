"""The whole server is killed again and again: acked messages are there, once and in order."""

import re

from gobelieve.storage.format.records import HEAD
from tests.faults.support import PATIENT, FaultTestCase, Load, exchange
from tests.network.processes import AllInOne

ROUNDS = 10
ALICE, BOB, CAROL = 1001, 1002, 2000


class PowerCutTests(FaultTestCase):
    """The all-in-one daemon, on files that stay as SIGKILL leaves them."""

    async def server(self) -> AllInOne:
        """Return a server that is running."""
        server = AllInOne()
        await self.running(server)
        return server

    async def test_killed_in_the_middle_of_a_burst_ten_times(self) -> None:
        """Clients reconnect, and send again only messages without an ack."""
        server = await self.server()
        senders = [await server.client(uid, timing=PATIENT) for uid in (ALICE, BOB)]
        await self.connected(*senders)
        load = Load(senders, CAROL, window=40)
        load.start()
        for number in range(ROUNDS):
            await load.more(1 if number % 2 else 200)
            await server.daemon.kill()
            load.interrupted()
            await server.daemon.restart(kill=True)
        await load.more(100)
        await load.stop()
        load.check(await self.everything(server.port, CAROL, await server.token(CAROL)))

    async def test_killed_right_after_an_ack_again_and_again(self) -> None:
        """A message that was acked is stored once, and no client sends it again."""
        server = await self.server()
        alice = await server.client(ALICE, timing=PATIENT)
        await self.connected(alice)
        sent = []
        for number in range(ROUNDS // 2):
            sent.append(b"acked %d" % number)
            await alice.send(CAROL, sent[-1])
            await server.daemon.restart(kill=True)
        self.assertEqual(await self.everything(server.port, CAROL, await server.token(CAROL)), sent)
        self.assertEqual(await self.everything(server.port, ALICE, await server.token(ALICE)), sent)

    async def test_a_write_torn_by_the_power_cut(self) -> None:
        """A torn write is cut off, kept in its own file, and logged. All other messages are
        there."""
        server = await self.server()
        alice, bob = await server.client(ALICE), await server.client(BOB)
        await self.connected(alice, bob)
        sent = [b"before %d" % number for number in range(20)]
        for content in sent:
            await alice.send(CAROL, content)
        await server.daemon.kill()
        torn = HEAD.pack(b"IMIM", 5000, 0, 4, 2, 0, 1) + b"the first part of a body"
        block = server.data / "storage" / "message_0"
        end = block.stat().st_size
        with block.open("ab") as file:
            file.write(torn)
        await server.daemon.restart(kill=True)
        logged = re.search(r"a torn write of (\d+) bytes .* kept in (\S+)", server.daemon.log)
        assert logged is not None, server.daemon.log
        self.assertEqual(int(logged[1]), len(torn))
        aside = block.with_name(f"torn_0_{end}")
        self.assertEqual(aside.read_bytes(), torn)
        await exchange(alice, bob)
        await alice.send(CAROL, b"after")
        received = await self.everything(server.port, CAROL, await server.token(CAROL))
        self.assertEqual(received, [*sent, b"after"])
