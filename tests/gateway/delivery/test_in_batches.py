"""Visiting many users, some at a time."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.delivery.in_batches import (
    BATCH_SECONDS,
    KEYS_PER_BATCH,
    RETRY_SECONDS,
    InBatches,
)
from gobelieve.names import User
from tests.gateway.support import APP, TestGateway


class InBatchesTests(SynchronousTestCase):
    """Users 1 to 250 are here."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        for uid in range(1, 251):
            self.gateway.client(uid)
        self.visited: list[int] = []
        self.failing: set[int] = set()
        here = self.gateway.sessions.__contains__
        self.in_batches = InBatches(here, self.visit, self.gateway.world())

    async def visit(self, user: User) -> bool:
        """Note the visit; it fails for users in `failing`."""
        self.visited.append(user.uid)
        return user.uid not in self.failing

    def test_each_once_in_order(self) -> None:
        """Users who left meanwhile, or were never here, are not visited."""
        users = [User(APP, uid) for uid in range(1, 251)]
        self.in_batches.begin([*users, User(APP, 999)])
        self.in_batches.begin(users[::-1])
        self.assertEqual(self.visited, [])
        self.gateway.clock.advance(BATCH_SECONDS)
        self.assertEqual(self.visited, list(range(1, KEYS_PER_BATCH + 1)))
        (session,) = self.gateway.sessions.of(User(APP, 150))
        self.gateway.registry.closed(session)
        self.gateway.clock.pump([BATCH_SECONDS] * 5)
        self.assertEqual(self.visited, [uid for uid in range(1, 251) if uid != 150])

    def test_those_for_whom_it_failed_are_visited_again(self) -> None:
        """The visit is repeated after `RETRY_SECONDS`."""
        self.failing = {2}
        self.in_batches.begin([User(APP, uid) for uid in (1, 2, 3)])
        self.gateway.clock.advance(BATCH_SECONDS)
        self.assertEqual(self.visited, [1, 2, 3])
        self.failing = set()
        self.gateway.clock.pump([RETRY_SECONDS])
        self.assertEqual(self.visited, [1, 2, 3, 2])
        self.gateway.clock.pump([RETRY_SECONDS] * 3)
        self.assertEqual(self.visited, [1, 2, 3, 2])
