"""Rooms: who is in which, who may speak, who hears it."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import WireError
from gobelieve.names import AckStatus, Room, User
from gobelieve.wire import Frame, client
from tests.gateway.support import APP, TestClient, TestGateway

ROOM = 50


def said(sender: int, room: int = ROOM) -> client.RoomIM:
    """Something for a room."""
    return client.RoomIM(sender=sender, receiver=room, content=b"hello")


class RoomTestCase(SynchronousTestCase):
    """Three users, none in a room."""

    def setUp(self) -> None:
        self.start(TestGateway())

    def start(self, gateway: TestGateway) -> None:
        """Log Alice and Bob in at a gateway."""
        self.gateway = gateway
        self.alice = gateway.client(1, version=2, device="a")
        self.bob = gateway.client(2, version=2, device="b")
        self.eve = gateway.client(3, version=2, device="e")
        gateway.routing.take()

    def enter(self, *clients: TestClient, room: int = ROOM) -> None:
        """They enter; nothing is answered."""
        for one in clients:
            one.say(client.EnterRoom(room=room))
            self.assertEqual(one.messages(), [])

    def refused(self, who: TestClient, message: client.RoomIM, status: int) -> None:
        """Acked with the status, and told to nobody."""
        self.gateway.routing.take()
        seq = who.say(message)
        self.assertEqual(who.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual(self.gateway.routing.take(), [])


class SpeakingTests(RoomTestCase):
    """Messages in a room, ROOM_IM."""

    def test_everybody_in_the_room_hears_it_but_who_said_it(self) -> None:
        """Here and at other gateways; then comes the ack."""
        self.enter(self.alice, self.bob)
        self.gateway.routing.take()
        seq = self.alice.say(said(1))
        self.assertEqual(self.bob.messages(), [said(1)])
        self.assertEqual(self.alice.messages(), [client.Ack(seq=seq)])
        self.assertEqual(self.eve.messages(), [])
        published = self.gateway.routing.take()
        self.assertEqual(published, [("publish_room", Room(APP, ROOM), 20, said(1).encode(), 0)])

    def test_another_device_of_the_speaker_hears_it(self) -> None:
        """Only the very session is left out."""
        tablet = self.gateway.client(1, device="tablet")
        self.enter(self.alice, tablet)
        self.alice.say(said(1))
        self.assertEqual(tablet.messages(), [said(1)])

    def test_who_is_not_in_the_room_may_not_speak_in_it(self) -> None:
        """Nor in another than the own."""
        self.enter(self.alice)
        self.refused(self.bob, said(2), AckStatus.WRONG_ROOM)
        self.refused(self.alice, said(1, 51), AckStatus.WRONG_ROOM)

    def test_nobody_speaks_as_somebody_else(self) -> None:
        """The original did not look."""
        self.enter(self.alice, self.bob)
        self.refused(self.bob, said(1), AckStatus.FORGED_SENDER)

    def test_who_is_forbidden_to_speak_is_told(self) -> None:
        """At login, or from one moment to the next; and may speak again as suddenly."""
        self.gateway.memory.forbidden.add(User(APP, 4))
        late = self.gateway.client(4, version=2)
        self.enter(self.alice, self.bob, late)
        self.refused(late, said(4), AckStatus.FORBIDDEN)
        self.gateway.room_bans.speak_forbidden(User(APP, 2), True)
        self.refused(self.bob, said(2), AckStatus.FORBIDDEN)
        self.gateway.room_bans.speak_forbidden(User(APP, 2), False)
        self.bob.say(said(2))
        self.assertEqual(self.alice.messages(), [said(2)])

    def test_a_room_of_another_app_is_another_room(self) -> None:
        """Numbers are the app's own."""
        other = self.gateway.client(1, appid=8)
        self.enter(self.alice, self.bob, other)
        self.alice.say(said(1))
        self.assertEqual(other.messages(), [])

    def test_what_is_too_short_ends_the_connection(self) -> None:
        """A body without sender and room closes the connection, like all malformed bodies."""
        self.alice.session.received([Frame(20, 2, 0, 1, bytes(15))])
        self.assertIsInstance(self.alice.connection.cut_for, WireError)


