"""Operations of the app API that write messages."""

from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.names import Room, User
from gobelieve.protocols.http.app.access import AppAccess
from gobelieve.protocols.http.app.operations import ID, AppCall, AppOperation
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields
from gobelieve.protocols.http.declarations.parameters import NoParameters
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.declarations.shapes import Text
from gobelieve.protocols.http.errors import HttpError, not_done
from gobelieve.protocols.http.gateway.posting import (
    CONTENT_LIMIT,
    NO_GROUP,
    STORED,
    encoded,
    posted,
    posted_to_group,
)

AT_MOST = f"At most {CONTENT_LIMIT:,} bytes."


class Message(Fields):
    """A message from a user to a user, a group or a room."""

    sender = Field(ID)
    receiver = Field(ID)
    content = Field(Text())


class ToOne(Fields):
    """A message from the app to a user."""

    receiver = Field(ID)
    content = Field(Text())


class ToGroup(Fields):
    """A notification for the members of a group."""

    group_id = Field(ID)
    content = Field(Text())


PEER = AppOperation(
    "POST",
    "/api/messages/peers",
    "A message from a user to a user.",
    body=JsonBody(Message),
    errors=STORED,
    description=AT_MOST,
)
GROUP = AppOperation(
    "POST",
    "/api/messages/groups",
    "A message from a user to a group.",
    body=JsonBody(Message),
    errors={**STORED, **NO_GROUP},
    description=f"{AT_MOST} The sender need not be a member.",
)
GROUP_NOTIFICATION = AppOperation(
    "POST",
    "/api/messages/groups/notifications",
    "A notification for the members of a group.",
    body=JsonBody(ToGroup),
    errors={**STORED, **NO_GROUP},
    description=f"{AT_MOST} Phones get no push.",
)
SYSTEM = AppOperation(
    "POST",
    "/api/messages/systems",
    "A system message to a user.",
    body=JsonBody(ToOne),
    errors=STORED,
    description=AT_MOST,
)
NOTIFICATION = AppOperation(
    "POST",
    "/api/messages/notifications",
    "A notification for the connected clients of a user; it is not stored.",
    body=JsonBody(ToOne),
    description=AT_MOST,
)
ROOM = AppOperation(
    "POST",
    "/api/messages/rooms",
    "A message for all who are in a room; it is not stored.",
    body=JsonBody(Message),
    description=f"{AT_MOST} `receiver` is the room.",
)


class MessageRoutes:
    """Answers posts of messages."""

    def __init__(self, messages: AppServerMessages) -> None:
        self._messages = messages

    def routes(self, access: AppAccess) -> list[Route]:
        """Return the routes for servers of apps."""
        return [
            PEER.app_route(access, self._peer),
            GROUP.app_route(access, self._group),
            GROUP_NOTIFICATION.app_route(access, self._group_notification),
            SYSTEM.app_route(access, self._system),
            NOTIFICATION.app_route(access, self._notification),
            ROOM.app_route(access, self._room),
        ]

    async def _peer(self, call: AppCall[NoParameters, Message]) -> None:
        message, content = call.body, encoded(call.body.content)
        peer = self._messages.peer
        await posted(peer, call.appid, message.sender, message.receiver, content)

    async def _group(self, call: AppCall[NoParameters, Message]) -> None:
        message, content = call.body, encoded(call.body.content)
        groups = self._messages.groups
        await posted_to_group(groups, call.appid, message.sender, message.receiver, content)

    async def _group_notification(self, call: AppCall[NoParameters, ToGroup]) -> None:
        group_id, content = call.body.group_id, encoded(call.body.content)
        groups = self._messages.groups
        group = await groups.find(call.appid, group_id)
        if group is None:
            raise HttpError(404, "group not found")
        if not len(group):
            raise HttpError(400, "group no member")
        await posted(groups.notification, call.appid, group_id, group, group.super, (), content)

    async def _system(self, call: AppCall[NoParameters, ToOne]) -> None:
        receivers, content = [call.body.receiver], encoded(call.body.content)
        status, _ = await called_back(self._messages.system, call.appid, receivers, content)
        if status:
            raise not_done(status)

    async def _notification(self, call: AppCall[NoParameters, ToOne]) -> None:
        user = User(call.appid, call.body.receiver)
        self._messages.notification(user, encoded(call.body.content))

    async def _room(self, call: AppCall[NoParameters, Message]) -> None:
        message, content = call.body, encoded(call.body.content)
        self._messages.room(Room(call.appid, message.receiver), message.sender, content)
