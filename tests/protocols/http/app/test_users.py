"""Operations of the app API on users: tokens and settings."""

from typing import Any

from gobelieve.interfaces import Conversation
from gobelieve.names import User
from tests.protocols.http.app.app_case import (
    ALICE,
    AppCase,
)


class UserRouteTests(AppCase):
    """Tokens and settings of users."""

    def grant(self, uid: int, **more: Any) -> str:
        response = self.ask("POST", "/auth/grant", {"uid": uid, **more})
        self.assertEqual(response.code, 200)
        token: str = response.json["data"]["token"]
        return token

    def test_grant(self) -> None:
        """The token logs the user in. A second call returns the same one while it is valid."""
        token = self.grant(1, user_name="安", platform_id=2)
        self.assertRegex(token, r"\A[A-Za-z0-9]{30}\Z")
        self.assertEqual(self.grant(1), token)
        self.assertNotEqual(self.grant(2), token)
        self.assertEqual(self.gateway.memory.tokens[token], ALICE)
        self.assertEqual(self.gateway.memory.names, {ALICE: "安"})
        bad: Any
        for bad in ({}, {"uid": 0}, {"uid": -1}, {"uid": 1, "user_name": 5}):
            self.refused(400, "invalid json format", "POST", "/auth/grant", bad)

    def test_revoke_a_user(self) -> None:
        """The token is invalid, and all connections of the user end, at all gateways."""
        token = self.grant(1)
        phone, other = self.gateway.client(1), self.gateway.client(2)
        self.good("POST", "/auth/revoke", {"uid": 1})
        self.assertNotIn(token, self.gateway.memory.tokens)
        self.assertEqual((phone.connection.ended, other.connection.ended), ("closed", None))
        self.assertEqual(self.users.told, [ALICE])
        self.assertNotEqual(self.grant(1), token)

    def test_revoke_a_token(self) -> None:
        """An app can only revoke tokens of its own users."""
        self.gateway.memory.tokens |= {"t-1": ALICE, "t-2": ALICE, "t-8": User(8, 1)}
        self.good("POST", "/auth/revoke", {"token": "t-1"})
        self.assertEqual(sorted(self.gateway.memory.tokens), ["t-2", "t-8"])
        for token in ("t-1", "t-8", ""):
            self.refused(404, "token not found", "POST", "/auth/revoke", {"token": token})
        for bad in ({}, {"uid": 1, "token": "t-2"}):
            self.refused(400, "invalid param", "POST", "/auth/revoke", bad)

    def test_another_gateway_ends_sessions(self) -> None:
        """An announcement that cannot be read is ignored."""
        phone, other = self.gateway.client(1), self.gateway.client(1, appid=8)
        ended_sessions = self.gateway.ended_sessions
        for content in (b"", b"7", b"7,x", b"7,1,1", b"7,1\n", b"x" * 1000, b"7,2"):
            ended_sessions.announced(content)
        self.assertIsNone(phone.connection.ended)
        ended_sessions.announced(b"7,1")
        self.assertEqual((phone.connection.ended, other.connection.ended), ("closed", None))
        largest = self.gateway.client((1 << 63) - 1)
        ended_sessions.announced(b"7,%d" % ((1 << 63) - 1))
        self.assertEqual(largest.connection.ended, "closed")

    def test_settings(self) -> None:
        """Each setting is changed by a call of its own, with either method."""
        memory = self.gateway.memory
        for method in ("POST", "PATCH"):
            self.good(method, "/users/1", {"name": "Ann"})
            self.assertEqual(memory.names, {ALICE: "Ann"})
            for yes, no in ((True, False), (1, 0)):
                self.good(method, "/users/1", {"forbidden": yes})
                self.good(method, "/users/1", {"mute": no})
                self.assertEqual((memory.forbidden, memory.notification_on), ({ALICE}, {ALICE}))
                self.good(method, "/users/1", {"forbidden": no})
                self.good(method, "/users/1", {"mute": yes})
                self.assertEqual((memory.forbidden, memory.notification_on), (set(), set()))
            for on in (1, 0):
                self.good(method, "/users/1", {"do_not_disturb": {"peer_uid": 2, "on": on}})
                silent = {(ALICE, Conversation(2, 0))} if on else set()
                self.assertEqual(self.users.silent, silent)

    def test_forbidden_counts_at_once(self) -> None:
        """Connected sessions are forbidden at once; other gateways hear of it from Redis."""
        alice = self.gateway.client(1)
        for forbidden in (True, False):
            self.good("PATCH", "/users/1", {"forbidden": forbidden})
            self.assertIs(alice.session.forbidden, forbidden)

    def test_not_exactly_one_setting(self) -> None:
        """An unknown setting is not one; a value of another shape is refused."""
        bad: Any
        for bad in ({}, {"avatar": "x"}, {"name": "x", "mute": 1}):
            self.refused(400, "invalid param", "PATCH", "/users/1", bad)
        for bad in ({"forbidden": 2}, {"mute": "yes"}, {"do_not_disturb": {"peer_uid": 2}}):
            self.refused(400, "invalid json format", "PATCH", "/users/1", bad)

    def test_when_the_store_is_away(self) -> None:
        """The answer is 503."""
        self.gateway.memory.away = True
        self.refused(503, "service unavailable", "POST", "/auth/grant", {"uid": 1})
        self.refused(503, "service unavailable", "POST", "/auth/revoke", {"uid": 1})
        self.refused(503, "service unavailable", "PATCH", "/users/1", {"mute": 1})

    def test_where_tokens_are_signed_none_is_granted(self) -> None:
        """A token of the gateway would log nobody in."""
        self.begin(auth_method="jwt", jwt_signing_key="k" * 32)
        for path in ("/auth/grant", "/auth/revoke"):
            self.refused(501, "not implemented", "POST", path, {"uid": 1})