class EnteringTests(RoomTestCase):
    """Entering and leaving: ENTER_ROOM and LEAVE_ROOM."""

    def told(self) -> list[tuple[object, ...]]:
        """Return the calls to the routers since the last call."""
        return self.gateway.routing.take()

    def test_routers_hear_of_the_first_and_of_the_last_only(self) -> None:
        """However many are in it."""
        self.enter(self.alice, self.bob)
        self.assertEqual(self.told(), [("subscribe_room", Room(APP, ROOM))])
        self.alice.say(client.LeaveRoom(room=ROOM))
        self.assertEqual(self.told(), [])
        self.bob.hang_up()
        self.assertIn(("unsubscribe_room", Room(APP, ROOM)), self.told())

    def test_who_enters_another_room_leaves_the_one_before(self) -> None:
        """Apps rely on it: they send no LEAVE_ROOM."""
        self.enter(self.alice, self.bob)
        self.enter(self.alice, room=51)
        self.bob.say(said(2))
        self.assertEqual(self.alice.messages(), [])
        self.refused(self.alice, said(1), AckStatus.WRONG_ROOM)

    def test_a_site_may_allow_several_rooms_at_once(self) -> None:
        """A session that enters one room too many leaves the first."""
        self.start(TestGateway(rooms_at_once=2))
        for room in (50, 51, 52):
            self.enter(self.alice, room=room)
        self.assertEqual(self.alice.session.rooms, (51, 52))
        for room in (51, 52):
            self.enter(self.bob, room=room)
        for room in (51, 52):
            self.bob.say(said(2, room))
        self.assertEqual(self.alice.messages(), [said(2, 51), said(2, 52)])
        self.alice.hang_up()
        self.assertNotIn(self.alice.session, self.gateway.rooms.of(Room(APP, 51)))

    def test_entering_twice_and_leaving_what_one_is_not_in_change_nothing(self) -> None:
        """Nor does room 0, which is none."""
        self.enter(self.alice, self.alice)
        self.enter(self.bob, room=0)
        self.alice.say(client.LeaveRoom(room=99))
        self.assertEqual(self.told(), [("subscribe_room", Room(APP, ROOM))])
        self.assertEqual((self.alice.session.rooms, self.bob.session.rooms), ((ROOM,), ()))

    def test_a_device_is_in_a_room_once(self) -> None:
        """Its old connection may be dead; it would get everything twice. Browsers have no number,
        so each tab stays."""
        again = self.gateway.client(1, version=2, device="a")
        self.enter(self.alice, self.bob, again)
        self.bob.say(said(2))
        self.assertEqual((self.alice.messages(), again.messages()), ([], [said(2)]))
        self.refused(self.alice, said(1), AckStatus.WRONG_ROOM)
        tabs = [self.gateway.client(5, platform=3) for _ in range(2)]
        self.bob.messages()
        self.enter(*tabs)
        self.bob.say(said(2))
        self.assertEqual([tab.messages() for tab in tabs], [[said(2)], [said(2)]])

    def test_a_device_that_comes_again_leaves_no_gap(self) -> None:
        """To the router the room is there all the time."""
        again = self.gateway.client(1, version=2, device="a")
        self.enter(self.alice)
        self.gateway.routing.take()
        self.enter(again)
        self.assertEqual(self.gateway.routing.take(), [])

    def test_what_is_sent_behind_entering_waits_until_the_router_knows(self) -> None:
        """An answer to the client's first message in the room is not lost."""
        waiting: list[Callable[[], None]] = []
        self.gateway.routing.waiting = waiting
        self.alice.say(client.EnterRoom(room=ROOM), said(1))
        self.assertEqual(self.alice.messages(), [])
        waiting.pop()()
        self.assertEqual([type(one).label for one in self.alice.messages()], ["ACK"])

    def test_before_login_there_are_no_rooms(self) -> None:
        """The gateway ignores ENTER_ROOM."""
        stranger = self.gateway.connect()
        stranger.say(client.EnterRoom(room=ROOM), said(0))
        self.assertEqual((stranger.messages(), len(self.gateway.rooms)), ([], 0))
