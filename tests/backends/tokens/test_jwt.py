"""Signed tokens: who gets in with which, and who does not."""

from typing import Any

import jwt
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.tokens.jwt import LEEWAY, JwtTokens
from gobelieve.errors import BackendError
from gobelieve.interfaces import Identity
from gobelieve.names import User
from tests.fakes.backends import Memory, MemoryPreferences
from tests.protocols.logs import Events

KEY, FORMER, FOREIGN = "k" * 64, "f" * 64, "x" * 64
ANN = User(7, 1001)
LARGEST = (1 << 63) - 1
NOW = 1_700_000_000


class JwtTests(SynchronousTestCase):
    """`JwtTokens`."""

    def setUp(self) -> None:
        self.memory = Memory()
        self.tokens = JwtTokens([KEY, FORMER], MemoryPreferences(self.memory))

    def find(self, token: str) -> Identity | None:
        """Whom it stands for."""
        found: Identity | None = self.successResultOf(
            Deferred.fromCoroutine(self.tokens.find(token))
        )
        return found

    def user_of(self, key: str = KEY, algorithm: str = "HS256", **claims: Any) -> User | None:
        """The user of a token with these claims."""
        found = self.find(jwt.encode({"appid": 7, "uid": 1001, **claims}, key, algorithm))
        return found and found.user

    def test_a_signed_token_logs_its_user_in_with_each_algorithm(self) -> None:
        """Nothing about it is kept anywhere."""
        for algorithm in ("HS256", "HS384", "HS512"):
            self.assertEqual(self.user_of(algorithm=algorithm), ANN)

    def test_the_users_settings_are_looked_up(self) -> None:
        """A token cannot say that somebody may speak."""
        self.memory.forbidden.add(ANN)
        token = jwt.encode({"appid": 7, "uid": 1001, "forbidden": 0}, KEY)
        self.assertEqual(self.find(token), Identity(ANN, True, False))

    def test_a_token_of_a_former_key_is_still_good(self) -> None:
        """While keys are changed."""
        self.assertEqual(self.user_of(FORMER), ANN)

    def test_a_foreign_signature_is_nobody(self) -> None:
        """Nor none at all, nor one cut off."""
        good = jwt.encode({"appid": 7, "uid": 1001}, KEY)
        unsigned = jwt.encode({"appid": 7, "uid": 1001}, "", "none")
        self.assertIsNone(self.user_of(FOREIGN))
        head, body, _ = good.split(".")
        changed = jwt.encode({"appid": 7, "uid": 1}, FOREIGN).split(".")[1]
        signature = good.split(".")[2]
        for token in (unsigned, f"{head}.{body}.", f"{head}.{changed}.{signature}", good[:-2]):
            self.assertIsNone(self.find(token), token)

    def test_what_is_no_token_is_nobody(self) -> None:
        """Whatever a client may send."""
        for token in ("", ".", "..", "a.b.c", "\0", "é" * 40, "a" * 255, "." * 255):
            self.assertIsNone(self.find(token), repr(token))

    def test_an_empty_key_opens_nothing(self) -> None:
        """Left in the list by mistake."""
        self.tokens = JwtTokens([KEY, ""], MemoryPreferences(self.memory))
        self.assertIsNone(self.user_of(FOREIGN))
        self.assertEqual(self.user_of(), ANN)

    def test_its_times_are_kept_to(self) -> None:
        """With some seconds for clocks that differ."""
        # The library looks at the clock itself, so times are far from now.
        self.assertIsNone(self.user_of(exp=NOW))
        self.assertIsNone(self.user_of(nbf=NOW * 2))
        self.assertIsNone(self.user_of(iat=NOW * 2))
        self.assertEqual(self.user_of(exp=NOW * 2, nbf=NOW, iat=NOW), ANN)
        self.assertGreater(LEEWAY, 0)

    def test_claims_that_are_not_ours_are_passed_over(self) -> None:
        """An audience, an issuer, a subject that is a number."""
        self.assertEqual(self.user_of(aud="web", iss="shop", sub=1001, jti=5, name="Ann"), ANN)

    def test_numbers_are_taken_as_json_has_them(self) -> None:
        """Whole ones of 64 bits; everything else is user 0, who is nobody."""
        self.assertEqual(self.user_of(uid=LARGEST), User(7, LARGEST))
        self.assertEqual(self.user_of(uid=1001.0), ANN)
        for wrong in (0, "1001", None, True, 1.5, LARGEST + 1, [1001], 1e300):
            self.assertIsNone(self.user_of(uid=wrong), repr(wrong))
        self.assertEqual(self.user_of(appid="7"), User(0, 1001))

    def test_while_settings_cannot_be_read_nobody_knows(self) -> None:
        """That is not the same as nobody: the client is to come again."""
        self.memory.away = True
        token = jwt.encode({"appid": 7, "uid": 1001}, KEY)
        self.failureResultOf(Deferred.fromCoroutine(self.tokens.find(token)), BackendError)

    def test_a_short_key_is_warned_of_once(self) -> None:
        """And no key is ever shown."""
        events = Events()
        self.patch(JwtTokens, "log", events.log())
        tokens = JwtTokens(["short"], MemoryPreferences(self.memory))
        token = jwt.encode({"appid": 7, "uid": 1001}, "short")
        self.flushWarnings()
        found = self.successResultOf(Deferred.fromCoroutine(tokens.find(token)))
        self.assertEqual(found, Identity(ANN, False, False))
        (warning,) = events.texts()
        self.assertIn("32", warning)
        self.assertNotIn("short", warning)
        self.assertEqual(self.flushWarnings(), [])
