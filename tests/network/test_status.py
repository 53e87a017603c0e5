"""The status pages of running daemons, read as Prometheus does."""

from typing import Any

import treq
from prometheus_client import parser
from twisted.web.client import Agent, HTTPConnectionPool

from gobelieve.wire.client import IM
from gobelieve.wire.storage import USERS, Fetch, Save, pack_save, unpack_saved
from tests.faults.support import Bare, FaultTestCase, bare
from tests.network.processes import APPID, AllInOne, Daemon, Daemons, sample, settings
from tests.ports import free_port

BOB = 1002


class Storages(Daemons):
    """A master that has older clients, and its slave, each with status pages."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = free_port()
        self.clients = free_port()
        self.master = self._add(
            {"sync_listen": f"127.0.0.1:{self.sync}", "listen": f"127.0.0.1:{self.clients}"}
        )
        self.slave = self._add({"master_address": f"127.0.0.1:{self.sync}"})

    def _add(self, own: dict[str, Any]) -> Daemon:
        rpc, http = free_port(), free_port()
        daemon = Daemon("gobelieve-ims", listens=[rpc, http])
        shared = {
            "rpc_listen": f"127.0.0.1:{rpc}",
            "http_listen_address": f"127.0.0.1:{http}",
            "storage_root": daemon.folder / "storage",
        }
        daemon.arguments = [*sample("ims"), *settings({**shared, **own})]
        self.daemons.append(daemon)
        return daemon


class Scraped:
    """A page of metrics."""

    def __init__(self, text: str) -> None:
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        return self.samples[f"gobelieve_{name}", tuple(sorted(labels.items()))]

    def labels(self, name: str) -> list[dict[str, str]]:
        """Return the labels of a metric."""
        return [dict(pairs) for found, pairs in self.samples if found == f"gobelieve_{name}"]


class StatusTests(FaultTestCase):
    """Status pages of real daemons."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        agent = Agent(clock, pool=HTTPConnectionPool(clock, persistent=False))
        self.web = treq.client.HTTPClient(agent)

    async def page(self, port: int, path: str) -> Any:
        """Return a page of JSON."""
        return await (await self.web.get(f"http://127.0.0.1:{port}{path}")).json()

    async def scrape(self, port: int) -> Scraped:
        """Return the metrics of a daemon."""
        answer = await self.web.get(f"http://127.0.0.1:{port}/metrics")
        self.assertEqual(answer.code, 200)
        (kind,) = answer.headers.getRawHeaders("content-type")
        self.assertEqual(kind.partition(";")[0], "text/plain")
        return Scraped(await answer.text())

    async def save(self, asker: Bare, count: int) -> None:
        """Save messages for Bob."""
        for number in range(count):
            message = IM(sender=1001, receiver=BOB, timestamp=1, msgid=0, content=b"hello")
            item = pack_save(1, IM.number, USERS, (APPID, BOB), message.encode())
            answer = await asker.request(Save(items=item).frame(number), 231)
            self.assertEqual(unpack_saved(answer.body, 0, 1)[0], 0)

    async def test_a_master_and_its_slave(self) -> None:
        """Master and slave report the same content. The master reports the slave until it is
        gone."""
        storages = Storages()
        await self.running(storages)
        rpc, http = storages.master.listens
        await storages.master.logged("slave 127.0.0.1:.* came")
        asker = await bare(rpc)
        await self.save(asker, 20)
        await asker.request(Fetch(appid=APPID, uid=BOB, after=0, limit=0).frame(99), 235)

        master = await self.scrape(http)
        self.assertEqual(master.value("storage_saves_total", outcome="stored"), 20)
        self.assertEqual(master.value("storage_appends_total", queue="user"), 20)
        self.assertEqual(master.value("storage_commit_messages_sum"), 20)
        self.assertEqual(master.value("storage_sync_seconds_count"), 20)
        self.assertTrue(0 < master.value("storage_sync_seconds_sum") < 60)
        labels = {"port": "rpc", "outcome": "done"}
        self.assertEqual(master.value("storage_requests_total", command="save", **labels), 20)
        self.assertEqual(master.value("storage_requests_total", command="fetch", **labels), 1)
        self.assertEqual(master.value("storage_read_messages_total"), 20)
        self.assertEqual(master.value("storage_queues", queue="user"), 1)
        self.assertEqual(master.value("storage_connections", port="rpc"), 1)
        self.assertEqual(master.value("storage_connections", port="clients"), 0)
        self.assertEqual(master.value("storage_is_slave"), 0)
        self.assertEqual(master.value("storage_ready"), 1)
        self.assertEqual(master.value("storage_slaves"), 1)
        end = master.value("storage_end_id")
        self.assertEqual(end - 32, master.value("storage_written_bytes_total"))

        await self.no_lag(http)
        slave = await self.scrape(storages.slave.listens[1])
        self.assertEqual(slave.value("storage_end_id"), end)
        self.assertEqual(slave.value("storage_queues", queue="user"), 1)
        self.assertEqual(slave.value("storage_is_slave"), 1)
        address = f"127.0.0.1:{storages.sync}"
        self.assertEqual(slave.value("storage_master_connected", master=address), 1)
        self.assertEqual(slave.value("storage_master_unsynced_bytes", master=address), 0)
        self.assertGreater(slave.value("storage_pieces_total"), 0)

        storages.slave.pause()
        await self.save(asker, 5)
        (labels,) = master.labels("storage_slave_lag_bytes")
        behind = await self.scrape(http)
        self.assertGreater(behind.value("storage_slave_lag_bytes", **labels), 0)
        self.assertGreater(behind.value("storage_slave_lag_seconds", **labels), 0)
        storages.slave.resume()
        await self.no_lag(http)

        await storages.slave.stop()
        await storages.master.logged("slave 127.0.0.1:.* left")
        alone = await self.scrape(http)
        self.assertEqual(alone.value("storage_slaves"), 0)
        self.assertEqual(alone.labels("storage_slave_lag_bytes"), [])
        asker.hang_up()

    async def no_lag(self, port: int) -> None:
        """Wait until the slave of a master has everything."""
        lags: list[float] = []

        async def look() -> None:
            page = await self.scrape(port)
            (labels,) = page.labels("storage_slave_lag_bytes")
            lags.append(page.value("storage_slave_lag_bytes", **labels))

        for _ in range(1000):
            await look()
            if lags[-1] == 0:
                return
        self.fail(f"the slave stays behind: {lags[-5:]}")

    async def test_pages_of_storage(self) -> None:
        """Storage reports that it is ready, and figures with the Go server's names."""
        storages = Storages()
        await self.running(storages)
        rpc, http = storages.master.listens
        asker = await bare(rpc)
        await self.save(asker, 3)
        self.assertEqual(await self.page(http, "/health"), {"status": "ok"})
        self.assertEqual(await self.page(http, "/ready"), {"status": "ready"})
        summary = await self.page(http, "/summary")
        names = ("request_count", "peer_message_count", "group_message_count", "stored")
        self.assertEqual([summary[name] for name in names], [3, 3, 0, 3])
        self.assertEqual((summary["role"], summary["connections"]["rpc"]), ("master", 1))
        asker.hang_up()

    async def test_all_in_one(self) -> None:
        """The all-in-one daemon has one page for all its parts."""
        server = AllInOne()
        await self.running(server)
        alice = await server.client(1001)
        bob = await server.client(BOB)
        await self.connected(alice, bob)
        await alice.send(BOB, "x")
        await bob.receive()
        page = await self.scrape(server.http_port)
        self.assertEqual(page.value("gateway_clients"), 2)
        self.assertEqual(page.value("gateway_messages_total", outcome="stored"), 1)
        self.assertEqual(page.value("storage_saves_total", outcome="stored"), 1)
        self.assertEqual(page.value("storage_queues", queue="user"), 2)
        self.assertEqual(page.value("router_gateways"), 0)
        self.assertGreater(page.samples["process_resident_memory_bytes", ()], 1 << 20)
        self.assertEqual(await self.page(server.http_port, "/ready"), {"status": "ready"})
