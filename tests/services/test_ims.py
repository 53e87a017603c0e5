"""The storage daemon: composed, started and stopped, on a directory of its own."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import User
from gobelieve.protocols.storage.legacy_listener import StorageClientFactory
from gobelieve.services.ims import Options, StorageService, makeService
from gobelieve.services.process.draining import DrainingService
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import StartError
from gobelieve.storage.storage import Storage
from tests.fakes.reactor import FakeReactor
from tests.storage.support import APPID, bodies, to_users

ETC = Path(__file__).parents[2] / "etc" / "ims.toml"


def options(*words: str) -> Options:
    """Return the options of a command line."""
    found = Options()
    found.parseOptions(words)
    return found


class OptionsTests(SynchronousTestCase):
    """The command line and the configuration of storage."""

    def test_sample(self) -> None:
        """The sample configuration is accepted."""
        self.assertEqual(options("--config", str(ETC)).config.fsync, "commit")

    def test_fsync(self) -> None:
        """The key fsync has three values; the error for another value names them."""
        for value in ("commit", "interval", "never"):
            self.assertEqual(options("--set", f"fsync={value}").config.fsync, value)
        error = self.assertRaises(usage.UsageError, options, "--set", "fsync=always")
        self.assertEqual(
            str(error), "--set fsync: fsync must be one of commit, interval, never, not 'always'"
        )

    def test_numbers(self) -> None:
        """Keys for numbers above 0 refuse 0 and less."""
        for word in ("limit=0", "limit=-5", "fsync_interval=0"):
            error = self.assertRaises(usage.UsageError, options, "--set", word)
            self.assertIn("must be above 0", str(error))

    def test_malformed_address(self) -> None:
        """The error for a malformed address names the key."""
        for key in ("rpc_listen", "listen"):
            error = self.assertRaises(usage.UsageError, options, "--set", f"{key}=nowhere")
            self.assertIn(f"{key}: 'nowhere' is not host:port", str(error))


class ServiceTests(SynchronousTestCase):
    """The services that twistd starts and stops."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.reactor = FakeReactor()

    def make(self) -> tuple[OrderedService, Storage]:
        service = makeService(options("--set", f"storage_root={self.root}"), self.reactor)
        storage = service.getServiceNamed("storage")
        assert isinstance(storage, StorageService)
        return service, storage.storage

    def stop(self, service: StorageService) -> None:
        stopping = service.stopService()
        self.reactor.pump([0, 0, 0])
        assert isinstance(stopping, Deferred)
        self.successResultOf(stopping)

    def test_composed(self) -> None:
        """Assembling the daemon opens nothing; its children have names."""
        service, _ = self.make()
        self.assertEqual([child.name for child in service], ["hangup", "cluster", "storage", "rpc"])
        self.assertFalse(os.path.exists(self.root))
        self.assertEqual(self.reactor.tcpServers, [])

    def test_clients(self) -> None:
        """Older clients have a port if `listen` is set; by default there is none."""
        words = ("--set", f"storage_root={self.root}", "--set", "listen=127.0.0.1:3333")
        service = makeService(options(*words), self.reactor)
        names = [child.name for child in service]
        self.assertEqual(names, ["hangup", "cluster", "storage", "rpc", "clients"])
        clients = service.getServiceNamed("clients")
        assert isinstance(clients, OrderedService)
        askers = clients.getServiceNamed("askers")
        assert isinstance(askers, DrainingService)
        self.assertIsInstance(askers.factory, StorageClientFactory)

    def test_replication(self) -> None:
        """The port for slaves and the link to a master exist if they are configured."""
        words = ("--set", f"storage_root={self.root}")
        own = ("--set", "sync_listen=127.0.0.1:3334", "--set", "master_address=10.0.0.1:3334")
        service = makeService(options(*words, *own), self.reactor)
        names = [child.name for child in service]
        self.assertEqual(names, ["hangup", "cluster", "storage", "slaves", "master", "rpc"])
        slaves = service.getServiceNamed("slaves")
        assert isinstance(slaves, OrderedService)
        self.assertEqual([child.name for child in slaves], ["connections", "tcp"])

    def test_life(self) -> None:
        """A stop finishes saves in progress, and saved messages are there after a new start."""
        told: list[Any] = []
        _, storage = self.make()
        service = StorageService(storage)
        service.startService()
        storage.save([to_users(102, body=b"one")], lambda *result: told.append(result), "one")
        self.stop(service)
        self.assertEqual(told, [("one", [(0, 32, (0,))])])

        _, storage = self.make()
        service = StorageService(storage)
        service.startService()
        self.assertEqual(bodies(storage.fetch(User(APPID, 102), 0)), [b"one"])
        self.stop(service)

    def test_limit(self) -> None:
        """The configured limit applies to pages that ask for no limit or a higher one."""
        words = ("--set", f"storage_root={self.root}", "--set", "limit=2")
        storage = makeService(options(*words), self.reactor).getServiceNamed("storage").storage
        service = StorageService(storage)
        service.startService()
        for _ in range(5):
            storage.save([to_users(102)], lambda *result: None, None)
        self.reactor.pump([0, 0])
        user = User(APPID, 102)
        for limit, count in ((0, 2), (1, 1), (2, 2), (99, 2)):
            self.assertEqual(len(storage.fetch(user, 0, limit).messages), count)
        self.assertEqual(len(storage.fetch_latest(user, 99).messages), 2)
        self.assertEqual(storage.fetch_group(user, 0).messages, ())
        self.assertEqual(storage.count_new(user, 0), 5)
        self.stop(service)

    def test_directory_in_use(self) -> None:
        """A directory that cannot be used ends the start with an error that names it."""
        _, first = self.make()
        running = StorageService(first)
        running.startService()
        _, second = self.make()
        self.patch(sys, "excepthook", sys.excepthook)
        error = self.assertRaises(StartError, StorageService(second).startService)
        said = f"storage cannot be opened: {self.root} is in use by another daemon"
        self.assertEqual(str(error), said)
        self.stop(running)
