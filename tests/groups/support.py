"""A group manager on a clock, over a store in memory."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Group
from gobelieve.metrics import Counters
from gobelieve.services.process.options import Coroutines
from tests.fakes.groups import MemoryGroupStore
from tests.protocols.logs import Events

Outcome = Group | BackendError | None


class ManagerTestCase(SynchronousTestCase):
    """With group 5 of 1 and 2, and events that come in time from action 10 on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.store = MemoryGroupStore()
        self.store.put(5, 1, 2)
        self.counters = Counters()
        self.events = Events()
        self.manager = self.new_manager()
        self.manager.checked(10)
        self.events.clear()
        self.last = 10

    def new_manager(self) -> GroupManager:
        """One that knows nothing yet."""
        return GroupManager(
            self.store,
            time=self.clock,
            tasks=Coroutines(),
            counters=self.counters,
            log=self.events.log(),
        )

    def ask(self, group_id: int = 5) -> list[Outcome]:
        """What is answered, once it is."""
        answers: list[Outcome] = []
        self.manager.ask(group_id, lambda group, error: answers.append(error or group))
        return answers

    def group(self, group_id: int = 5) -> Group:
        """One that there is."""
        (answer,) = self.ask(group_id)
        assert isinstance(answer, Group), answer
        return answer

    def members(self, group_id: int = 5) -> list[int]:
        """Of one that there is."""
        return sorted(self.group(group_id).members)

    def publish(self, channel: str, content: str) -> None:
        """An event with the next action id."""
        self.manager.published(channel, f"{self.last}:{self.last + 1}:{content}".encode())
        self.last += 1
