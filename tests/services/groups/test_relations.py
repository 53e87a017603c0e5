"""Relations as a service, and where it is in the daemons."""

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
    """What the daemons are made of."""

    def made(self, module: Any, *settings: str) -> Any:
        """Put together, and not started."""
        options = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        self.reactor = MemoryReactorClock()
        return module.makeService(options, self.reactor)

    def test_nobody_asks_for_them(self) -> None:
        """Then there is no connection and no timer for them."""
        for module in (im, embedded):
            self.assertNotIn("relations", [child.name for child in self.made(module)])

    def test_the_gateway_has_them_with_connections_of_their_own(self) -> None:
        """With either switch."""
        for switch in ("enable_friendship=true", "enable_blacklist=true"):
            service = self.made(im, SOURCE, switch)
            relations = service.getServiceNamed("relations")
            self.assertEqual([child.name for child in relations], ["sweep", "mysql", "events"])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_all_in_one_has_them_in_its_file(self) -> None:
        """With what other processes write there."""
        service = self.made(embedded, "im.enable_blacklist=true")
        relations = service.getServiceNamed("relations")
        self.assertEqual([child.name for child in relations], ["sweep", "events"])

    def test_without_a_database_the_gateway_does_not_start(self) -> None:
        """Nobody could be anybody's friend."""
        with self.assertRaises(usage.UsageError) as caught:
            self.made(im, "enable_friendship=true")
        self.assertIn("mysqldb_datasource", str(caught.exception))


class ServiceTests(SynchronousTestCase):
    """`Relations` for those who wait."""

    def setUp(self) -> None:
        self.store = MemoryRelationStore()
        self.store.put(ANN, BOB.uid, MY_FRIEND)
        self.reactor = MemoryReactorClock()
        self.relations = RelationsService(self.store, self.reactor)
        self.relations.startService()

    def find(self, user: User, peer: User) -> Deferred[int]:
        """Ask."""
        return Deferred.fromCoroutine(self.relations.find(user, peer.uid))

    def test_find(self) -> None:
        """Loads, and then has it at hand."""
        self.assertIsNone(self.relations.loaded(ANN, BOB.uid))
        self.assertEqual(self.successResultOf(self.find(BOB, ANN)), YOUR_FRIEND)
        self.assertEqual(self.relations.loaded(ANN, BOB.uid), MY_FRIEND)
        self.assertEqual(self.successResultOf(self.find(ANN, User(7, 3))), 0)

    def test_it_cannot_be_known(self) -> None:
        """Which is an error, and not "no relation"."""
        self.store.away = True
        self.failureResultOf(self.find(ANN, BOB), BackendError)

    def test_stop(self) -> None:
        """Who waits is told at once."""
        self.store.held = True
        waiting = self.find(ANN, BOB)
        self.successResultOf(self.relations.stopService())
        self.failureResultOf(waiting, BackendError)
        self.failureResultOf(self.find(ANN, BOB), BackendError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_figures(self) -> None:
        """What is kept, and what happened."""
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
