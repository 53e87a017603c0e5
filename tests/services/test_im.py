"""The assembly of the gateway daemon and of the all-in-one daemon."""

import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services import embedded, im
from gobelieve.services.process.options import DaemonOptions
from gobelieve.services.process.starting import StartError
from tests.fakes.reactor import FakeReactor

ETC = Path(__file__).parents[2] / "etc"


def names(service: Any) -> list[str]:
    """Return the names of a service's children, in the order in which they start."""
    return [child.name for child in IServiceCollection(service)]


class CompositionTests(SynchronousTestCase):
    """The services of a daemon."""

    def made(self, module: Any, *arguments: str) -> Any:
        """Return the services for a command line, on a reactor that does nothing."""
        self.reactor = FakeReactor()
        options: DaemonOptions = module.Options()
        options.parseOptions(arguments)
        return module.makeService(options, self.reactor)

    def test_the_gateway_has_its_links_and_listeners_by_name(self) -> None:
        """The ports for clients start last and stop first."""
        service = self.made(im, "--config", str(ETC / "im.toml"))
        self.assertEqual(
            names(service),
            [
                *("hangup", "cluster", "redis", "storage", "route"),
                *("speak-forbidden", "sessions-ended", "watch", "sessions"),
                *("tcp", "websocket", "app-api", "http"),
            ],
        )
        self.assertEqual(names(service.getServiceNamed("storage")), ["127.0.0.1:13333"])
        self.assertEqual(names(service.getServiceNamed("route")), ["127.0.0.1:4444"])

    def test_parts_that_are_not_configured_are_off(self) -> None:
        """Without addresses there is no WebSocket port and no status page."""
        service = self.made(im)
        self.assertEqual(names(service)[-1], "tcp")

    def test_pending_messages_are_sent_also_without_groups(self) -> None:
        """Acked messages are sent; if there are none, no folder is made."""
        folder = Path(self.mktemp())
        setting = ("--set", f"pending_root={folder}")
        self.assertNotIn("pending", names(self.made(im, *setting)))
        folder.mkdir()
        self.assertIn("pending", names(self.made(im, *setting)))

    def test_all_in_one_has_the_three_roles_by_name(self) -> None:
        """The all-in-one daemon has three roles, each with its own children."""
        service = self.made(embedded, "--data", self.mktemp())
        self.assertEqual(
            names(service),
            [
                "hangup",
                "cluster",
                "data",
                "sqlite",
                "group-manager",
                "ims",
                "imr",
                "im",
                "greeting",
            ],
        )
        self.assertEqual(names(service.getServiceNamed("ims")), ["storage", "rpc"])
        self.assertEqual(names(service.getServiceNamed("imr")), ["push", "route", "tcp"])
        self.assertEqual(
            names(service.getServiceNamed("im")),
            ["pending", "watch", "sessions", "tcp", "websocket", "app-api", "http"],
        )

    def test_nothing_is_opened_before_the_start(self) -> None:
        """Before the start there is no port, no connection, no folder and no timer."""
        folder = self.mktemp()
        self.made(embedded, "--data", folder)
        self.assertFalse(Path(folder).exists())
        for module in (im, embedded):
            self.made(module)
            self.assertEqual(self.reactor.tcpServers, [])
            self.assertEqual(self.reactor.tcpClients, [])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_malformed_address_is_refused_before_anything_starts(self) -> None:
        """The error names the key."""
        for setting in (
            "storage_rpc_addrs=['nowhere']",
            "route_addrs=['nowhere']",
            "ws_address=nowhere",
            "http_listen_address=nowhere",
            "redis.address=nowhere",
            "storage_rpc_addrs=[]",
            "route_addrs=[]",
        ):
            with self.assertRaises(usage.UsageError) as caught:
                im.Options().parseOptions(["--set", setting])
            self.assertIn(setting.partition("=")[0], str(caught.exception))


class StartTests(SynchronousTestCase):
    """A data folder that cannot be used ends the start with one line, not a traceback."""

    def setUp(self) -> None:
        self.patch(sys, "excepthook", sys.excepthook)

    def test_a_folder_that_cannot_be_made(self) -> None:
        """The data folder cannot be made if a file has its name."""
        path = Path(self.mktemp())
        path.touch()
        with self.assertRaises(StartError) as caught:
            embedded.DataFolder(str(path / "data")).startService()
        self.assertIn("cannot be made: Not a directory", str(caught.exception))

    def test_a_database_that_cannot_be_opened(self) -> None:
        """The database cannot be opened if a folder has its name."""
        path = Path(self.mktemp())
        path.mkdir()
        with self.assertRaises(StartError) as caught:
            embedded.Database(path, FakeReactor()).startService()
        self.assertIn("the database cannot be opened", str(caught.exception))
