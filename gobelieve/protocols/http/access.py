"""Access to the HTTP API for callers that have one of the site's keys.

Without keys the API is open to programs on this machine: the configuration makes sure that nobody
else can connect. But a browser on this machine sends requests for any page that it shows. So a
request of another site's page, or for another host's name, is refused.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.web.server import Request

from gobelieve.config import is_loopback
from gobelieve.protocols.http.errors import HttpError

_OURS = (None, b"same-origin", b"none")


class ApiKeys:
    """`Access` for callers that send ``Authorization: Bearer KEY``, with any of the keys."""

    name = "key"

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def scheme(self) -> Mapping[str, Any] | None:
        if not self._keys:
            return None
        description = "One of the configuration's `http_api_keys`."
        return {"type": "http", "scheme": "bearer", "description": description}

    def check(self, request: Request) -> None:
        if not self._keys:
            _refuse_pages(request)
            return
        header = request.getHeader(b"authorization") or b""
        kind, _, key = header.partition(b" ")
        key = key.strip()
        # All keys are compared, so the time does not show which one was nearly right.
        right = [hmac.compare_digest(key, one) for one in self._keys]
        if kind.lower() != b"bearer" or not any(right):
            raise HttpError(401, "unauthorized", headers={"www-authenticate": "Bearer"})


def _refuse_pages(request: Request) -> None:
    # The headers are compared as bytes, since they need not be text.
    site = request.getHeader(b"sec-fetch-site")
    origin = request.getHeader(b"origin")
    if (origin is not None and site is None) or site not in _OURS:
        raise HttpError(403, "forbidden", "a page of another site asks for this")
    host = request.getRequestHostname().decode("latin-1").strip("[]")
    if host and not is_loopback(host):
        raise HttpError(403, "forbidden", "asked for under a name that is not this machine's own")
