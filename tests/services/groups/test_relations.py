"""The relations of users as a service, and its place in the daemons."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.interfaces import MY_FRIEND, YOUR_FRIEND
from gobelieve.names import User
from gobelieve.services import embedded, im
from gobelieve.services.groups.relations import RelationsService, RelationStatus
from tests.fakes.relations import MemoryRelationStore

ANN, BOB = User(7, 1), User(7, 2)
SOURCE = "mysqldb_datasource=root:s3cret@tcp(127.0.0.1:3306)/im"


class CompositionTests(SynchronousTestCase):
    """The relations among the services of the daemons."""

    def made(self, module: Any, *settings: str) -> Any:
        """Return a daemon that is assembled, but not started."""
        options = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        self.reactor = MemoryReactorClock()
        return module.makeService(options, self.reactor)

    def test_relations_are_not_configured(self) -> None:
        """Without either key there is no connection and no timer for relations."""
        for module in (im, embedded):
            self.assertNotIn("relations", [child.name for child in self.made(module)])

    def test_the_gateway_has_relations_with_their_own_connections(self) -> None:
        """Either key switches relations on."""
        for switch in ("enable_friendship=true", "enable_blacklist=true"):
            service = self.made(im, SOURCE, switch)
            relations = service.getServiceNamed("relations")
            self.assertEqual([child.name for child in relations], ["sweep", "mysql", "events"])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_all_in_one_daemon_has_relations_in_its_file(self) -> None:
        """The daemon follows the changes that other processes write to the file."""
        service = self.made(embedded, "im.enable_blacklist=true")
        relations = service.getServiceNamed("relations")
        self.assertEqual([child.name for child in relations], ["sweep", "events"])

    def test_without_a_database_the_gateway_does_not_start(self) -> None:
        """The gateway refuses a configuration with relations but without a database."""
        with self.assertRaises(usage.UsageError) as caught:
            self.made(im, "enable_friendship=true")
        self.assertIn("mysqldb_datasource", str(caught.exception))


class ServiceTests(SynchronousTestCase):
    """Requests for relations that must be loaded."""

    def setUp(self) -> None:
        self.store = MemoryRelationStore()
        self.store.put(ANN, BOB.uid, MY_FRIEND)
        self.reactor = MemoryReactorClock()
        self.relations = RelationsService(self.store, self.reactor)
        self.relations.startService()

    def find(self, user: User, peer: User) -> Deferred[int]:
        """Request the relation of two users."""
        return Deferred.fromCoroutine(self.relations.find(user, peer.uid))

    def test_find(self) -> None:
        """A relation is loaded once, and is in memory then."""
        self.assertIsNone(self.relations.loaded(ANN, BOB.uid))
        self.assertEqual(self.successResultOf(self.find(BOB, ANN)), YOUR_FRIEND)
        self.assertEqual(self.relations.loaded(ANN, BOB.uid), MY_FRIEND)
        self.assertEqual(self.successResultOf(self.find(ANN, User(7, 3))), 0)

    def test_the_database_is_unavailable(self) -> None:
        """An unavailable database is an error, and not the answer "no relation"."""
        self.store.away = True
        self.failureResultOf(self.find(ANN, BOB), BackendError)

    def test_stop(self) -> None:
        """Waiting requests get an error at once when the service stops."""
        self.store.held = True
        waiting = self.find(ANN, BOB)
        self.successResultOf(self.relations.stopService())
        self.failureResultOf(waiting, BackendError)
        self.failureResultOf(self.find(ANN, BOB), BackendError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_figures(self) -> None:
        """The status has the relations in memory and the counters."""
        self.successResultOf(self.find(ANN, BOB))
        status = RelationStatus(self.relations)
        shown = {
            sample.name: sample.value
            for metric in status.collect()
            for sample in metric.samples
            if not sample.labels
        }
        wanted = {"gobelieve_relations_cached": 1, "gobelieve_relations_followed": 0}
        self.assertEqual(shown, wanted)
        counts = {"relations_loaded": 1}
        self.assertEqual(status.summary(), {"cached": 1, "followed": False, "counts": counts})
