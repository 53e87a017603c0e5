"""Bans from speaking in rooms, while users are connected."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.checks.recent_changes import LoginsInFlight
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.delivery.in_batches import BATCH_SECONDS, RETRY_SECONDS
from gobelieve.interfaces import Identity, Settings
from gobelieve.names import User
from gobelieve.support import throttled_log
from gobelieve.wire import client
from tests.gateway.support import APP, TestClient, TestGateway
from tests.protocols.logs import Events

ALICE = User(APP, 1)


class RoomBanTests(SynchronousTestCase):
    """Announcements of the app's server."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)
        self.other = self.gateway.client(1, device="other")

    def forbidden(self) -> list[bool]:
        """Return the bans of Alice's sessions."""
        return [session.forbidden for session in self.gateway.sessions.of(ALICE)]

    def test_a_change_counts_at_once_and_for_all_sessions(self) -> None:
        """And is taken back as fast."""
        self.gateway.room_bans.announced(b"7,1,1")
        self.assertEqual(self.forbidden(), [True, True])
        self.gateway.room_bans.announced(b" 7, 1 ,0\n")
        self.assertEqual(self.forbidden(), [False, False])

    def test_others_are_not_meant(self) -> None:
        """Nor the same number in another app."""
        for content in (b"7,2,1", b"8,1,1", b"7,-1,1"):
            self.gateway.room_bans.announced(content)
        self.assertEqual(self.forbidden(), [False, False])
        self.assertEqual(self.gateway.counters["speak_forbidden"], 3)

    def test_what_makes_no_sense(self) -> None:
        """Is counted, and said once a minute."""
        events = Events()
        gateway = self.gateway
        room_bans = RoomBans(
            world=gateway.world(log=events.log()),
            sessions=gateway.sessions,
            preferences=gateway.preferences,
            logins=LoginsInFlight(),
        )
        bad = (
            b"",
            b"7,1",
            b"7,1,2",
            b"7,1,1,1",
            b"x,1,1",
            b"7,1,true",
            b"\xff",
            b"7,9999999999999999999,1",
        )
        for content in bad:
            room_bans.announced(content)
        self.assertEqual(gateway.counters["speak_forbidden_malformed"], len(bad))
        self.assertEqual(len(events.texts()), 1)
        gateway.clock.advance(throttled_log.INTERVAL)
        room_bans.announced(b"again")
        self.assertIn("again", events.texts()[1])
        self.assertEqual(self.forbidden(), [False, False])

    def test_what_was_missed_is_read_again(self) -> None:
        """After an interruption each connected user is banned or allowed as the store says."""
        bob = self.gateway.client(2)
        bob.session.forbidden = True
        self.gateway.memory.forbidden.add(ALICE)
        self.gateway.room_bans.listening()
        self.assertEqual(self.forbidden(), [False, False])
        self.gateway.clock.advance(BATCH_SECONDS)
        self.assertEqual(self.forbidden(), [True, True])
        self.assertFalse(bob.session.forbidden)

    def test_it_cannot_be_read(self) -> None:
        """Then it is read later; meanwhile all stays as it was."""
        self.gateway.memory.forbidden.add(ALICE)
        self.gateway.memory.away = True
        self.gateway.room_bans.listening()
        self.gateway.clock.advance(BATCH_SECONDS)
        self.assertEqual(self.forbidden(), [False, False])
        self.gateway.memory.away = False
        self.gateway.clock.pump([RETRY_SECONDS, RETRY_SECONDS])
        self.assertEqual(self.forbidden(), [True, True])

    def test_a_change_while_it_is_read(self) -> None:
        """Is newer than what was read."""
        waited: Deferred[None] = Deferred()

        async def slow(user: User) -> Settings:
            await waited
            return Settings(True, False)

        self.patch(self.gateway.preferences, "of", slow)
        self.gateway.room_bans.listening()
        self.gateway.clock.advance(BATCH_SECONDS)
        self.gateway.room_bans.announced(b"7,1,0")
        waited.callback(None)
        self.assertEqual(self.forbidden(), [False, False])


class LoginTests(SynchronousTestCase):
    """Changes while somebody logs in."""

    def setUp(self) -> None:
        self.gateway = TestGateway()

    def slow_login(self, forbidden: bool) -> tuple[TestClient, Deferred[Identity | None]]:
        """A login that was begun, and its end."""
        pending: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = pending
        alice = self.gateway.connect()
        alice.log_in("t", version=2)
        return alice, pending

    def test_a_change_that_comes_during_a_login(self) -> None:
        """Counts, whatever the login read before it."""
        alice, pending = self.slow_login(False)
        self.gateway.room_bans.announced(b"7,1,1")
        pending.callback(Identity(ALICE, False, False))
        self.assertTrue(alice.session.forbidden)
        alice.say(client.EnterRoom(room=5), client.RoomIM(sender=1, receiver=5, content=b"x"))
        self.assertEqual(alice.messages()[-1], client.Ack(seq=3, status=112))

    def test_a_login_that_takes_very_long(self) -> None:
        """However long the stores take to answer, a change in between is not forgotten."""
        alice, pending = self.slow_login(False)
        self.gateway.room_bans.announced(b"7,1,1")
        self.gateway.clock.advance(3600)
        self.gateway.room_bans.announced(b"7,2,1")
        pending.callback(Identity(ALICE, False, False))
        self.assertTrue(alice.session.forbidden)

    def test_a_change_from_before_does_not(self) -> None:
        """The login reads the newer value; the change is forgotten when no login is in flight."""
        self.gateway.room_bans.announced(b"7,1,1")
        self.gateway.clock.advance(1)
        alice, pending = self.slow_login(False)
        pending.callback(Identity(ALICE, False, False))
        self.assertFalse(alice.session.forbidden)
        self.gateway.room_bans.announced(b"7,2,1")
        self.assertEqual(len(self.gateway.room_bans._recent), 0)
