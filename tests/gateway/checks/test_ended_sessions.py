"""Users whose connections are to end."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.checks.ended_sessions import LONGEST_LOGIN
from gobelieve.interfaces import Identity
from gobelieve.names import User
from tests.gateway.support import APP, TestGateway

ALICE = User(APP, 1)


class LoginTests(SynchronousTestCase):
    """A token is revoked while somebody logs in with it."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.endings = self.gateway.gateway.endings

    def test_a_login_that_had_begun(self) -> None:
        """It may have found the token while it was good. So it is as if the connection was lost:
        who comes again is judged anew."""
        for slow, ended in ((ALICE, "closed"), (User(APP, 2), None)):
            pending: Deferred[Identity | None] = Deferred()
            self.gateway.tokens.pending = pending
            client = self.gateway.connect()
            client.log_in("t")
            self.endings.announced(b"7,1")
            pending.callback(Identity(slow, False, False))
            self.assertEqual(client.connection.ended, ended)
            self.assertEqual(len(self.gateway.sessions.of(slow)), 0 if ended else 1)
            self.assertEqual(bool(client.messages()), not ended)

    def test_a_login_that_begins_later(self) -> None:
        """It has asked for the token later too."""
        self.endings.announced(b"7,1")
        self.gateway.clock.advance(0.001)
        self.assertIsNone(self.gateway.client(1).connection.ended)

    def test_it_is_not_remembered_for_ever(self) -> None:
        """No login takes so long."""
        self.endings.announced(b"7,1")
        self.gateway.clock.advance(LONGEST_LOGIN + 1)
        self.endings.announced(b"7,2")
        self.assertEqual(list(self.endings._recent), [User(APP, 2)])
