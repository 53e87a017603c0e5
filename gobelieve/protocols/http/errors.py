"""Errors that a request is answered with: a status, a message, and sometimes a detail."""

from collections.abc import Mapping

from gobelieve.names import AckStatus, status_name
from gobelieve.wire.go_json import encode


class HttpError(Exception):
    """An answer with a status of 4xx or 5xx: nothing was done, or not everything."""

    def __init__(
        self,
        code: int,
        message: str,
        detail: str = "",
        data: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.data = data
        """Stands beside ``meta`` in the answer, unless it is None."""
        self.headers = headers or {}

    def body(self) -> bytes:
        """Return the error as JSON."""
        meta: dict[str, object] = {"code": self.code, "message": self.message}
        if self.detail:
            meta["detail"] = self.detail
        return encode({"meta": meta} if self.data is None else {"meta": meta, "data": self.data})


def not_done(status: int, detail: str = "", data: object = None) -> HttpError:
    """Return the error for a message or a request that ended with an `AckStatus`."""
    if status == AckStatus.TOO_LARGE:
        return HttpError(413, "message too large", detail, data)
    reason = status_name(status).lower().replace("_", " ")
    return HttpError(503, reason, detail, data, {"retry-after": "1"})
