"""Operations of the app API on groups: create, show, rename, upgrade, disband."""

from typing import TypedDict

from gobelieve.interfaces import NewGroup
from gobelieve.protocols.http.app.access import AppAccess
from gobelieve.protocols.http.app.group_changes import (
    ERRORS,
    NOTIFIED,
    PERSON,
    Groups,
    OfGroup,
    answered,
    as_given,
    people,
)
from gobelieve.protocols.http.app.operations import (
    FLAG,
    ID,
    NAME,
    AppCall,
    AppOperation,
    only_one,
)
from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import NoParameters
from gobelieve.protocols.http.declarations.routes import Route
from gobelieve.protocols.http.declarations.shapes import Integer, ListOf
from gobelieve.protocols.http.errors import HttpError

MAX_NEW_MEMBERS = 100_000
"""Members with which a group may be made."""
MAX_GROUP_ID = 1 << 52
"""The largest id that an app may choose. Databases count on from the largest id that any app has,
so there must be room above it, and below 2^53, from which on JavaScript confuses ids."""


class NewGroupFields(Fields):
    """A group that is to be made."""

    master = Field(ID)
    members = Field(ListOf(PERSON, MAX_NEW_MEMBERS))
    name = OptionalField(NAME)
    super = OptionalField(FLAG)
    group_id = OptionalField(Integer(1, MAX_GROUP_ID))


class GroupId(TypedDict):
    """The id of a new group."""

    group_id: int


CREATE = AppOperation(
    "POST",
    "/api/groups",
    "A new group.",
    body=JsonBody(
        NewGroupFields,
        "Members are uids or objects; clients see them as they are given here. `group_id` is "
        "optional: with an id that the app chose, the call can be repeated safely.",
    ),
    answer=Data[GroupId](
        {
            "type": "object",
            "required": ["group_id"],
            "properties": {"group_id": {"type": "integer"}},
        }
    ),
    errors={**ERRORS, 409: "Another group has this id."},
    description=f"{NOTIFIED} After a 503, `data.group_id` is the group that was made, if one was.",
)


class ShownMember(TypedDict):
    """A member of a group, as the operation shows it."""

    uid: int
    nickname: str
    timestamp: int
    mute: bool


class ShownGroup(TypedDict):
    """A group, as the operation shows it."""

    group_id: int
    master: int
    name: str
    notice: str
    super: bool
    members: list[ShownMember]


SHOW = AppOperation(
    "GET",
    "/api/groups/{group}",
    "A group and its members.",
    OfGroup,
    answer=Data[ShownGroup](
        {
            "type": "object",
            "properties": {
                "group_id": {"type": "integer"},
                "master": {"type": "integer"},
                "name": {"type": "string"},
                "notice": {"type": "string"},
                "super": {"type": "boolean"},
                "members": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "uid": {"type": "integer"},
                            "nickname": {"type": "string"},
                            "timestamp": {
                                "type": "integer",
                                "description": "When the user joined, in seconds since 1970.",
                            },
                            "mute": {"type": "boolean"},
                        },
                    },
                },
            },
        }
    ),
    errors=ERRORS,
)
DISBAND = AppOperation(
    "DELETE",
    "/api/groups/{group}",
    "Disband a group.",
    OfGroup,
    errors=ERRORS,
    description=NOTIFIED,
)


class NameOrNotice(Fields):
    """A new name of a group, or a new notice."""

    name = OptionalField(NAME)
    notice = OptionalField(NAME)


EDIT = AppOperation(
    "PATCH",
    "/api/groups/{group}",
    "Change a group's name or its notice.",
    OfGroup,
    JsonBody(NameOrNotice, "Exactly one of the two."),
    errors=ERRORS,
    description=NOTIFIED,
)
UPGRADE = AppOperation(
    "POST",
    "/api/groups/{group}/upgrade",
    "Make a group a super group. This cannot be undone.",
    OfGroup,
    errors=ERRORS,
    description=NOTIFIED,
)


class GroupRoutes:
    """Answers requests about groups."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def routes(self, access: AppAccess) -> list[Route]:
        """Return the routes for servers of apps."""
        return [
            CREATE.app_route(access, self._create),
            SHOW.app_route(access, self._show),
            DISBAND.app_route(access, self._disband),
            EDIT.app_route(access, self._edit),
            UPGRADE.app_route(access, self._upgrade),
        ]

    async def _create(self, call: AppCall[NoParameters, NewGroupFields]) -> GroupId:
        body, changes = call.body, self._groups.changes
        members = people(body.members)
        if not members:
            raise HttpError(400, "invalid param", "a group wants members")
        group = NewGroup(
            call.appid,
            body.master,
            body.name or "",
            bool(body.super),
            [person.uid for person in members],
            body.group_id or 0,
        )
        shown = [as_given(one) for one in body.members]
        key = (call.appid, group.id) if group.id else object()
        return {"group_id": await self._groups.do(key, lambda: changes.create(group, shown))}

    async def _show(self, call: AppCall[OfGroup, None]) -> ShownGroup:
        shown = self._groups.changes.show(call.appid, call.parameters.group)
        card, members = await answered(shown)
        return {
            "group_id": card.id,
            "master": card.master,
            "name": card.name,
            "notice": card.notice,
            "super": card.super,
            "members": [
                {"uid": uid, "nickname": nickname, "timestamp": joined, "mute": muted}
                for uid, nickname, joined, muted in members
            ],
        }

    async def _disband(self, call: AppCall[OfGroup, None]) -> None:
        changes, key = self._groups.changes, (call.appid, call.parameters.group)
        await self._groups.do(key, lambda: changes.disband(*key))

    async def _edit(self, call: AppCall[OfGroup, NameOrNotice]) -> None:
        changes, key = self._groups.changes, (call.appid, call.parameters.group)
        name, notice = call.body.name, call.body.notice
        only_one(name=name, notice=notice)
        if name is not None:
            await self._groups.do(key, lambda: changes.rename(*key, name))
        if notice is not None:
            await self._groups.do(key, lambda: changes.set_notice(*key, notice))

    async def _upgrade(self, call: AppCall[OfGroup, None]) -> None:
        changes, key = self._groups.changes, (call.appid, call.parameters.group)
        await self._groups.do(key, lambda: changes.upgrade(*key))
