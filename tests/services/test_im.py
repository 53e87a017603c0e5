"""The gateway daemon, and the one that is all in one, as they are put together."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.services import embedded, im
from gobelieve.services.process.options import DaemonOptions
from gobelieve.services.process.starting import StartError
from gobelieve.storage.storage import Storage
from gobelieve.wire.storage import USERS, SaveItem, StoredMessage

ETC = Path(__file__).parents[2] / "etc"


def names(service: Any) -> list[str]:
    """The names of a service's children, in the order in which they start."""
    return [child.name for child in IServiceCollection(service)]


class CompositionTests(SynchronousTestCase):
    """What a daemon is made of."""

    def made(self, module: Any, *arguments: str) -> Any:
        """The services for a command line, on a reactor that does nothing."""
        self.reactor = MemoryReactorClock()
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
            embedded.Database(path, MemoryReactorClock()).startService()
        self.assertIn("the database cannot be opened", str(caught.exception))


class FakeStorage:
    """Storage that answers saves when told to."""

    def __init__(self) -> None:
        self.saves: list[tuple[Sequence[SaveItem], Callable[[Any, Any], None], Any]] = []

    def save(
        self, items: Sequence[SaveItem], done: Callable[[Any, Any], None], argument: Any
    ) -> None:
        self.saves.append((items, done, argument))

    def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        return Page(1, 2, True, [StoredMessage(1, 5, 4, b"x")])

    def fetch_latest(self, user: User, limit: int) -> Page:
        return Page(limit, limit, False, [])

    def fetch_before(self, user: User, before: int, limit: int) -> Page:
        return Page(before - limit, before, True, [])

    def count_new(self, user: User, after: int) -> int:
        return after + 1


class LocalStorageTests(SynchronousTestCase):
    """Storage in the same process, as the gateway's rules see it."""

    def setUp(self) -> None:
        self.fake = FakeStorage()
        storage: Any = self.fake
        self.local = embedded.LocalStorage(storage)
        self.assertTrue(all(hasattr(Storage, name) for name in ("save", "fetch", "count_new")))

    def test_a_save_names_its_queues_and_gets_their_ids(self) -> None:
        """Or the status of its failure."""
        ended: list[Any] = []

        def done(argument: str, status: int, entries: Any) -> None:
            ended.append((argument, status, list(entries)))

        self.local.save(4, b"x", 5, (User(7, 2), User(7, 1)), done, "mine")
        self.local.save(4, b"y", 5, (User(7, 2),), done, "other")
        (items, first, argument), (_, second, other) = self.fake.saves
        self.assertEqual(items, [SaveItem(5, 4, USERS, (7, 2, 7, 1), b"x")])
        first(argument, [(0, 100, (50, 60))])
        second(other, [(AckStatus.STORAGE_FULL, 0, ())])
        self.assertEqual(
            ended,
            [("mine", 0, [(100, 50), (100, 60)]), ("other", AckStatus.STORAGE_FULL, [(0, 0)])],
        )

    def test_questions_are_passed_on(self) -> None:
        """And answered at once."""
        user = User(7, 1)
        page = self.successResultOf(Deferred.fromCoroutine(self.local.fetch(user, 0)))
        self.assertEqual(page.newest, 2)
        latest = self.successResultOf(Deferred.fromCoroutine(self.local.fetch_latest(user, 3)))
        self.assertEqual(latest.last, 3)
        before = self.successResultOf(Deferred.fromCoroutine(self.local.fetch_before(user, 9, 2)))
        self.assertEqual((before.last, before.newest), (7, 9))
        count = self.successResultOf(Deferred.fromCoroutine(self.local.count_new(user, 3)))
        self.assertEqual(count, 4)
