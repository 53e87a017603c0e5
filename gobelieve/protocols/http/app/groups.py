"""The routes by which the server of an app makes groups and changes them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gobelieve.groups.changes import (
    GroupChanges,
    HalfDoneError,
    NoGroupError,
    NoMemberError,
    Person,
    TakenError,
)
from gobelieve.interfaces import Conversation, NewGroup, UserAdmin
from gobelieve.names import User
from gobelieve.protocols.http.app.users import (
    AWAY,
    FLAG,
    ID,
    NAME,
    UID,
    AppRoutes,
    TaskQueue,
    only_one,
)
from gobelieve.protocols.http.routes import Answer, Call, HttpError, JsonBody, Parameter, Route
from gobelieve.protocols.http.shapes import AnyOf, Anything, Fields, Integer, ListOf, Text

NEW_MEMBERS = 100_000
"""With which a group may be made."""
MEMBERS_PER_CHANGE = 1000
"""Members that are added or removed at once: all members are notified of each."""
MAX_GROUP_ID = 1 << 52
"""That an app may choose. Databases count on from the largest id there is, for all apps: so there
must be room above, and below 2^53, beyond which JavaScript does not tell ids apart."""
GROUP = Parameter("group", ID, "The group.")
PERSON = AnyOf(ID, Fields({"uid": ID}, {"name": NAME, "avatar": Text(max_length=2000)}))
NEW = Fields(
    {"master": ID, "members": ListOf(PERSON, NEW_MEMBERS)},
    {"name": NAME, "super": FLAG, "group_id": Integer(1, MAX_GROUP_ID)},
)
PEOPLE = ListOf(PERSON, MEMBERS_PER_CHANGE)
JOINING = AnyOf(PEOPLE, Fields({"members": PEOPLE}, {"inviter": PERSON}))
MEMBER = Fields({}, {"nickname": NAME, "mute": FLAG, "do_not_disturb": FLAG})
NEW_ID = Anything(
    {"type": "object", "required": ["group_id"], "properties": {"group_id": {"type": "integer"}}}
)
SHOWN = Anything(
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
                        "timestamp": {"type": "integer", "description": "When the user joined."},
                        "mute": {"type": "boolean"},
                    },
                },
            },
        },
    }
)
NO_GROUP = {404: "The app has no such group, or there is no database of groups."}
ERRORS = {**AWAY, **NO_GROUP}
NOTIFIED = "The members are notified."


class GroupRoutes:
    """Answers them. `changes` is None where the site has no groups."""

    def __init__(
        self, routes: AppRoutes, changes: GroupChanges | None, users: UserAdmin, work: TaskQueue
    ) -> None:
        self._routes = routes
        self._changes = changes
        self._users = users
        self._work = work

    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._of_groups(), *self._of_members()]

    def _of_groups(self) -> list[Route]:
        route = self._routes.route
        one: dict[str, Any] = {"parameters": (GROUP,), "errors": ERRORS}
        return [
            route(
                "POST",
                "/groups",
                "A new group.",
                self._create,
                body=JsonBody(
                    NEW,
                    "Members are uids or objects; apps are shown them as they are here. "
                    "`group_id`: the app's own choice, by which the same can be ordered again.",
                ),
                gives=NEW_ID,
                errors={**ERRORS, 409: "The id is that of another group."},
                more=f"{NOTIFIED} After a 503 `data.group_id` says which group was made, "
                "if one was.",
            ),
            route(
                "GET", "/groups/{group}", "A group and its members.", self._show, gives=SHOWN, **one
            ),
            route(
                "DELETE", "/groups/{group}", "Disband a group.", self._disband, more=NOTIFIED, **one
            ),
            route(
                "PATCH",
                "/groups/{group}",
                "A group's name, or its notice.",
                self._edit,
                body=JsonBody(Fields({}, {"name": NAME, "notice": NAME}), "One of the two."),
                more=NOTIFIED,
                **one,
            ),
            route(
                "POST",
                "/groups/{group}/upgrade",
                "Make it a super group. There is no way back.",
                self._upgrade,
                more=NOTIFIED,
                **one,
            ),
        ]

    def _of_members(self) -> list[Route]:
        route = self._routes.route
        path = "/groups/{group}/members"
        one: dict[str, Any] = {"parameters": (GROUP,), "errors": ERRORS}
        member: dict[str, Any] = {"parameters": (GROUP, UID), "errors": ERRORS}
        more = f"At most {MEMBERS_PER_CHANGE} at once. All members and those are notified of each."
        return [
            route(
                "POST",
                path,
                "Add members.",
                self._add,
                body=JsonBody(JOINING, "A list, or an object with one in it."),
                more=more,
                **one,
            ),
            route(
                "DELETE",
                path,
                "Remove members.",
                self._remove,
                body=JsonBody(PEOPLE),
                more=more,
                **one,
            ),
            route(
                "DELETE",
                path + "/{uid}",
                "Remove a member.",
                self._remove_one,
                more=NOTIFIED,
                **member,
            ),
            route(
                "PATCH",
                path + "/{uid}",
                "A setting of a member.",
                self._set,
                body=JsonBody(MEMBER, "Exactly one of them."),
                more="`nickname`: the name within the group, of which the members are notified. "
                "Who is on `mute` may not speak in the group. With `do_not_disturb` the member's "
                "phone is silent for it.",
                **member,
            ),
        ]

    # --- groups

    async def _create(self, appid: int, call: Call) -> Answer:
        body, changes = call.body, self._there()
        people = _people(body["members"])
        if not people:
            raise HttpError(400, "invalid param", "a group wants members")
        group = NewGroup(
            appid,
            body["master"],
            body.get("name", ""),
            bool(body.get("super", False)),
            [person.uid for person in people],
            body.get("group_id", 0),
        )
        key = (appid, group.id) if group.id else object()
        made = await self._do(key, lambda: changes.create(group, body["members"]))
        return {"group_id": made}

    async def _show(self, appid: int, call: Call) -> Answer:
        changes, group_id = self._there(), call.query["group"]
        card, members = await _answered(changes.show(appid, group_id))
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

    async def _disband(self, appid: int, call: Call) -> Answer:
        changes, group = self._there(), call.query["group"]
        await self._do((appid, group), lambda: changes.disband(appid, group))
        return None

    async def _edit(self, appid: int, call: Call) -> Answer:
        changes, group, body = self._there(), call.query["group"], call.body
        what = only_one(body, "name", "notice")
        value = body[what]
        change = changes.rename if what == "name" else changes.set_notice
        await self._do((appid, group), lambda: change(appid, group, value))
        return None

    async def _upgrade(self, appid: int, call: Call) -> Answer:
        changes, group = self._there(), call.query["group"]
        await self._do((appid, group), lambda: changes.upgrade(appid, group))
        return None

    # --- members

    async def _add(self, appid: int, call: Call) -> Answer:
        changes, group, body = self._there(), call.query["group"], call.body
        inviter = None
        if isinstance(body, dict):
            inviter, body = body.get("inviter"), body["members"]
        people = _people(body)
        await self._do((appid, group), lambda: changes.add(appid, group, people, inviter))
        return None

    async def _remove(self, appid: int, call: Call) -> Answer:
        await self._remove_all(appid, call.query["group"], _people(call.body))
        return None

    async def _remove_one(self, appid: int, call: Call) -> Answer:
        await self._remove_all(appid, call.query["group"], [Person(call.query["uid"])])
        return None

    async def _remove_all(self, appid: int, group: int, people: Sequence[Person]) -> None:
        changes = self._there()
        await self._do((appid, group), lambda: changes.remove(appid, group, people))

    async def _set(self, appid: int, call: Call) -> Answer:
        changes, group, uid = self._there(), call.query["group"], call.query["uid"]
        what = only_one(call.body, "nickname", "mute", "do_not_disturb")
        value = call.body[what]
        if what == "nickname":
            await self._do((appid, group), lambda: changes.nickname(appid, group, uid, value))
        elif what == "mute":
            await self._do((appid, group), lambda: changes.mute(appid, group, uid, bool(value)))
        else:
            user, conversation = User(appid, uid), Conversation(0, group)
            await self._do(user, lambda: self._users.disturb(user, conversation, not value))
        return None

    # ---

    def _there(self) -> GroupChanges:
        if self._changes is None:
            raise HttpError(404, "group not found", "mysqldb_datasource is not set")
        return self._changes

    async def _do(self, key: object, work: Callable[[], Awaitable[Any]]) -> Any:
        return await _answered(self._work.do(key, work))


async def _answered(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except NoGroupError:
        raise HttpError(404, "group not found") from None
    except NoMemberError:
        raise HttpError(404, "member not found") from None
    except TakenError as why:
        raise HttpError(409, "group exists", str(why)) from None
    except HalfDoneError as why:
        data = {"group_id": why.group_id}
        headers = {"retry-after": "1"}
        raise HttpError(503, "service unavailable", str(why), data, headers) from None


def _people(given: Sequence[Any]) -> list[Person]:
    """Each once, as they are named first."""
    people: dict[int, Person] = {}
    for one in given:
        if isinstance(one, dict):
            facts = {name: one[name] for name in ("name", "avatar") if name in one}
            people.setdefault(one["uid"], Person(one["uid"], facts))
        else:
            people.setdefault(one, Person(one))
    return list(people.values())
