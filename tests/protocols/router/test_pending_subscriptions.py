"""Of which users and rooms a router has still to be told."""

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


class UnsaidTests(SynchronousTestCase):
    """Each once, as it is when it is said."""

    def setUp(self) -> None:
        self.held = FakeHeld({ALICE: True, BOB: False})
        self.rooms = FakeRooms({Room(7, 50), Room(7, 51)})

    def pending(
        self, owns_user: Owns = owns_all, owns_room: Owns = owns_all
    ) -> PendingSubscriptions:
        """With all to say."""
        made = PendingSubscriptions(self.held, self.rooms, owns_user=owns_user, owns_room=owns_room)
        made.add_all()
        return made

    def said(self, pending: PendingSubscriptions, at_once: int = 100) -> list[Message]:
        """What is said next."""
        data = pending.take(at_once, count(1).__next__)
        frames = FrameReader(100).feed(data)
        self.assertEqual([f.seq for f in frames], list(range(1, len(frames) + 1)))
        self.assertEqual({f.version for f in frames}, {route.OUTER_VERSION})
        return [decode(frame) for frame in frames]

    def test_everything(self) -> None:
        """Users first."""
        pending = self.pending()
        self.assertEqual(len(pending), 4)
        self.assertCountEqual(
            self.said(pending),
            [
                route.Subscribe(appid=7, uid=1, online=1),
                route.Subscribe(appid=7, uid=2, online=0),
                route.SubscribeRoom(appid=7, room_id=50),
                route.SubscribeRoom(appid=7, room_id=51),
            ],
        )
        self.assertFalse(pending)

    def test_what_belongs_to_the_router(self) -> None:
        """Nothing else is looked at again."""
        pending = self.pending(lambda id_: id_ % 2 == 0, owns_none)
        self.assertEqual((set(pending.users), set(pending.rooms)), ({BOB}, set()))

    def test_slices(self) -> None:
        """So many of both together."""
        pending = self.pending()
        self.assertEqual([len(self.said(pending, 3)) for _ in range(2)], [3, 1])

    def test_who_left_meanwhile_is_said_to_be_gone(self) -> None:
        """The router may have been told of the user before."""
        pending = self.pending()
        self.held.clear()
        self.rooms.clear()
        labels = [message.label for message in self.said(pending)]
        self.assertEqual(labels, ["UNSUBSCRIBE"] * 2 + ["UNSUBSCRIBE_ROOM"] * 2)

    def test_what_changed_meanwhile_is_said_as_it_is(self) -> None:
        """Not as it was when it was noted."""
        pending = self.pending(owns_room=owns_none)
        self.held[BOB] = True
        del self.held[ALICE]
        self.assertCountEqual(
            self.said(pending),
            [route.Unsubscribe(appid=7, uid=1), route.Subscribe(appid=7, uid=2, online=1)],
        )

    def test_clear(self) -> None:
        """The connection is gone."""
        pending = self.pending()
        pending.clear()
        self.assertEqual(len(pending), 0)
