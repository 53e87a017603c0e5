"""The group manager as a service, and its place in the daemons."""

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
    """The group manager among the services of the daemons."""

    def made(self, module: Any, *settings: str) -> Any:
        """Return a daemon that is assembled, but not started."""
        options: DaemonOptions = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        self.reactor = MemoryReactorClock()
        return module.makeService(options, self.reactor)

    def names(self, service: Any) -> list[str]:
        """Return the names of its children."""
        return [child.name for child in service]

    def test_without_a_database_there_are_no_groups(self) -> None:
        """A gateway without a database of groups has no group manager."""
        for module in (im, imr):
            self.assertNotIn("group-manager", self.names(self.made(module)))

    def test_groups_start_after_redis_and_before_storage(self) -> None:
        """Groups stop in the opposite order."""
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
        """A router without pushes has Redis only if it has groups."""
        self.assertIn("redis", self.names(self.made(imr, SOURCE, "push_disabled=true")))
        self.assertNotIn("redis", self.names(self.made(imr, "push_disabled=true")))

    def test_the_all_in_one_daemon_has_groups_in_its_file(self) -> None:
        """The gateway and the router share one group manager."""
        service = self.made(embedded)
        children = self.names(service.getServiceNamed("group-manager"))
        self.assertEqual(children, ["sweep", "events"])

    def test_a_malformed_datasource_is_refused_before_anything_starts(self) -> None:
        """The error does not show the password."""
        for module in (im, imr):
            with self.assertRaises(usage.UsageError) as caught:
                self.made(module, "mysqldb_datasource=root:s3cret@nowhere")
            self.assertIn("mysqldb_datasource", str(caught.exception))
            self.assertNotIn("s3cret", str(caught.exception))
            with self.assertRaises(usage.UsageError) as caught:
                self.made(module, "group_events=carrier-pigeon")
            self.assertIn("stream, pubsub", str(caught.exception))


class ServiceTests(SynchronousTestCase):
    """Requests for groups that must be loaded."""

    def setUp(self) -> None:
        self.store = MemoryGroupStore()
        self.store.put(5, 1, 2)
        self.reactor = MemoryReactorClock()
        self.groups = GroupManagerService(self.store, self.reactor)
        self.groups.startService()

    def find(self, group_id: int) -> Deferred[Group | None]:
        """Request a group by its number."""
        return Deferred.fromCoroutine(self.groups.find(group_id))

    def test_find(self) -> None:
        """A group is loaded once, and is in memory then."""
        self.assertIsNone(self.groups.loaded(5))
        group = self.successResultOf(self.find(5))
        self.assertIs(self.groups.loaded(5), group)
        self.assertIs(self.successResultOf(self.find(5)), group)
        self.assertIsNone(self.successResultOf(self.find(6)))
        self.assertEqual(self.store.loads, [5, 6])

    def test_the_database_is_unavailable(self) -> None:
        """An unavailable database is an error, and not the answer "no such group"."""
        self.store.away = True
        self.failureResultOf(self.find(5), BackendError)

    def test_a_cancelled_request_does_not_disturb_others(self) -> None:
        """Two requests share one load, and one of them may be cancelled."""
        self.store.held = True
        first, second = self.find(5), self.find(5)
        first.addErrback(lambda _: None)
        first.cancel()
        self.store.answer()
        self.assertIsNotNone(self.successResultOf(second))

    def test_stop(self) -> None:
        """Waiting requests get an error at once when the service stops."""
        self.store.held = True
        waiting = self.find(5)
        self.successResultOf(self.groups.stopService())
        self.failureResultOf(waiting, BackendError)
        self.failureResultOf(self.find(5), BackendError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_sweeps(self) -> None:
        """Unused groups are dropped after an hour, within five minutes."""
        self.successResultOf(self.find(5))
        self.reactor.pump([300] * 11)
        self.assertIsNotNone(self.groups.manager._cache._entries.get(5))
        self.reactor.pump([300] * 2)
        self.assertIsNone(self.groups.loaded(5))

    def test_figures(self) -> None:
        """The status has the groups in memory and the counters."""
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
