"""Changes, loads, announcements, interruptions and checks in any order: in the end all is true.

A model of the app's server writes a store and announces what it did, some time later, over a
channel that keeps the order and may lose what is said while it is interrupted, or at any time.
"""

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.groups.cache import STALE_SECONDS
from gobelieve.groups.manager import GroupManager
from gobelieve.interfaces import Group, membership
from gobelieve.metrics import Counters
from gobelieve.services.process.options import Coroutines
from tests.protocols.logs import Events

GROUPS = (1, 2)
UIDS = range(1, 5)


class World:
    """The app's server, its store, the channel, and a group manager."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.keeps = self.random.random() < 0.5
        """Whether the channel is a stream."""
        self.clock = Clock()
        self.groups: dict[int, tuple[bool, dict[int, bool]]] = {}
        """What is true: whether super, and who is muted."""
        self.action = 0
        self.announced: list[tuple[str, bytes]] = []
        self.interrupted = False
        self.loads: list[tuple[int, Deferred[Group | None]]] = []
        self.manager = GroupManager(
            self,
            time=self.clock,
            tasks=Coroutines(),
            counters=Counters(),
            log=Events().log(),
        )
        self.manager.checked(0)
        self.shown: list[Group] = []

    def stored(self, group_id: int) -> Group | None:
        """As it is in the store now."""
        row = self.groups.get(group_id)
        if row is None:
            return None
        members = {uid: membership(1, muted) for uid, muted in row[1].items()}
        return Group(group_id, 7, row[0], members)

    async def load(self, group_id: int) -> Group | None:
        """Reads at its beginning, or at its end."""
        before = self.stored(group_id)
        waited: Deferred[Group | None] = Deferred()
        self.loads.append((group_id, waited))
        await waited
        return before if self.random.random() < 0.7 else self.stored(group_id)

    # --- what may happen

    def change(self) -> None:
        """The app's server does something, and will announce it."""
        group_id = self.random.choice(GROUPS)
        uid = self.random.choice(UIDS)
        row = self.groups.get(group_id)
        if row is None:
            self.groups[group_id] = (False, {uid: False})
            self.announce("group_create", f"{group_id},7,0")
            return
        name = self.random.choice(
            ["member_add", "member_add", "member_remove", "member_mute", "upgrade", "disband"]
        )
        members = row[1]
        if name == "member_add":
            members.setdefault(uid, False)
            self.announce("group_member_add", f"{group_id},{uid}")
        elif name == "member_remove":
            members.pop(uid, None)
            self.announce("group_member_remove", f"{group_id},{uid}")
        elif name == "member_mute" and uid in members:
            members[uid] = not members[uid]
            self.announce("group_member_mute", f"{group_id},{uid},{int(members[uid])}")
        elif name == "upgrade":
            self.groups[group_id] = (True, members)
            self.announce("group_upgrade", f"{group_id},7,1")
        elif name == "disband" and self.random.random() < 0.3:
            del self.groups[group_id]
            self.announce("group_disband", f"{group_id}")

    def announce(self, channel: str, content: str) -> None:
        """It is under way, or lost."""
        last, self.action = self.action, self.action + 1
        lost = not self.keeps and (self.interrupted or self.random.random() < 0.05)
        if not lost:
            said = f"{last}:{self.action}:{content}"
            self.announced.append((channel, said.encode()))

    def hear(self) -> None:
        """One announcement arrives."""
        if self.announced and not self.interrupted:
            self.manager.published(*self.announced.pop(0))

    def answer(self) -> None:
        """A load ends."""
        if self.loads:
            _, waited = self.loads.pop(self.random.randrange(len(self.loads)))
            waited.callback(None)

    def ask(self) -> None:
        """Somebody needs a group."""
        self.manager.ask(self.random.choice(GROUPS), lambda group, error: None)

    def interrupt(self) -> None:
        """The channel is gone; one that does not keep loses what was under way."""
        if not self.interrupted:
            self.interrupted = True
            self.manager.interrupted()
            if not self.keeps:
                self.announced.clear()

    def resume(self) -> None:
        """It is there again, with all that it kept; and then the check."""
        if self.interrupted:
            self.interrupted = False
            self.check()

    def check(self) -> None:
        """The counter, behind all that was announced before."""
        if not self.interrupted:
            while self.announced:
                self.hear()
            self.manager.checked(self.action)

    def wait(self) -> None:
        """Time passes."""
        self.clock.advance(self.random.choice([0.1, 1, 6]))

    def step(self) -> None:
        """Any of these."""
        self.random.choice(
            [
                self.change,
                self.change,
                self.hear,
                self.hear,
                self.ask,
                self.ask,
                self.answer,
                self.answer,
                self.wait,
                self.interrupt,
                self.resume,
                self.resume,
                self.check,
            ]
        )()

    def settle(self) -> None:
        """All that is under way arrives."""
        self.resume()
        self.check()
        self.clock.advance(STALE_SECONDS)
        while self.loads:
            self.answer()


class AnyOrderTests(SynchronousTestCase):
    """Many lives."""

    def shown(self, world: World, group_id: int) -> object:
        """What the manager shows; None if that is nothing."""
        group = world.manager.loaded(group_id)
        if group is None:
            return None
        return group.super, {uid: group.muted(uid) for uid in group.members}

    def test_in_the_end_what_is_at_hand_is_true(self) -> None:
        """Whatever happened before."""
        at_hand = 0
        for seed in range(600):
            world = World(seed)
            for _ in range(60):
                world.step()
            world.settle()
            for group_id in GROUPS:
                shown = self.shown(world, group_id)
                if shown is not None:
                    at_hand += 1
                    self.assertEqual(shown, world.groups.get(group_id), f"seed {seed}")
            world.manager.close()
            self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertGreater(at_hand, 200)
