"""The routes by which the server of an app writes messages, and its users read theirs."""

from typing import Any

from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.names import Room, User
from gobelieve.protocols.http.app.access import UserAccess
from gobelieve.protocols.http.app.users import ID, PREFIX, AppRoutes
from gobelieve.protocols.http.gateway.parameters import CONTENT_LIMIT, encoded, posted
from gobelieve.protocols.http.gateway.reads import LIST, Reads
from gobelieve.protocols.http.openapi import ERRORS
from gobelieve.protocols.http.routes import (
    Answer,
    Call,
    HttpError,
    JsonBody,
    Parameter,
    Route,
    not_done,
)
from gobelieve.protocols.http.shapes import Anything, Fields, Integer, Text

LATEST = 1024
"""Messages that a user gets."""
CUSTOMER, SUPPORT = 24, 25

STORED = {503: ERRORS[503]}
NO_GROUP = {**STORED, 404: "The app has no such group."}
BETWEEN = Fields({"sender": ID, "receiver": ID, "content": Text()})
TO_ONE = Fields({"receiver": ID, "content": Text()})
TO_GROUP = Fields({"group_id": ID, "content": Text()})
COUNT = Anything(
    {
        "type": "object",
        "required": ["count", "new"],
        "properties": {"count": {"type": "integer"}, "new": {"type": "integer"}},
    }
)


class MessageRoutes:
    """Answers them."""

    def __init__(
        self,
        routes: AppRoutes,
        users: UserAccess,
        app_server_messages: AppServerMessages,
        reads: Reads,
    ) -> None:
        self._routes = routes
        self._users = users
        self._app_server_messages = app_server_messages
        self._reads = reads

    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._written(), *self._read()]

    def _written(self) -> list[Route]:
        def post(path: str, what: str, answer: Any, shape: Fields, **declared: Any) -> Route:
            return self._routes.route(
                "POST", f"/messages/{path}", what, answer, body=JsonBody(shape), **declared
            )

        limit = f"At most {CONTENT_LIMIT:,} bytes."
        stored: dict[str, Any] = {"errors": STORED, "more": limit}
        return [
            post("peers", "A message from a user to a user.", self._peer, BETWEEN, **stored),
            post(
                "groups",
                "A message from a user to a group.",
                self._group,
                BETWEEN,
                errors=NO_GROUP,
                more=f"{limit} The sender need not be a member.",
            ),
            post(
                "groups/notifications",
                "A notification for the members of a group.",
                self._group_notification,
                TO_GROUP,
                errors=NO_GROUP,
                more=f"{limit} Phones get no push.",
            ),
            post("systems", "A system message to a user.", self._system, TO_ONE, **stored),
            post(
                "notifications",
                "A notification for a user who is connected; not stored.",
                self._notification,
                TO_ONE,
                more=limit,
            ),
            post(
                "rooms",
                "A message to all who are in a room; not stored.",
                self._room,
                BETWEEN,
                more=f"{limit} `receiver` is the room.",
            ),
        ]

    def _read(self) -> list[Route]:
        route = self._routes.route
        return [
            Route(
                PREFIX + "/messages",
                ("GET",),
                "The newest messages of the user whose token it is, oldest first.",
                self._latest,
                self._users,
                parameters=(
                    Parameter(
                        "store",
                        Integer(),
                        "Of the messages between customers and sellers only this store's.",
                        required=False,
                    ),
                ),
                gives=LIST,
                errors=STORED,
                invalid="invalid param",
                more=f"At most {LATEST:,}.",
            ),
            route(
                "GET",
                "/messages/offline",
                "Whether a user has something new to read.",
                self._offline,
                parameters=(Parameter("uid", ID, "The user."),),
                gives=COUNT,
                errors=STORED,
                more="Both are 1 if there is something the user did not write, beyond what the "
                "apps reported as read; else 0.",
            ),
            route("POST", "/messages/dequeue", "Does nothing, and always did.", self._nothing),
        ]

    # --- writing

    async def _peer(self, appid: int, call: Call) -> Answer:
        sender, receiver, content = _said(call)
        await posted(self._app_server_messages.peer, appid, sender, receiver, content)
        return None

    async def _group(self, appid: int, call: Call) -> Answer:
        sender, receiver, content = _said(call)
        group = await self._app_server_messages.groups.find(appid, receiver)
        if group is None:
            raise HttpError(404, "group not found")
        await posted(self._app_server_messages.groups.message, group, sender, content)
        return None

    async def _group_notification(self, appid: int, call: Call) -> Answer:
        group_id, content = call.body["group_id"], encoded(call.body["content"])
        group = await self._app_server_messages.groups.find(appid, group_id)
        if group is None:
            raise HttpError(404, "group not found")
        if not len(group):
            raise HttpError(400, "group no member")
        await posted(
            self._app_server_messages.groups.notification,
            appid,
            group_id,
            group,
            group.super,
            (),
            content,
        )
        return None

    async def _system(self, appid: int, call: Call) -> Answer:
        receivers, content = [call.body["receiver"]], encoded(call.body["content"])
        status, _ = await called_back(self._app_server_messages.system, appid, receivers, content)
        if status:
            raise not_done(status)
        return None

    async def _notification(self, appid: int, call: Call) -> Answer:
        user = User(appid, call.body["receiver"])
        self._app_server_messages.notification(user, encoded(call.body["content"]))
        return None

    async def _room(self, appid: int, call: Call) -> Answer:
        sender, room, content = _said(call)
        self._app_server_messages.room(Room(appid, room), sender, content)
        return None

    # --- reading

    async def _latest(self, call: Call) -> Any:
        user, store = await self._users.user(call.who), call.query["store"]
        found = await self._reads.latest(user, LATEST)
        if store is None:
            return found
        return [
            one
            for one in found
            if one["command"] not in (CUSTOMER, SUPPORT) or one["store_id"] == store
        ]

    async def _offline(self, appid: int, call: Call) -> Answer:
        new = int(await self._reads.has_unread(User(appid, call.query["uid"])))
        return {"count": new, "new": new}

    async def _nothing(self, appid: int, call: Call) -> Answer:
        return None


def _said(call: Call) -> tuple[int, int, bytes]:
    body = call.body
    return body["sender"], body["receiver"], encoded(body["content"])
