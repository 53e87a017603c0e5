"""What the routes of posts and of reads share: parameters, and the content of a message."""

from collections.abc import Callable
from typing import TypeVarTuple

from gobelieve.event_loop.waiting import called_back
from gobelieve.protocols.http.routes import HttpError, Parameter, not_done
from gobelieve.protocols.http.shapes import Integer
from gobelieve.wire.frames import CLIENT_BODY_LIMIT

Arguments = TypeVarTuple("Arguments")

CONTENT_LIMIT = CLIENT_BODY_LIMIT - 36
"""Bytes of a message's content: with the longest head a frame carries it."""

ID = Integer()
APPID = Parameter("appid", ID, "The app.")
UID = Parameter("uid", ID, "The user.")


async def posted(
    post: Callable[[*Arguments, Callable[[int], None]], None], *arguments: *Arguments
) -> None:
    """Post a message, and wait until it is stored and delivered; `HttpError` if it is not."""
    (status,) = await called_back(post, *arguments)
    if status:
        raise not_done(status)


def encoded(content: str) -> bytes:
    """The content as it is stored; `HttpError` if it is too large."""
    return fitting(content.encode())


def fitting(content: bytes) -> bytes:
    """Return the content; `HttpError` if it is too large."""
    if len(content) > CONTENT_LIMIT:
        detail = f"{len(content)} bytes of content, the limit is {CONTENT_LIMIT}"
        raise HttpError(413, "message too large", detail)
    return content
