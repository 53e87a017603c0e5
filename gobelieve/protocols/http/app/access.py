"""How the server of an app proves which app it is, and a user who he is.

The server sends ``Authorization: Basic`` with the app's id as the name. The password is the MD5 of
the secret in hexadecimal, which is what upstream's clients send, or the secret itself. A user sends
the token of the login, as ``Authorization: Bearer``.
"""

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import md5
from typing import Any, NamedTuple

from twisted.web.server import Request

from gobelieve.interfaces import AppSecrets, Tokens
from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.protocols.http.errors import HttpError

_APPID = re.compile(rb"[0-9]{1,18}", re.ASCII)


class Claim(NamedTuple):
    """What somebody says who asks."""

    appid: int
    password: bytes


class AppAccess:
    """`gobelieve.protocols.http.router.Access` for servers of apps."""

    name = "app"

    def __init__(self, secrets: AppSecrets, counters: Counters) -> None:
        self._secrets = secrets
        self._counters = counters

    def scheme(self) -> Mapping[str, Any]:
        return {
            "type": "http",
            "scheme": "basic",
            "description": "The name is the id of the app, the password the MD5 of its secret in "
            "hexadecimal, or the secret itself.",
        }

    def check(self, request: Request) -> Claim:
        """What is claimed. Whether it is true is for `app` to say, since that may take time."""
        kind, _, text = (request.getHeader(b"authorization") or b"").partition(b" ")
        try:
            name, colon, password = b64decode(text.strip(), validate=True).partition(b":")
        except binascii.Error:
            raise self._refused() from None
        if kind.lower() != b"basic" or not colon or not _APPID.fullmatch(name):
            raise self._refused()
        return Claim(int(name), password)

    async def app(self, claim: Claim) -> int:
        """The id of the app that asks."""
        secrets = [secret.encode() for secret in await self._secrets.of(claim.appid)]
        right = [
            hmac.compare_digest(claim.password.lower() if hashed else claim.password, one)
            for secret in secrets
            for hashed, one in ((True, _hashed(secret)), (False, secret))
        ]
        if not any(right):
            raise self._refused()
        return claim.appid

    def _refused(self) -> HttpError:
        self._counters.add("apps_refused")
        return HttpError(401, "unauthorized", headers={"www-authenticate": 'Basic realm="app"'})


def _hashed(secret: bytes) -> bytes:
    return md5(secret, usedforsecurity=False).hexdigest().encode()


class UserAccess:
    """`gobelieve.protocols.http.router.Access` for users."""

    name = "user"

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def scheme(self) -> Mapping[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The token of the login."}

    def check(self, request: Request) -> str:
        """The token."""
        kind, _, token = (request.getHeader(b"authorization") or b"").partition(b" ")
        if kind.lower() != b"bearer":
            raise _no_user()
        try:
            return token.strip().decode()
        except UnicodeDecodeError:
            raise _no_user() from None

    async def user(self, token: str) -> User:
        """Who asks."""
        identity = await self._tokens.find(token)
        if identity is None:
            raise _no_user()
        return identity.user


def _no_user() -> HttpError:
    return HttpError(401, "unauthorized", headers={"www-authenticate": "Bearer"})
