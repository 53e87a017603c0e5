"""Operations of the app API on the members of groups: add, remove, set."""

from collections.abc import Sequence

from gobelieve.groups.changes import Person
from gobelieve.interfaces import Conversation, UserAdmin
from gobelieve.names import User
from gobelieve.protocols.http.app.access import AppAccess
from gobelieve.protocols.http.app.group_changes import (
    ERRORS,
    GROUP,
    NOTIFIED,
    PERSON,
    GivenPerson,
    Groups,
    OfGroup,
    as_given,
    people,
)
from gobelieve.protocols.http.app.operations import (
    FLAG,
    NAME,
    UID,
    AppCall,
    AppOperation,
    only_one,
)
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import Parameters
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.declarations.shapes import AnyOf, ListOf

MEMBERS_PER_CHANGE = 1000
"""Members that are added or removed at once: all members are notified of each."""
PEOPLE = ListOf(PERSON, MEMBERS_PER_CHANGE)
AT_MOST = (
    f"At most {MEMBERS_PER_CHANGE} per call. Of each one, all members and the user are notified."
)


class Joining(Fields):
    """New members, and the user who invited them."""

    members = Field(PEOPLE)
    inviter = OptionalField(PERSON)


ADD = AppOperation(
    "POST",
    "/api/groups/{group}/members",
    "Add members.",
    OfGroup,
    JsonBody(
        AnyOf[list[GivenPerson] | Joining](PEOPLE, Joining),
        "A list of members, or an object with the list and the inviter.",
    ),
    errors=ERRORS,
    description=AT_MOST,
)
REMOVE = AppOperation(
    "DELETE",
    "/api/groups/{group}/members",
    "Remove members.",
    OfGroup,
    JsonBody(PEOPLE),
    errors=ERRORS,
    description=AT_MOST,
)


class OfMember(Parameters):
    """A member of a group."""

    group = GROUP
    uid = UID


REMOVE_ONE = AppOperation(
    "DELETE",
    "/api/groups/{group}/members/{uid}",
    "Remove a member.",
    OfMember,
    errors=ERRORS,
    description=NOTIFIED,
)


class MemberSettings(Fields):
    """Settings of a member."""

    nickname = OptionalField(NAME)
    mute = OptionalField(FLAG)
    do_not_disturb = OptionalField(FLAG)


SET = AppOperation(
    "PATCH",
    "/api/groups/{group}/members/{uid}",
    "Change a setting of a member.",
    OfMember,
    JsonBody(MemberSettings, "Exactly one of the settings."),
    errors=ERRORS,
    description="`nickname` is the name within the group; the members are notified of it. With "
    "`mute` the member may not speak in the group. With `do_not_disturb` the member's phone is "
    "silent for the group.",
)


class MemberRoutes:
    """Answers requests about members of groups."""

    def __init__(self, groups: Groups, users: UserAdmin) -> None:
        self._groups = groups
        self._users = users

    def routes(self, access: AppAccess) -> list[Route]:
        """Return the routes for servers of apps."""
        return [
            ADD.app_route(access, self._add),
            REMOVE.app_route(access, self._remove),
            REMOVE_ONE.app_route(access, self._remove_one),
            SET.app_route(access, self._set),
        ]

    async def _add(self, call: AppCall[OfGroup, list[GivenPerson] | Joining]) -> None:
        changes, key, body = self._groups.changes, (call.appid, call.parameters.group), call.body
        inviter = body.inviter if isinstance(body, Joining) else None
        shown = None if inviter is None else as_given(inviter)
        added = people(body.members if isinstance(body, Joining) else body)
        await self._groups.do(key, lambda: changes.add(*key, added, shown))

    async def _remove(self, call: AppCall[OfGroup, list[GivenPerson]]) -> None:
        await self._remove_all(call.appid, call.parameters.group, people(call.body))

    async def _remove_one(self, call: AppCall[OfMember, None]) -> None:
        member = Person(call.parameters.uid)
        await self._remove_all(call.appid, call.parameters.group, [member])

    async def _remove_all(self, appid: int, group: int, removed: Sequence[Person]) -> None:
        changes = self._groups.changes
        await self._groups.do((appid, group), lambda: changes.remove(appid, group, removed))

    async def _set(self, call: AppCall[OfMember, MemberSettings]) -> None:
        changes, key = self._groups.changes, (call.appid, call.parameters.group)
        uid, nickname, mute = call.parameters.uid, call.body.nickname, call.body.mute
        silent = call.body.do_not_disturb
        only_one(nickname=nickname, mute=mute, do_not_disturb=silent)
        if nickname is not None:
            await self._groups.do(key, lambda: changes.nickname(*key, uid, nickname))
        if mute is not None:
            await self._groups.do(key, lambda: changes.mute(*key, uid, bool(mute)))
        if silent is not None:
            user, conversation = User(call.appid, uid), Conversation(0, call.parameters.group)
            await self._groups.do(user, lambda: self._users.disturb(user, conversation, not silent))
