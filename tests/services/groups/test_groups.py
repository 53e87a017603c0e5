"""The group manager as a service, and where it is in the daemons."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.interfaces import Group
from gobelieve.services import embedded, im, imr
from gobelieve.services.groups.groups import GroupManagerService, GroupStatus
from gobelieve.services.process.options import DaemonOptions
from tests.fakes.groups import MemoryGroupStore

SOURCE = "mysqldb_datasource=root:s3cret@tcp(127.0.0.1:3306)/im"


class CompositionTests(SynchronousTestCase):
    """What the daemons are made of."""

    def made(self, module: Any, *settings: str) -> Any:
        """Put together, and not started."""
        options: DaemonOptions = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        self.reactor = MemoryReactorClock()
        return module.makeService(options, self.reactor)

    def names(self, service: Any) -> list[str]:
        """Of its children."""
        return [child.name for child in service]

    def test_without_a_database_there_are_no_groups(self) -> None:
        """It is optional."""
        for module in (im, imr):
            self.assertNotIn("group-manager", self.names(self.made(module)))

    def test_with_one_they_start_behind_redis_and_before_what_needs_them(self) -> None:
        """And so stop the other way round."""
        for module in (im, imr):
            for form in ("stream", "pubsub"):
                service = self.made(module, SOURCE, f"group_events={form}")
                names = self.names(service)
                self.assertLess(names.index("redis"), names.index("group-manager"))
                self.assertLess(names.index("group-manager"), names.index("route"))
                children = self.names(service.getServiceNamed("group-manager"))
                self.assertEqual(children, ["sweep", "mysql", "events"])
                self.assertEqual(self.reactor.tcpClients, [])
                self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_router_without_pushes_has_redis_for_the_events(self) -> None:
        """And without groups it has none."""
        self.assertIn("redis", self.names(self.made(imr, SOURCE, "push_disabled=true")))
        self.assertNotIn("redis", self.names(self.made(imr, "push_disabled=true")))

    def test_all_in_one_has_them_in_its_file(self) -> None:
        """For gateway and router together."""
        service = self.made(embedded)
        children = self.names(service.getServiceNamed("group-manager"))
        self.assertEqual(children, ["sweep", "events"])

    def test_a_source_that_is_none_is_told_before_anything_starts(self) -> None:
        """Without the password."""
        for module in (im, imr):
            with self.assertRaises(usage.UsageError) as caught:
                self.made(module, "mysqldb_datasource=root:s3cret@nowhere")
            self.assertIn("mysqldb_datasource", str(caught.exception))
            self.assertNotIn("s3cret", str(caught.exception))
            with self.assertRaises(usage.UsageError) as caught:
                self.made(module, "group_events=carrier-pigeon")
            self.assertIn("stream, pubsub", str(caught.exception))


class ServiceTests(SynchronousTestCase):
    """`Groups` for those who wait."""

    def setUp(self) -> None:
        self.store = MemoryGroupStore()
        self.store.put(5, 1, 2)
        self.reactor = MemoryReactorClock()
        self.groups = GroupManagerService(self.store, self.reactor)
        self.groups.startService()

    def find(self, group_id: int) -> Deferred[Group | None]:
        """Ask."""
        return Deferred.fromCoroutine(self.groups.find(group_id))

    def test_find(self) -> None:
        """Loads, and then has it at hand."""
        self.assertIsNone(self.groups.loaded(5))
        group = self.successResultOf(self.find(5))
        self.assertIs(self.groups.loaded(5), group)
        self.assertIs(self.successResultOf(self.find(5)), group)
        self.assertIsNone(self.successResultOf(self.find(6)))
        self.assertEqual(self.store.loads, [5, 6])

    def test_it_cannot_be_known(self) -> None:
        """Which is an error, and not "no such group"."""
        self.store.away = True
        self.failureResultOf(self.find(5), BackendError)

    def test_who_gives_up_does_not_disturb_the_others(self) -> None:
        """They share a load."""
        self.store.held = True
        first, second = self.find(5), self.find(5)
        first.addErrback(lambda _: None)
        first.cancel()
        self.store.answer()
        self.assertIsNotNone(self.successResultOf(second))

    def test_stop(self) -> None:
        """Who waits is told at once."""
        self.store.held = True
        waiting = self.find(5)
        self.successResultOf(self.groups.stopService())
        self.failureResultOf(waiting, BackendError)
        self.failureResultOf(self.find(5), BackendError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_sweeps(self) -> None:
        """What nobody asks for is dropped after an hour, and five minutes at most."""
        self.successResultOf(self.find(5))
        self.reactor.pump([300] * 11)
        self.assertIsNotNone(self.groups.manager._cache._entries.get(5))
        self.reactor.pump([300] * 2)
        self.assertIsNone(self.groups.loaded(5))

    def test_figures(self) -> None:
        """What is kept, and what happened."""
        self.successResultOf(self.find(5))
        self.groups.manager.checked(1)
        status = GroupStatus(self.groups)
        shown = {
            sample.name: sample.value
            for metric in status.collect()
            for sample in metric.samples
            if not sample.labels
        }
        self.assertEqual(shown, {"gobelieve_groups_cached": 0, "gobelieve_groups_followed": 1})
        counts = {"groups_loaded": 1}
        self.assertEqual(status.summary(), {"cached": 0, "followed": True, "counts": counts})
