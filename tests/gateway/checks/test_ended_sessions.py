"""Users whose connections are to end."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BackendError
from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.recent_changes import LoginsInFlight
from gobelieve.interfaces import Identity
from gobelieve.names import User
from gobelieve.support.throttled_log import INTERVAL
from tests.gateway.support import APP, TestGateway
from tests.protocols.logs import Events

ALICE = User(APP, 1)


class LoginTests(SynchronousTestCase):
    """A token is revoked while somebody logs in with it."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.ended_sessions = self.gateway.ended_sessions

    def test_a_login_that_had_begun(self) -> None:
        """It may have found the token while it was good. So it is as if the connection was lost:
        who comes again is judged anew."""
        for slow, ended in ((ALICE, "closed"), (User(APP, 2), None)):
            pending: Deferred[Identity | None] = Deferred()
            self.gateway.tokens.pending = pending
            client = self.gateway.connect()
            client.log_in("t")
            self.ended_sessions.announced(b"7,1")
            pending.callback(Identity(slow, False, False))
            self.assertEqual(client.connection.ended, ended)
            self.assertEqual(len(self.gateway.sessions.of(slow)), 0 if ended else 1)
            self.assertEqual(bool(client.messages()), not ended)

    def test_a_login_that_begins_later(self) -> None:
        """It has asked for the token later too."""
        self.ended_sessions.announced(b"7,1")
        self.gateway.clock.advance(0.001)
        self.assertIsNone(self.gateway.client(1).connection.ended)

    def test_a_login_that_takes_very_long(self) -> None:
        """However long the stores take to answer, the end of its sessions is not forgotten."""
        pending: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = pending
        client = self.gateway.connect()
        client.log_in("t")
        self.ended_sessions.announced(b"7,1")
        self.gateway.clock.advance(3600)
        self.ended_sessions.announced(b"7,2")
        pending.callback(Identity(ALICE, False, False))
        self.assertEqual(client.connection.ended, "closed")
        self.assertEqual(len(self.gateway.sessions.of(ALICE)), 0)

    def test_it_is_not_remembered_for_ever(self) -> None:
        """Only as long as a login is in flight that began before."""
        self.ended_sessions.announced(b"7,1")
        self.assertEqual(len(self.ended_sessions._recent), 0)
        pending: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = pending
        self.gateway.connect().log_in("t")
        self.ended_sessions.announced(b"7,1")
        self.ended_sessions.announced(b"7,2")
        self.assertEqual(len(self.ended_sessions._recent), 2)
        pending.callback(None)
        self.ended_sessions.announced(b"7,3")
        self.assertEqual(len(self.ended_sessions._recent), 0)

    def test_a_login_without_an_answer(self) -> None:
        """A login that failed is not in flight any more."""
        pending: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = pending
        self.gateway.connect().log_in("t")
        pending.errback(BackendError("away"))
        self.ended_sessions.announced(b"7,1")
        self.assertEqual(len(self.ended_sessions._recent), 0)


class AnnouncedTests(SynchronousTestCase):
    """Announcements of other gateways."""

    def test_what_makes_no_sense(self) -> None:
        """A malformed announcement ends nothing, and is logged once per minute."""
        events = Events()
        gateway = TestGateway()
        client = gateway.client(1)
        ended_sessions = EndedSessions(
            gateway.sessions, LoginsInFlight(), gateway.world(log=events.log())
        )
        for content in (b"", b"7", b"7,1,2", b"x,1", b"\xff"):
            ended_sessions.announced(content)
        self.assertEqual(events.texts(), ["sessions_ended: b'' is not appid,uid"])
        gateway.clock.advance(INTERVAL)
        ended_sessions.announced(b"7;1")
        self.assertIn("7;1", events.texts()[1])
        self.assertIsNone(client.connection.ended)
