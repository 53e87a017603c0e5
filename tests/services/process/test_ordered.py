"""Services that stop in order."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.process.ordered import OrderedService


class Child(Service):
    """A service that notes its start and stop; its stop ends when `stopped` fires."""

    def __init__(self, notes: list[str], name: str) -> None:
        self.notes = notes
        self.label = name
        self.stopped: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self.notes.append(f"start {self.label}")

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self.notes.append(f"stop {self.label}")
        return self.stopped


class Broken(Service):
    """A service whose stop fails."""

    def __init__(self, why: str) -> None:
        self.why = why

    def stopService(self) -> None:
        super().stopService()
        raise ValueError(self.why)


class OrderedServiceTests(SynchronousTestCase):
    """The order in which children start and stop."""

    def setUp(self) -> None:
        self.notes: list[str] = []
        self.service = OrderedService()
        self.children = [Child(self.notes, name) for name in ("storage", "sessions", "tcp")]

    def add_all(self) -> None:
        """Add the children in order."""
        for child in self.children:
            self.service.add(child.label, child)

    def test_order(self) -> None:
        """Children start in order, stop in the opposite order, and are found by name."""
        self.add_all()
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(
            self.notes,
            [f"start {name}" for name in ("storage", "sessions", "tcp")]
            + [f"stop {name}" for name in ("tcp", "sessions", "storage")],
        )
        self.assertIs(self.service.getServiceNamed("sessions"), self.children[1])
        self.assertFalse(self.service.running)

    def test_each_child_waits_for_the_one_before(self) -> None:
        """Storage is not closed while a session still writes to it."""
        sessions = self.children[1]
        sessions.stopped = Deferred()
        self.add_all()
        self.service.startService()
        del self.notes[:]
        stopping = self.service.stopService()
        self.assertEqual(self.notes, ["stop tcp", "stop sessions"])
        self.assertNoResult(stopping)
        sessions.stopped.callback(None)
        self.assertEqual(self.notes, ["stop tcp", "stop sessions", "stop storage"])
        self.successResultOf(stopping)

    def test_failures(self) -> None:
        """Other children are stopped too; the first failure is raised, others are logged."""
        self.service.add("storage", self.children[0])
        self.service.add("later", Broken("the later one"))
        sessions = self.children[1]
        sessions.stopped = Deferred()
        self.service.add("sessions", sessions)
        self.service.add("first", Broken("the first to stop"))
        self.service.startService()
        stopping = self.service.stopService()
        self.assertNoResult(stopping)
        sessions.stopped.callback(None)
        self.assertEqual(
            self.failureResultOf(stopping, ValueError).value.args[0], "the first to stop"
        )
        self.assertEqual(self.notes[-1], "stop storage")
        (logged,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(logged.value.args[0], "the later one")

    def test_a_child_added_while_it_runs(self) -> None:
        """A child that is added later starts at once and stops first."""
        self.service.startService()
        self.add_all()
        self.assertEqual(self.notes[-1], "start tcp")
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.notes[-1], "stop storage")
