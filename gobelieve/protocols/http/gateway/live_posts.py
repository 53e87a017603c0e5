"""Posts that are not stored: only clients that are connected get them."""

from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.names import Room
from gobelieve.protocols.http.declarations.parameters import Parameter, Parameters
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.gateway.parameters import APPID, ID, OfUser, ToUser
from gobelieve.protocols.http.gateway.posting import CONTENT, fitting

NOTIFICATION = Operation(
    "POST",
    "/post_notification",
    "A text for the connected clients of a user; it is not stored.",
    OfUser,
    CONTENT,
)
REAL_TIME = Operation(
    "POST",
    "/post_realtime_message",
    "A real-time message for the connected clients of a user; it is not stored.",
    ToUser,
    CONTENT,
)


class ToRoom(Parameters):
    """A sender and a room."""

    appid = APPID
    sender = Parameter("uid", ID, "The uid of the author.")
    room = Parameter("room", ID, "The room.")


ROOM = Operation(
    "POST",
    "/post_room_message",
    "A message for all who are in a room; it is not stored.",
    ToRoom,
    CONTENT,
)


class LivePosts:
    """Answers posts that are not stored."""

    def __init__(self, messages: AppServerMessages) -> None:
        self._messages = messages

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [
            NOTIFICATION.route(access, self._notification),
            REAL_TIME.route(access, self._real_time),
            ROOM.route(access, self._room),
        ]

    async def _notification(self, call: Call[OfUser, bytes]) -> None:
        self._messages.notification(call.parameters.user, fitting(call.body))

    async def _real_time(self, call: Call[ToUser, bytes]) -> None:
        to, content = call.parameters, fitting(call.body)
        self._messages.real_time(to.appid, to.sender, to.receiver, content)

    async def _room(self, call: Call[ToRoom, bytes]) -> None:
        to, content = call.parameters, fitting(call.body)
        self._messages.room(Room(to.appid, to.room), to.sender, content)
