"""Steps that all posts share: check the content, post it, and wait until it is stored."""

from collections.abc import Callable
from typing import TypeVarTuple

from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.protocols.http.declarations.bodies import TextBody
from gobelieve.protocols.http.errors import HttpError, not_done
from gobelieve.protocols.http.openapi import ERRORS
from gobelieve.wire.frames import CLIENT_BODY_LIMIT

Arguments = TypeVarTuple("Arguments")

CONTENT_LIMIT = CLIENT_BODY_LIMIT - 36
"""Bytes of a message's content: a frame can carry so much behind the longest head."""

CONTENT = TextBody(f"The content, as apps receive it; at most {CONTENT_LIMIT:,} bytes.")
STORED = {503: ERRORS[503]}
"""Errors of posts that are stored."""
NO_GROUP = {404: "The app has no such group."}


async def posted(
    post: Callable[[*Arguments, Callable[[int], None]], None], *arguments: *Arguments
) -> None:
    """Post a message, and wait until it is stored and delivered; `HttpError` if it is not."""
    (status,) = await called_back(post, *arguments)
    if status:
        raise not_done(status)


async def posted_to_group(
    posts: GroupPosts, appid: int, sender: int, group_id: int, content: bytes
) -> None:
    """Post a message to a group; `HttpError` if there is no such group, or it is not stored."""
    group = await posts.find(appid, group_id)
    if group is None:
        raise HttpError(404, "group not found")
    await posted(posts.message, group, sender, content)


def encoded(content: str) -> bytes:
    """Return the content as it is stored; `HttpError` if it is too large."""
    return fitting(content.encode())


def fitting(content: bytes) -> bytes:
    """Return the content; `HttpError` if it is too large."""
    if len(content) > CONTENT_LIMIT:
        detail = f"{len(content)} bytes of content, the limit is {CONTENT_LIMIT}"
        raise HttpError(413, "message too large", detail)
    return content
