"""The routes by which the app's server writes messages. What is done with them:
`AppServerMessages`.

A 200 of a stored message says that it is on disk, and all who are connected are told.
"""

from typing import Any

from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.names import Room, User
from gobelieve.protocols.http.gateway.parameters import (
    APPID,
    CONTENT_LIMIT,
    ID,
    UID,
    encoded,
    fitting,
    posted,
)
from gobelieve.protocols.http.openapi import ERRORS
from gobelieve.protocols.http.routes import (
    Access,
    Answer,
    Call,
    HttpError,
    JsonBody,
    Parameter,
    Route,
    TextBody,
    TextOrJson,
    not_done,
)
from gobelieve.protocols.http.shapes import (
    AnyOf,
    Anything,
    Boolean,
    Fields,
    ListOf,
    NumbersOf,
    Text,
)

MAX_NAMED_MEMBERS = 100_000
"""Members that a notification of a group may name."""
MAX_RECEIVERS = 10_000
"""Receivers of one system message."""

SENDER = Parameter("sender", ID, "In whose name: a uid. Whether there is such a user is not asked.")
RECEIVER = Parameter("receiver", ID, "The uid of the receiver.")
GROUP = Parameter("receiver", ID, "The group.")
CONTENT = TextBody(f"The content, as apps get it; at most {CONTENT_LIMIT:,} bytes.")
STORED = {503: ERRORS[503]}
NO_GROUP = {404: "The app has no such group."}
SYSTEM = Fields({"appid": ID, "content": Text(), "receivers": ListOf(ID, MAX_RECEIVERS)})
PEER_OR_GROUP = Fields({"receiver": ID, "content": Text()}, {"sender": ID})
NOTICE = Fields(
    {"appid": ID, "group_id": ID, "notification": Text()},
    {"members": NumbersOf(MAX_NAMED_MEMBERS), "super": Boolean()},
)
CUSTOMER = Fields(
    {
        "customer_appid": ID,
        "customer_id": ID,
        "store_id": ID,
        "seller_id": ID,
        "content": Text(),
    }
)
CUSTOMER_V2 = Fields(
    {"sender_appid": ID, "sender": ID, "receiver_appid": ID, "receiver": ID, "content": Text()}
)


