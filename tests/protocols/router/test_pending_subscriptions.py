"""The users and rooms that a router must still be told about."""

from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import Room, User
from gobelieve.protocols.router.pending_subscriptions import (
    Owns,
    PendingSubscriptions,
    owns_all,
    owns_none,
)
from gobelieve.wire import FrameReader, Message, decode, route
from tests.fakes.subscribers import FakeHeld, FakeRooms

ALICE, BOB = User(7, 1), User(7, 2)


class PendingSubscriptionsTests(SynchronousTestCase):
    """Each user and room is reported once, with its present state."""

    def setUp(self) -> None:
        self.held = FakeHeld({ALICE: True, BOB: False})
        self.rooms = FakeRooms({Room(7, 50), Room(7, 51)})

    def pending(
        self, owns_user: Owns = owns_all, owns_room: Owns = owns_all
    ) -> PendingSubscriptions:
        """Return all users and rooms that belong to the router, pending."""
        made = PendingSubscriptions(self.held, self.rooms, owns_user=owns_user, owns_room=owns_room)
        made.add_all()
        return made

    def taken(self, pending: PendingSubscriptions, at_once: int = 100) -> list[Message]:
        """Take some, and return their messages."""
        data = pending.take(at_once, count(1).__next__)
        frames = FrameReader(100).feed(data)
        self.assertEqual([f.seq for f in frames], list(range(1, len(frames) + 1)))
        self.assertEqual({f.version for f in frames}, {route.OUTER_VERSION})
        return [decode(frame) for frame in frames]

    def test_everything(self) -> None:
        """Users come before rooms."""
        pending = self.pending()
        self.assertEqual(len(pending), 4)
        self.assertCountEqual(
            self.taken(pending),
            [
                route.Subscribe(appid=7, uid=1, online=1),
                route.Subscribe(appid=7, uid=2, online=0),
                route.SubscribeRoom(appid=7, room_id=50),
                route.SubscribeRoom(appid=7, room_id=51),
            ],
        )
        self.assertFalse(pending)

    def test_only_ids_of_the_router(self) -> None:
        """Ids of other routers are not pending."""
        pending = self.pending(lambda id_: id_ % 2 == 0, owns_none)
        self.assertEqual((set(pending.users), set(pending.rooms)), ({BOB}, set()))

    def test_count(self) -> None:
        """The count limits users and rooms together."""
        pending = self.pending()
        self.assertEqual([len(self.taken(pending, 3)) for _ in range(2)], [3, 1])

    def test_users_and_rooms_that_are_gone(self) -> None:
        """They are unsubscribed, since the router may know them."""
        pending = self.pending()
        self.held.clear()
        self.rooms.clear()
        labels = [message.label for message in self.taken(pending)]
        self.assertEqual(labels, ["UNSUBSCRIBE"] * 2 + ["UNSUBSCRIBE_ROOM"] * 2)

    def test_changes_while_pending(self) -> None:
        """The state at the time of sending is reported."""
        pending = self.pending(owns_room=owns_none)
        self.held[BOB] = True
        del self.held[ALICE]
        self.assertCountEqual(
            self.taken(pending),
            [route.Unsubscribe(appid=7, uid=1), route.Subscribe(appid=7, uid=2, online=1)],
        )

    def test_clear(self) -> None:
        """Nothing is pending any more."""
        pending = self.pending()
        pending.clear()
        self.assertEqual(len(pending), 0)
