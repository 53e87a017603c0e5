"""Tokens that say themselves whom they stand for: JSON Web Tokens, signed with a key of the site's.

An app's backend makes them and nothing needs to be kept: claims ``appid`` and ``uid`` (numbers),
and ``exp``, ``nbf``, ``iat`` if it wants them; HS256, HS384 or HS512. RFC 7519; the names of the
claims are upstream's. A token must fit the 255 bytes that AUTH_TOKEN has for it.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import jwt
from twisted.logger import Logger

from gobelieve.interfaces import Identity, Preferences
from gobelieve.names import User

ALGORITHMS = ["HS256", "HS384", "HS512"]
LEEWAY = 5.0
"""Seconds by which the clocks of the app's backend and ours may differ."""
SHORT_KEY = 32
"""A key of fewer bytes can be found out by trying."""

_INT64 = range(-(1 << 63), 1 << 63)
# Of what a token may say beyond that, nothing concerns us.
_OPTIONS: Any = {f"verify_{claim}": False for claim in ("aud", "iss", "sub", "jti")}


class JwtTokens:
    """`gobelieve.interfaces.Tokens`.

    `keys`: a token signed with any of them is good. To change the key without sending anybody
    away, put the new one in front and leave the old one behind it until its tokens have expired.
    """

    log = Logger()

    def __init__(self, keys: Sequence[str], preferences: Preferences) -> None:
        self._keys = [key.encode() for key in keys if key]
        self._preferences = preferences
        if any(len(key) < SHORT_KEY for key in self._keys):
            self.log.warn(
                "a signing key has fewer than {least} bytes and can be found out by trying",
                least=SHORT_KEY,
            )

    async def find(self, token: str) -> Identity | None:
        """None too if it has expired, is not valid yet, or names no user."""
        claims = self._claims(token)
        user = User(_number(claims.get("appid")), _number(claims.get("uid")))
        if user.uid == 0:
            return None
        return Identity(user, *await self._preferences.of(user))

    def _claims(self, token: str) -> dict[str, Any]:
        for key in self._keys:
            try:
                with warnings.catch_warnings():
                    # Said once above, in our own words.
                    warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
                    return jwt.decode(token, key, ALGORITHMS, _OPTIONS, leeway=LEEWAY)
            except jwt.InvalidTokenError:
                continue
        return {}


def _number(claim: object) -> int:
    """The claim as a whole number; 0 if it is none, as upstream takes it."""
    if isinstance(claim, float) and claim.is_integer():
        claim = int(claim)
    if isinstance(claim, int) and not isinstance(claim, bool) and claim in _INT64:
        return claim
    return 0