class Posts:
    """Answers them. `kefu_appid`: the sellers' app, 0 if there is none."""

    def __init__(
        self, app_server_messages: AppServerMessages, kefu_appid: int, access: Access
    ) -> None:
        self._app_server_messages = app_server_messages
        self._kefu_appid = kefu_appid
        self._access = access

    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._between_users(), *self._to_groups(), *self._from_the_app(), *self._live()]

    def _route(self, path: str, what: str, answer: Any, **declared: Any) -> Route:
        return Route(path, ("POST",), what, answer, self._access, **declared)

    # --- between users

    def _between_users(self) -> list[Route]:
        return [
            self._route(
                "/post_peer_message",
                "A message from a user to a user.",
                self._peer,
                parameters=(APPID, SENDER, RECEIVER),
                body=CONTENT,
                errors=STORED,
                invalid="invalid param",
            ),
            self._route(
                "/post_im_message",
                "A message to a user or to a group; the form of 2018.",
                self._peer_or_group,
                parameters=(
                    APPID,
                    Parameter("sender", ID, "In whose name. 0: the body says."),
                    Parameter(
                        "class",
                        Text("peer", "group"),
                        "What the receiver is.",
                        invalid="invalid message class",
                    ),
                ),
                body=JsonBody(PEER_OR_GROUP, "`sender` counts if the parameter is 0."),
                errors={**STORED, **NO_GROUP},
                invalid="invalid json format",
            ),
            self._route(
                "/post_customer_message",
                "A message between a customer and a seller, who are users of two apps.",
                self._customer,
                body=JsonBody(
                    AnyOf(CUSTOMER, CUSTOMER_V2),
                    "The first form is a CUSTOMER message from the customer to the seller, the "
                    "second a CUSTOMER_V2 message, either way.",
                ),
                gives=Anything(
                    {
                        "type": "object",
                        "properties": {"seller_id": {"type": "integer"}},
                        "description": "`seller_id` in the first form, nothing in the second.",
                    }
                ),
                errors=STORED,
                more="One of the two apps is the site's `kefu_appid`.",
            ),
        ]

    async def _peer(self, call: Call) -> Answer:
        query = call.query
        content = fitting(call.body)
        await posted(
            self._app_server_messages.peer,
            query["appid"],
            query["sender"],
            query["receiver"],
            content,
        )
        return None

    async def _peer_or_group(self, call: Call) -> Answer:
        query, body = call.query, call.body
        appid, sender = query["appid"], query["sender"] or body.get("sender", 0)
        content = encoded(body["content"])
        if query["class"] == "peer":
            await posted(self._app_server_messages.peer, appid, sender, body["receiver"], content)
        else:
            await self._to_group(appid, sender, body["receiver"], content)
        return None

    async def _customer(self, call: Call) -> Answer:
        body, kefu = call.body, self._kefu_appid
        content = encoded(body["content"])
        if "seller_id" in body:
            customer = User(body["customer_appid"], body["customer_id"])
            seller = User(kefu, body["seller_id"])
            if not (kefu and seller.uid):
                raise HttpError(400, "invalid seller", "there is no kefu_appid, or no seller_id")
            store = body["store_id"]
            await posted(self._app_server_messages.customer, customer, seller, store, content)
            return {"seller_id": seller.uid}
        sender = User(body["sender_appid"], body["sender"])
        receiver = User(body["receiver_appid"], body["receiver"])
        if not kefu or kefu not in (sender.appid, receiver.appid):
            raise HttpError(400, "invalid appid", "neither app is the site's kefu_appid")
        await posted(self._app_server_messages.customer_v2, sender, receiver, content)
        return {}

    # --- to groups

    def _to_groups(self) -> list[Route]:
        return [
            self._route(
                "/post_group_message",
                "A message to a group.",
                self._group,
                parameters=(APPID, SENDER, GROUP),
                body=CONTENT,
                errors={**STORED, **NO_GROUP},
                invalid="invalid param",
                more="The sender need not be a member. To an ordinary group: a 200 says that the "
                "message is on the gateway's disk and will reach every member's queue.",
            ),
            self._route(
                "/post_group_notification",
                "What happened to a group, for its members and those that are named.",
                self._notice,
                body=JsonBody(
                    NOTICE,
                    "Of `members` only numbers count. `super` says what the group is, if the "
                    "gateway does not know of it.",
                ),
                errors=STORED,
                more="It is stored; phones get no push.",
            ),
        ]

    async def _group(self, call: Call) -> Answer:
        query = call.query
        await self._to_group(query["appid"], query["sender"], query["receiver"], fitting(call.body))
        return None

    async def _to_group(self, appid: int, sender: int, group_id: int, content: bytes) -> None:
        group = await self._app_server_messages.groups.find(appid, group_id)
        if group is None:
            raise HttpError(404, "group not found")
        await posted(self._app_server_messages.groups.message, group, sender, content)

    async def _notice(self, call: Call) -> Answer:
        body = call.body
        appid, group_id, named = body["appid"], body["group_id"], body.get("members", [])
        content = encoded(body["notification"])
        group = await self._app_server_messages.groups.find(appid, group_id)
        if not named and not (group and len(group)):
            raise HttpError(400, "group no member")
        super_ = body.get("super", False)
        await posted(
            self._app_server_messages.groups.notification,
            appid,
            group_id,
            group,
            super_,
            named,
            content,
        )
        return None

    # --- from the app

    def _from_the_app(self) -> list[Route]:
        return [
            self._route(
                "/post_system_message",
                "A system message, which is stored and pushed.",
                self._system,
                parameters=(
                    Parameter("appid", ID, "The app, in the form of 2018.", required=False),
                    Parameter("uid", ID, "The receiver, in the form of 2018.", required=False),
                ),
                body=TextOrJson(("appid", "uid"), CONTENT, JsonBody(SYSTEM)),
                errors=STORED,
                more="Either with `appid` and `uid` in the URL and the content as body, or with "
                "all as JSON. With several receivers, a 503 names in `data.not_stored` those who "
                "do not have it. Phones show it if the content is JSON with `push`.",
            ),
        ]

    async def _system(self, call: Call) -> Answer:
        if isinstance(call.body, bytes):
            appid, receivers, content = call.query["appid"], [call.query["uid"]], call.body
            content = fitting(content)
        else:
            appid, content = call.body["appid"], encoded(call.body["content"])
            receivers = list(dict.fromkeys(call.body["receivers"]))
        status, missing = await called_back(
            self._app_server_messages.system, appid, receivers, content
        )
        if status:
            raise not_done(status, data={"not_stored": list(missing)})
        return None

    # --- not stored

    def _live(self) -> list[Route]:
        return [
            self._route(
                "/post_notification",
                "A text for those of a user's apps that are connected; not stored.",
                self._notification,
                parameters=(APPID, UID),
                body=CONTENT,
            ),
            self._route(
                "/post_realtime_message",
                "A real-time message, for those of a user's apps that are connected; not stored.",
                self._real_time,
                parameters=(APPID, SENDER, RECEIVER),
                body=CONTENT,
            ),
            self._route(
                "/post_room_message",
                "A message for everybody who is in a room; not stored.",
                self._room,
                parameters=(
                    APPID,
                    Parameter("uid", ID, "In whose name."),
                    Parameter("room", ID, "The room."),
                ),
                body=CONTENT,
            ),
        ]

    async def _notification(self, call: Call) -> Answer:
        user = User(call.query["appid"], call.query["uid"])
        self._app_server_messages.notification(user, fitting(call.body))
        return None

    async def _real_time(self, call: Call) -> Answer:
        query, content = call.query, fitting(call.body)
        self._app_server_messages.real_time(
            query["appid"], query["sender"], query["receiver"], content
        )
        return None

    async def _room(self, call: Call) -> Answer:
        query = call.query
        room = Room(query["appid"], query["room"])
        self._app_server_messages.room(room, query["uid"], fitting(call.body))
        return None
