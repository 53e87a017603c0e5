"""Access to the app API, for servers of apps and for users.

The server of an app sends ``Authorization: Basic`` with the app's id as the name. The password is
the MD5 of the secret in hexadecimal, as clients of the Go server send it, or the secret itself. A
user sends the token of the login, as ``Authorization: Bearer``.
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
    """The app that a caller claims to be, and its proof, not yet checked."""

    appid: int
    password: bytes


class AppAccess:
    """`Access` for servers of apps. `app` checks the proof: it may have to read the secrets."""

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
        """Return the claim, unchecked; raise `HttpError` 401 if there is none."""
        kind, _, text = (request.getHeader(b"authorization") or b"").partition(b" ")
        try:
            name, colon, password = b64decode(text.strip(), validate=True).partition(b":")
        except binascii.Error:
            raise self._refused() from None
        if kind.lower() != b"basic" or not colon or not _APPID.fullmatch(name):
            raise self._refused()
        return Claim(int(name), password)

    async def app(self, claim: Claim) -> int:
        """Return the id of the app, if its proof is right; raise `HttpError` 401."""
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
    """`Access` for users. `user` looks the token up, which may take time."""

    name = "user"

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def scheme(self) -> Mapping[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The token of the login."}

    def check(self, request: Request) -> str:
        """Return the token, unchecked; raise `HttpError` 401 if there is none."""
        kind, _, token = (request.getHeader(b"authorization") or b"").partition(b" ")
        if kind.lower() != b"bearer":
            raise _unauthorized()
        try:
            return token.strip().decode()
        except UnicodeDecodeError:
            raise _unauthorized() from None

    async def user(self, token: str) -> User:
        """Return the user whose token it is; raise `HttpError` 401."""
        identity = await self._tokens.find(token)
        if identity is None:
            raise _unauthorized()
        return identity.user


def _unauthorized() -> HttpError:
    return HttpError(401, "unauthorized", headers={"www-authenticate": "Bearer"})
