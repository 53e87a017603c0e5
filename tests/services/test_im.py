"""The gateway daemon, and the one that is all in one, as they are put together."""

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
    """The names of a service's children, in the order in which they start."""
    return [child.name for child in IServiceCollection(service)]


class CompositionTests(SynchronousTestCase):
    """What a daemon is made of."""

    def made(self, module: Any, *arguments: str) -> Any:
        """The services for a command line, on a reactor that does nothing."""
        self.reactor = FakeReactor()
        options: DaemonOptions = module.Options()
        options.parseOptions(arguments)
        return module.makeService(options, self.reactor)

    def test_the_gateway_has_its_links_and_listeners_by_name(self) -> None:
        """Clients come last and leave first."""
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

    def test_what_is_not_configured_is_off(self) -> None:
        """WebSocket and the status pages."""
        service = self.made(im)
        self.assertEqual(names(service)[-1], "tcp")

    def test_what_waits_for_a_group_is_sent_on_also_without_groups(self) -> None:
        """It was acked. Where there is nothing, no folder is made."""
        folder = Path(self.mktemp())
        setting = ("--set", f"pending_root={folder}")
        self.assertNotIn("pending", names(self.made(im, *setting)))
        folder.mkdir()
        self.assertIn("pending", names(self.made(im, *setting)))

    def test_all_in_one_has_the_three_roles_by_name(self) -> None:
        """Each with its own children."""
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
        """No port, no connection, no folder, no timer."""
        folder = self.mktemp()
        self.made(embedded, "--data", folder)
        self.assertFalse(Path(folder).exists())
        for module in (im, embedded):
            self.made(module)
            self.assertEqual(self.reactor.tcpServers, [])
            self.assertEqual(self.reactor.tcpClients, [])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_an_address_that_is_none_is_told_before_anything_starts(self) -> None:
        """With its key."""
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
        """Something else has its name."""
        path = Path(self.mktemp())
        path.touch()
        with self.assertRaises(StartError) as caught:
            embedded.DataFolder(str(path / "data")).startService()
        self.assertIn("cannot be made: Not a directory", str(caught.exception))

    def test_a_database_that_cannot_be_opened(self) -> None:
        """A folder stands where the file belongs."""
        path = Path(self.mktemp())
        path.mkdir()
        with self.assertRaises(StartError) as caught:
            embedded.Database(path, FakeReactor()).startService()
        self.assertIn("the database cannot be opened", str(caught.exception))
