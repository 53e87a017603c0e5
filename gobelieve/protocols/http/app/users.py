"""Operations of the app API on users: tokens and settings."""

from collections.abc import Callable
from typing import TypedDict

from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.interfaces import Conversation, TokenAdmin, UserAdmin
from gobelieve.names import User
from gobelieve.protocols.http.app.access import AppAccess
from gobelieve.protocols.http.app.operations import (
    AWAY,
    FLAG,
    ID,
    NAME,
    AppCall,
    AppOperation,
    OfUser,
    TaskQueue,
    only_one,
)
from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import NoParameters
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.declarations.shapes import Text
from gobelieve.protocols.http.errors import HttpError

NO_TOKENS = {501: "`auth_method` is jwt: the gateway neither grants nor revokes tokens."}


class Login(Fields):
    """A user who may log in."""

    uid = Field(ID)
    user_name = OptionalField(NAME)


class Token(TypedDict):
    """The token of a user."""

    token: str


GRANT = AppOperation(
    "POST",
    "/api/auth/grant",
    "A token for a user.",
    body=JsonBody(Login),
    answer=Data[Token](
        {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
    ),
    errors={**AWAY, **NO_TOKENS},
    description="A user whose token is still valid gets the same one. A token is valid until it is "
    "revoked.",
)


class UserOrToken(Fields):
    """A user, or one of the user's tokens."""

    uid = OptionalField(ID)
    token = OptionalField(Text())


REVOKE = AppOperation(
    "POST",
    "/api/auth/revoke",
    "Revoke a user's token, or a given one, and end the user's connections.",
    body=JsonBody(UserOrToken, "Exactly one of `uid` and `token`."),
    errors={**AWAY, **NO_TOKENS, 404: "No user of the app has this token."},
    description="With `uid`, where tokens are in Redis: the token that was granted last. "
    "Connections end at all gateways that hear of it.",
)


class DoNotDisturb(Fields):
    """Another user, and whether their messages shall not disturb."""

    peer_uid = Field(ID)
    on = Field(FLAG)


class Settings(Fields):
    """Settings of a user."""

    name = OptionalField(NAME)
    forbidden = OptionalField(FLAG)
    mute = OptionalField(FLAG)
    do_not_disturb = OptionalField(DoNotDisturb)


SET = AppOperation(
    "POST PATCH",
    "/api/users/{uid}",
    "Change a setting of a user.",
    OfUser,
    JsonBody(Settings, "Exactly one of the settings."),
    errors=AWAY,
    description="`name` is shown in phone pushes. With `forbidden` the user may not speak in "
    "rooms, from now on. With `mute` the phone is silent while the user is connected from a "
    "desktop or a browser, from the next login on. With `do_not_disturb` it is silent for "
    "messages of that peer.",
)


class UserRoutes:
    """Answers requests about users. `tokens` is None where tokens are signed and not stored."""

    def __init__(
        self,
        users: UserAdmin,
        tokens: TokenAdmin | None,
        *,
        new_token: Callable[[], str],
        tasks: TaskQueue,
        ended_sessions: EndedSessions,
        room_bans: RoomBans,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._new_token = new_token
        self._tasks = tasks
        self._ended_sessions = ended_sessions
        self._room_bans = room_bans

    def routes(self, access: AppAccess) -> list[Route]:
        """Return the routes for servers of apps."""
        return [
            GRANT.app_route(access, self._grant),
            REVOKE.app_route(access, self._revoke),
            SET.app_route(access, self._set),
        ]

    async def _grant(self, call: AppCall[NoParameters, Login]) -> Token:
        self._stored_tokens()
        user = User(call.appid, call.body.uid)
        return {"token": await self._users.grant(user, self._new_token(), call.body.user_name)}

    async def _revoke(self, call: AppCall[NoParameters, UserOrToken]) -> None:
        tokens, uid, token = self._stored_tokens(), call.body.uid, call.body.token
        only_one(uid=uid, token=token)
        if token is None:
            assert uid is not None, "exactly one of the two is given"
            user = User(call.appid, uid)
        else:
            details = await tokens.describe(token)
            if details is None or details.identity.user.appid != call.appid:
                raise HttpError(404, "token not found")
            user = details.identity.user

        async def work() -> None:
            if token is None:
                await self._users.revoke_all(user)
            else:
                await tokens.revoke(token)
            self._ended_sessions.end(user)
            await self._users.sessions_ended(user)

        await self._tasks.do(user, work)

    async def _set(self, call: AppCall[OfUser, Settings]) -> None:
        user, given = User(call.appid, call.parameters.uid), call.body
        name, forbidden, mute, peer = given.name, given.forbidden, given.mute, given.do_not_disturb
        only_one(name=name, forbidden=forbidden, mute=mute, do_not_disturb=peer)

        async def work() -> None:
            if name is not None:
                await self._users.rename(user, name)
            if mute is not None:
                await self._users.mute(user, bool(mute))
            if forbidden is not None:
                await self._users.forbid(user, bool(forbidden))
                self._room_bans.speak_forbidden(user, bool(forbidden))
            if peer is not None:
                await self._users.disturb(user, Conversation(peer.peer_uid, 0), not peer.on)

        await self._tasks.do(user, work)

    def _stored_tokens(self) -> TokenAdmin:
        if self._tokens is None:
            raise HttpError(501, "not implemented", "auth_method is jwt")
        return self._tokens
