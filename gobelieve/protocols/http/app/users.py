"""The app API: what upstream has a server of its own for, with its paths and bodies below ``/api``.

The server of an app says who may log in, makes and changes groups, and writes messages; all within
its own app, which it proves with the app's secret. Here: what is asked for, and how it is answered.
What is done with groups is `gobelieve.groups.changes`'s, with messages `Posting`'s.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.interfaces import Conversation, TokenAdmin, UserAdmin
from gobelieve.names import User
from gobelieve.protocols.http.app.access import AppAccess
from gobelieve.protocols.http.routes import Answer, Call, HttpError, JsonBody, Parameter, Route
from gobelieve.protocols.http.shapes import AnyOf, Anything, Boolean, Fields, Integer, Text

T = TypeVar("T")

PREFIX = "/api"
ID = Integer(1)
NAME = Text(max_length=255)
"""Of users, groups and members: the database has no more room."""
FLAG = AnyOf(Boolean(), Integer(0, 1))
UID = Parameter("uid", ID, "The user.")
TOKEN = Anything(
    {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
)
AWAY = {503: "What it is written to, or announced by, is away. Ask again; that does no harm."}
NO_TOKENS = {501: "`auth_method` is jwt: whoever signs tokens also ends them."}

SETTINGS = Fields(
    {},
    {
        "name": NAME,
        "forbidden": FLAG,
        "mute": FLAG,
        "do_not_disturb": Fields({"peer_uid": ID, "on": FLAG}),
    },
)

AppAnswer = Callable[[int, Call], Awaitable[Answer]]
"""Answers the server of an app, which is given by its id."""


class TaskQueue(Protocol):
    """Carries out what must come to its end, whether somebody waits for it or not."""

    async def do(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, behind all that was begun with the same key."""


class AppRoutes:
    """Declares routes for servers of apps."""

    def __init__(self, access: AppAccess) -> None:
        self._access = access

    def route(
        self, methods: str, path: str, what: str, answer: AppAnswer, **declared: Any
    ) -> Route:
        """`methods`: with spaces between; `answer` is given the app that asks."""

        async def checked(call: Call) -> Answer:
            return await answer(await self._access.app(call.who), call)

        access, named = self._access, tuple(methods.split())
        declared.setdefault("invalid", "invalid param")
        return Route(PREFIX + path, named, what, checked, access, **declared)


def only_one(body: dict[str, Any], *names: str) -> str:
    """Which of these the body has; it must be one."""
    found = [name for name in names if name in body]
    if len(found) != 1:
        raise HttpError(400, "invalid param", f"exactly one of {', '.join(names)} is wanted")
    return found[0]


class UserRoutes:
    """Who may log in, and what users may do. `tokens` is None where none are kept."""

    def __init__(
        self,
        routes: AppRoutes,
        users: UserAdmin,
        tokens: TokenAdmin | None,
        new_token: Callable[[], str],
        work: TaskQueue,
        ended_sessions: EndedSessions,
        room_bans: RoomBans,
    ) -> None:
        self._routes = routes
        self._users = users
        self._tokens = tokens
        self._new_token = new_token
        self._work = work
        self._ended_sessions = ended_sessions
        self._room_bans = room_bans

    def routes(self) -> list[Route]:
        """All of them."""
        route = self._routes.route
        return [
            route(
                "POST",
                "/auth/grant",
                "A token for a user.",
                self._grant,
                body=JsonBody(Fields({"uid": ID}, {"user_name": NAME})),
                gives=TOKEN,
                errors={**AWAY, **NO_TOKENS},
                more="A user whose token is still good gets the same one again. It is good until "
                "it is revoked.",
            ),
            route(
                "POST",
                "/auth/revoke",
                "End a user's token, or one that is named, and the user's connections.",
                self._revoke,
                body=JsonBody(
                    Fields({}, {"uid": ID, "token": Text()}), "One of `uid` and `token` is wanted."
                ),
                errors={**AWAY, **NO_TOKENS, 404: "The app's users have no such token."},
                more="With `uid`, in Redis: the one that was granted last. Connections end at all "
                "gateways that hear of it.",
            ),
            route(
                "POST PATCH",
                "/users/{uid}",
                "A setting of a user.",
                self._set,
                parameters=(UID,),
                body=JsonBody(SETTINGS, "Exactly one of them."),
                errors=AWAY,
                more="`name` is shown in phone pushes. Who is `forbidden` may not speak in rooms, "
                "from now on. With `mute` the phone is silent while the user is connected from a "
                "desktop or a browser, from the next login on. With `do_not_disturb` it is silent "
                "for messages of that user.",
            ),
        ]

    async def _grant(self, appid: int, call: Call) -> Answer:
        if self._tokens is None:
            raise HttpError(501, "not implemented", "auth_method is jwt")
        user = User(appid, call.body["uid"])
        name = call.body.get("user_name")
        return {"token": await self._users.grant(user, self._new_token(), name)}

    async def _revoke(self, appid: int, call: Call) -> Answer:
        tokens = self._tokens
        if tokens is None:
            raise HttpError(501, "not implemented", "auth_method is jwt")
        if only_one(call.body, "uid", "token") == "uid":
            user = User(appid, call.body["uid"])

            async def revoke() -> None:
                await self._users.revoke_all(user)

        else:
            token = call.body["token"]
            details = await tokens.describe(token)
            if details is None or details.identity.user.appid != appid:
                raise HttpError(404, "token not found")
            user = details.identity.user

            async def revoke() -> None:
                await tokens.revoke(token)

        async def work() -> None:
            await revoke()
            self._ended_sessions.end(user)
            await self._users.sessions_ended(user)

        await self._work.do(user, work)
        return None

    async def _set(self, appid: int, call: Call) -> Answer:
        user, body = User(appid, call.query["uid"]), call.body
        what = only_one(body, "name", "forbidden", "mute", "do_not_disturb")
        value = body[what]

        async def work() -> None:
            if what == "name":
                await self._users.rename(user, value)
            elif what == "mute":
                await self._users.mute(user, bool(value))
            elif what == "forbidden":
                await self._users.forbid(user, bool(value))
                self._room_bans.speak_forbidden(user, bool(value))
            else:
                peer = Conversation(value["peer_uid"], 0)
                await self._users.disturb(user, peer, not value["on"])

        await self._work.do(user, work)
        return None
