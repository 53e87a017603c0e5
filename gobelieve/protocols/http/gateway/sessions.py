"""Operations on the sessions of a user at this gateway: list them, end them, forbid to speak."""

from typing import TypedDict

from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.metrics import Counters
from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.parameters import OptionalParameter, Parameter
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import Integer
from gobelieve.protocols.http.gateway.parameters import OfUser

ONLY_HERE = "This affects sessions at this gateway only."


class SessionCard(TypedDict):
    """A session, as the operation shows it."""

    device: int
    platform: int
    version: int
    forbidden: bool
    rooms: list[int]


class Online(TypedDict):
    """The sessions of a user at this gateway."""

    online: bool
    sessions: list[SessionCard]


ONLINE = Operation(
    "GET POST",
    "/online",
    "The sessions of a user at this gateway.",
    OfUser,
    answer=Data[Online](
        {
            "type": "object",
            "required": ["online", "sessions"],
            "properties": {
                "online": {
                    "type": "boolean",
                    "description": "Whether a session is from a phone, or the user wants no "
                    "pushes while connected.",
                },
                "sessions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "device": {"type": "integer", "description": "0 for all browsers."},
                            "platform": {"type": "integer"},
                            "version": {"type": "integer"},
                            "forbidden": {"type": "boolean"},
                            "rooms": {"type": "array", "items": {"type": "integer"}},
                        },
                    },
                },
            },
        }
    ),
    description="The router's page of the same name shows whether a user is online at any gateway.",
)


class SomeSessions(OfUser):
    """A user, and which of the user's sessions are meant."""

    platform = OptionalParameter("platform", Integer(), "Only sessions from this platform.")
    device = OptionalParameter("device", Integer(), "Only sessions from this device.")


class Kicked(TypedDict):
    """The number of sessions that were ended."""

    kicked: int


KICK = Operation(
    "POST",
    "/kick",
    "End sessions of a user.",
    SomeSessions,
    answer=Data[Kicked](
        {"type": "object", "required": ["kicked"], "properties": {"kicked": {"type": "integer"}}}
    ),
    description=f"{ONLY_HERE} A client connects again at once, unless its token was revoked.",
)


class RoomBan(OfUser):
    """A user, and whether the user is forbidden to speak in rooms."""

    forbidden = Parameter("forbidden", Integer(0, 1), "1 forbids, 0 allows.")


SPEAK_FORBIDDEN = Operation(
    "POST",
    "/speak_forbidden",
    "Forbid a user to speak in rooms, or allow it again, for sessions that are connected.",
    RoomBan,
    description=f"{ONLY_HERE} A login reads the user's field `forbidden` in Redis, which the app's "
    "server sets. It announces the change to all gateways as well.",
)


class UserSessions:
    """Answers requests about a user's sessions at this gateway."""

    def __init__(self, sessions: Sessions, room_bans: RoomBans, counters: Counters) -> None:
        self._sessions = sessions
        self._room_bans = room_bans
        self._counters = counters

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [
            ONLINE.route(access, self._online),
            KICK.route(access, self._kick),
            SPEAK_FORBIDDEN.route(access, self._forbid),
        ]

    async def _online(self, call: Call[OfUser]) -> Online:
        user = call.parameters.user
        sessions: list[SessionCard] = [
            {
                "device": session.device,
                "platform": session.platform,
                "version": session.version,
                "forbidden": session.forbidden,
                "rooms": list(session.rooms),
            }
            for session in self._sessions.of(user)
        ]
        return {"online": bool(self._sessions.online(user)), "sessions": sessions}

    async def _kick(self, call: Call[SomeSessions]) -> Kicked:
        platform, device = call.parameters.platform, call.parameters.device
        kicked = [
            session
            for session in self._sessions.of(call.parameters.user)
            if platform in (None, session.platform) and device in (None, session.device)
        ]
        for session in kicked:
            session.connection.close()
        self._counters.add("kicked", len(kicked))
        return {"kicked": len(kicked)}

    async def _forbid(self, call: Call[RoomBan]) -> None:
        self._room_bans.speak_forbidden(call.parameters.user, call.parameters.forbidden == 1)
