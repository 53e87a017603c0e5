"""The status of storage with all its parts."""

from typing import Any, Never

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from gobelieve.errors import StorageError
from gobelieve.names import AckStatus
from gobelieve.protocols.http.status.metrics import MetricsPage, registry_of
from gobelieve.protocols.storage.legacy_listener import StorageClientFactory
from gobelieve.protocols.storage.listener import StorageFactory
from gobelieve.services.status.storage import StorageParts, StorageStatus, command_name
from gobelieve.storage.format.records import BODY_LIMIT
from gobelieve.wire.frames import encode_frame
from gobelieve.wire.message import MESSAGES
from gobelieve.wire.older.storage_clients import GetOfflineCount, LoadLatest
from gobelieve.wire.storage import (
    SUPER_GROUPS,
    USERS,
    Fetch,
    FetchGroup,
    Save,
    StoragePing,
    pack_save,
)
from tests.fakes.world import world
from tests.protocols.http.status.test_metrics import samples_of
from tests.protocols.replication.test_replication import DELAY, ReplicationCase, Site


class Unwalked(dict[int, int]):
    """A table of queues that fails the test if it is iterated."""

    def __iter__(self) -> Never:
        raise AssertionError("walked")

    keys = values = items = __iter__


class StatusTests(ReplicationCase):
    """The status of a master with gateways, older clients and a slave, and of that slave."""

    def setUp(self) -> None:
        super().setUp()
        self.ports: dict[str, StorageFactory] = {}
        for name, kind in (("rpc", StorageFactory), ("clients", StorageClientFactory)):
            storage: Any = self.master.storage
            its_world = world(time=self.clock, turn=self.master.turn, log=self.master.log)
            self.ports[name] = kind(storage, world=its_world)
        self.status = self.status_of(self.master, self.ports)

    def status_of(
        self, site: Site, ports: dict[str, StorageFactory] | None = None
    ) -> StorageStatus:
        """Return the status of a storage; a slave has a link to its master."""
        link = site.link if site.slave else None
        return StorageStatus(StorageParts(site.storage, ports or {}, site.slaves, link), self.clock)

    def samples(self, status: StorageStatus | None = None) -> dict[Any, float]:
        """Return the present values of the metrics page."""
        page = MetricsPage(registry_of([status or self.status]))
        return samples_of(page.render(DummyRequest([b"metrics"])).decode())

    def value(self, name: str, status: StorageStatus | None = None, **labels: str) -> float | None:
        """Return one value of the page; None if it is not there."""
        key = f"gobelieve_storage_{name}", tuple(sorted(labels.items()))
        return self.samples(status).get(key)

    def ask(self, port: str, *frames: bytes) -> Any:
        """Connect to a port and send frames."""
        asker = self.ports[port].buildProtocol(None)
        asker.makeConnection(StringTransport())
        asker.dataReceived(b"".join(frames))
        self.master.settle()
        return asker

    def requests(self, port: str) -> dict[tuple[str, str], float]:
        """Return the numbers of a port's requests by command and outcome."""
        return {
            (labels["command"], labels["outcome"]): value
            for (name, pairs), value in self.samples().items()
            if name == "gobelieve_storage_requests_total"
            and (labels := dict(pairs))["port"] == port
        }

    def test_saves_and_reads(self) -> None:
        """Saves and reads are counted by outcome."""
        long = b"x" * (BODY_LIMIT + 1)
        self.ask(
            "rpc",
            Save(items=pack_save(1, 4, USERS, (7, 101, 7, 102), b"hello")).frame(1),
            Save(items=pack_save(1, 8, SUPER_GROUPS, (7, 500), b"hello")).frame(2),
            Save(items=pack_save(1, 4, USERS, (7, 101), long)).frame(3),
            StoragePing().frame(4),
        )
        asker = self.ask(
            "rpc",
            Fetch(appid=7, uid=101, after=0, limit=0).frame(5),
            FetchGroup(appid=7, group_id=500, after=0, joined=0, limit=0).frame(6),
        )
        self.assertEqual(
            self.requests("rpc"),
            {
                ("save", "done"): 2,
                ("save", "failed"): 1,
                ("storage_ping", "done"): 1,
                ("fetch", "done"): 1,
                ("fetch_group", "done"): 1,
            },
        )
        self.assertEqual(self.value("saves_total", outcome="stored"), 2)
        self.assertEqual(self.value("saves_total", outcome="too_large"), 1)
        self.assertEqual(self.value("appends_total", queue="user"), 1)
        self.assertEqual(self.value("appends_total", queue="group"), 1)
        self.assertEqual(self.value("queues", queue="user"), 2)
        self.assertEqual(self.value("queues", queue="group"), 1)
        self.assertEqual(self.value("reads_total"), 2)
        self.assertEqual(self.value("read_messages_total"), 2)
        self.assertEqual(self.value("commit_messages_count"), 1)
        self.assertEqual(self.value("commit_messages_sum"), 2)
        self.assertEqual(self.value("sync_seconds_count"), 1)
        self.assertEqual(self.value("blocks"), 1)
        self.assertEqual(self.value("open_files", use="writing"), 1)
        written = self.value("written_bytes_total")
        self.assertEqual(self.value("end_id"), 32 + (written or 0))
        self.assertEqual(self.value("unsettled_bytes"), 0)
        self.assertEqual(self.value("connections", port="rpc"), 2)
        asker.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.value("connections", port="rpc"), 1)
        summary = self.status.summary()
        names = ("request_count", "peer_message_count", "group_message_count")
        self.assertEqual([summary[name] for name in names], [5, 1, 1])

    def test_reads_that_fail(self) -> None:
        """Reads that fail are counted apart from those that succeed."""

        def fetch(*arguments: object) -> None:
            raise StorageError(AckStatus.STORAGE_FAILED, "the disk is gone")

        self.patch(self.master.storage, "fetch", fetch)
        self.ask("rpc", Fetch(appid=7, uid=101, after=0, limit=0).frame(1))
        self.assertEqual(self.requests("rpc"), {("fetch", "failed"): 1})
        self.assertEqual(self.value("reads_total"), 0)

    def test_older_clients(self) -> None:
        """Older clients are counted at their own port; unknown commands share one name."""
        self.ask(
            "clients",
            LoadLatest(appid=7, uid=101, limit=5).frame(1),
            GetOfflineCount(appid=7, uid=101, device_id=1).frame(2),
            encode_frame(77, b"", 3),
            encode_frame(78, b"", 4),
        )
        expected = {
            ("load_latest", "done"): 1,
            ("get_offline_count", "refused"): 1,
            ("unknown", "refused"): 2,
        }
        self.assertEqual(self.requests("clients"), expected)
        self.assertEqual(self.requests("rpc"), {})

    def test_a_slave_from_its_masters_side(self) -> None:
        """A master shows the lag of a slave while it is connected."""
        self.assertEqual(self.value("slaves"), 0)
        pump = self.connect()
        self.assertEqual(self.value("slaves"), 1)
        (slave,) = self.master.slaves.slaves
        self.assertEqual(self.value("slave_lag_bytes", slave=slave.address), 0)
        self.slave.stuck = True
        self.master.save(3)
        self.run_all(pump)
        end = self.value("end_id") or 0
        self.assertEqual(self.value("slave_lag_bytes", slave=slave.address), end - 32)
        self.assertEqual(self.value("slave_unsent_bytes", slave=slave.address), end - 32)
        self.clock.advance(DELAY)
        self.run_all(pump)
        self.assertEqual(self.value("slave_unsent_bytes", slave=slave.address), 0)
        self.clock.advance(2)
        lag = self.value("slave_lag_seconds", slave=slave.address) or 0
        self.assertTrue(2 <= lag < 2.5, lag)
        slaves: Any = self.status.summary()["slaves"]
        (shown,) = slaves
        self.assertEqual((shown["address"], shown["lag_bytes"]), (slave.address, end - 32))
        self.slave.go_on()
        self.run_all(pump)
        self.assertEqual(self.value("slave_lag_bytes", slave=slave.address), 0)
        self.assertEqual(self.value("slave_lag_seconds", slave=slave.address), 0)
        for connection in list(self.master.slaves.connections):
            connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.value("slaves"), 0)
        names = {name for name, _ in self.samples()}
        self.assertNotIn("gobelieve_storage_slave_lag_bytes", names)
        self.slave.link.connection = None

    def test_a_silent_connection_is_no_slave(self) -> None:
        """A connection without a request, such as a port scan, is not counted as a slave."""
        server = self.master.slaves.buildProtocol(None)
        server.makeConnection(StringTransport())
        self.assertEqual(self.value("slaves"), 0)

    def test_a_slave_from_its_own_side(self) -> None:
        """A slave shows whether its master is connected, and the bytes not on disk yet."""
        status = self.status_of(self.slave)
        address = self.slave.link.address
        self.assertEqual(self.value("is_slave", status), 1)
        self.assertEqual(self.value("master_connected", status, master=address), 0)
        self.assertEqual(self.value("master_heard_timestamp_seconds", status, master=address), 0)
        pump = self.connect()
        self.assertEqual(self.value("master_connected", status, master=address), 1)
        self.slave.stuck = True
        self.clock.advance(7)
        self.master.save(3)
        self.master.settle(DELAY)
        heard = self.clock.seconds()
        self.run_all(pump)
        self.clock.advance(7)
        unsynced = self.value("master_unsynced_bytes", status, master=address)
        self.assertEqual(unsynced, (self.value("end_id") or 0) - 32)
        self.assertEqual(self.value("unsettled_bytes", status), unsynced)
        found = self.value("master_heard_timestamp_seconds", status, master=address)
        self.assertEqual(found, heard)
        self.slave.go_on()
        self.run_all(pump)
        self.assertEqual(self.value("master_unsynced_bytes", status, master=address), 0)
        self.assertEqual(self.value("pieces_total", status), 1)
        self.assertEqual(self.value("end_id", status), self.value("end_id"))
        summary = status.summary()
        self.assertEqual(summary["role"], "slave")
        expected = {"address": address, "connected": True, "refused": False, "unsynced_bytes": 0}
        self.assertEqual(summary["master"], expected)

    def test_a_master_has_no_metrics_of_a_slave(self) -> None:
        """A master shows no labels and values for a master."""
        self.assertEqual(self.value("is_slave"), 0)
        names = {name for name, _ in self.samples()}
        self.assertNotIn("gobelieve_storage_master_connected", names)
        self.assertIsNone(self.status.summary()["master"])

    def test_ready(self) -> None:
        """Storage is ready from start to stop, except while the disk fails."""
        self.assertEqual((self.status.trouble, self.value("ready")), ("", 1))
        self.master.stuck = True
        statuses = self.master.save()
        self.master.settle()
        self.master.go_on(OSError(28, "No space left on device"))
        self.master.settle()
        self.assertEqual(statuses, [AckStatus.STORAGE_FULL])
        self.assertEqual(self.value("ready"), 0)
        self.assertIn("No space left on device", str(self.status.summary()["trouble"]))
        self.assertEqual(self.value("syncs_failed_total"), 1)
        self.assertEqual(self.value("saves_total", outcome="full"), 1)
        self.master.save()
        self.master.settle()
        self.assertEqual((self.status.trouble, self.value("ready")), ("", 1))
        self.master.close()
        self.assertEqual(self.value("ready"), 0)

    def test_queues_are_not_iterated(self) -> None:
        """The figures need no iteration over the queues, of which there may be millions."""
        self.master.save(3)
        self.master.settle()
        index = self.master.storage.store.index
        self.patch(index, "_tables", {name: Unwalked(t) for name, t in index._tables.items()})
        self.assertEqual(self.value("queues", queue="user"), 1)
        self.assertEqual(self.status.summary()["queues"], {"user": 1, "group": 0})

    def test_snapshots(self) -> None:
        """A snapshot is taken at the stop, and the next start knows its time."""
        self.clock.advance(1000)
        self.assertEqual(self.value("snapshot_timestamp_seconds"), 0)
        self.assertIsNone(self.status.summary()["snapshot"])
        self.master.save(3)
        self.master.settle()
        end = self.value("end_id")
        self.master.close()
        self.assertEqual(self.value("snapshots_total", outcome="taken"), 1)
        self.assertEqual(self.value("snapshot_timestamp_seconds"), 1000)
        self.assertEqual(self.value("snapshot_id"), end)
        self.master.open()
        status = self.status_of(self.master)
        self.assertEqual(self.value("snapshot_id", status), end)
        self.assertEqual(self.value("snapshots_total", status, outcome="taken"), 0)
        self.assertGreater(self.value("snapshot_timestamp_seconds", status) or 0, 1e9)

    def test_a_snapshot_that_fails(self) -> None:
        """A snapshot that fails is counted, and there is none then."""
        self.master.save(3)
        self.master.settle()
        self.master.stuck = True
        self.master.storage.close(lambda: None)
        for _ in range(3):
            self.master.clock.advance(0)
        self.master.go_on(OSError(28, "No space left on device"))
        self.master.settle()
        self.assertEqual(self.value("snapshots_total", outcome="failed"), 1)
        self.assertEqual(self.value("snapshot_timestamp_seconds"), 0)
        self.assertEqual(self.value("snapshot_id"), 0)


class NameTests(ReplicationCase):
    """The names of commands in metrics."""

    def test_each_command_has_its_own_name(self) -> None:
        """Names have only letters that need no quoting."""
        names = [command_name(number) for number in MESSAGES]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([name for name in names if not name.replace("_", "a").isalnum()], [])
        self.assertEqual(command_name(77), "unknown")
