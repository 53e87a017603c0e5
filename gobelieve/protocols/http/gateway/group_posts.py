"""Posts to groups: messages, and notifications of what happened to a group."""

from gobelieve.gateway.rules.group_posts import GroupPosts as Posts
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import NoParameters, Parameter, Parameters
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import Boolean, NumbersOf, Text
from gobelieve.protocols.http.errors import HttpError
from gobelieve.protocols.http.gateway.parameters import APPID, ID, SENDER
from gobelieve.protocols.http.gateway.posting import (
    CONTENT,
    NO_GROUP,
    STORED,
    encoded,
    fitting,
    posted,
    posted_to_group,
)

MAX_NAMED_MEMBERS = 100_000
"""Members that a notification of a group may name."""


class ToGroup(Parameters):
    """A sender and a group."""

    appid = APPID
    sender = SENDER
    group = Parameter("receiver", ID, "The group.")


MESSAGE = Operation(
    "POST",
    "/post_group_message",
    "A message to a group.",
    ToGroup,
    CONTENT,
    errors={**STORED, **NO_GROUP},
    description="The sender need not be a member. For an ordinary group, a 200 says that the "
    "message is on the gateway's disk, and that it will reach every member's queue.",
    invalid="invalid param",
)


class Notification(Fields):
    """A notification of a group, and the users who get it besides the members."""

    appid = Field(ID)
    group_id = Field(ID)
    notification = Field(Text())
    members = OptionalField(NumbersOf(MAX_NAMED_MEMBERS))
    super = OptionalField(Boolean())


NOTIFICATION = Operation(
    "POST",
    "/post_group_notification",
    "A notification about a group, for its members and for users that are named.",
    body=JsonBody(
        Notification,
        "Items of `members` that are not numbers are ignored. `super` tells the kind of a group "
        "that the gateway does not know.",
    ),
    errors=STORED,
    description="It is stored. Phones get no push.",
)


class GroupPosts:
    """Answers posts to groups."""

    def __init__(self, posts: Posts) -> None:
        self._posts = posts

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [
            MESSAGE.route(access, self._message),
            NOTIFICATION.route(access, self._notification),
        ]

    async def _message(self, call: Call[ToGroup, bytes]) -> None:
        to, content = call.parameters, fitting(call.body)
        await posted_to_group(self._posts, to.appid, to.sender, to.group, content)

    async def _notification(self, call: Call[NoParameters, Notification]) -> None:
        appid, group_id = call.body.appid, call.body.group_id
        named, is_super = call.body.members or [], call.body.super or False
        content = encoded(call.body.notification)
        group = await self._posts.find(appid, group_id)
        if not named and not (group and len(group)):
            raise HttpError(400, "group no member")
        await posted(self._posts.notification, appid, group_id, group, is_super, named, content)
