"""Posts between users: peer messages, and messages between customers and sellers.

A 200 says that the message is on disk, and that all connected clients are notified.
"""

from typing import TypedDict

from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.names import User
from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.bodies import JsonBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import NoParameters, Parameter, Parameters
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import AnyOf, Text
from gobelieve.protocols.http.errors import HttpError
from gobelieve.protocols.http.gateway.parameters import APPID, ID, ToUser
from gobelieve.protocols.http.gateway.posting import (
    CONTENT,
    NO_GROUP,
    STORED,
    encoded,
    fitting,
    posted,
    posted_to_group,
)

PEER = Operation(
    "POST",
    "/post_peer_message",
    "A message from a user to a user.",
    ToUser,
    CONTENT,
    errors=STORED,
    invalid="invalid param",
)


class ToPeerOrGroup(Parameters):
    """The app, the sender, and the kind of the receiver."""

    appid = APPID
    sender = Parameter("sender", ID, "The uid of the author. 0: it is in the body.")
    kind = Parameter(
        "class", Text("peer", "group"), "The kind of the receiver.", invalid="invalid message class"
    )


class PeerOrGroupMessage(Fields):
    """A message to a user or to a group."""

    receiver = Field(ID)
    content = Field(Text())
    sender = OptionalField(ID)


PEER_OR_GROUP = Operation(
    "POST",
    "/post_im_message",
    "A message to a user or to a group, in the form of 2018.",
    ToPeerOrGroup,
    JsonBody(PeerOrGroupMessage, "`sender` is used if the parameter is 0."),
    errors={**STORED, **NO_GROUP},
    invalid="invalid json format",
)


class CustomerMessage(Fields):
    """A CUSTOMER message, from the customer to the seller."""

    customer_appid = Field(ID)
    customer_id = Field(ID)
    store_id = Field(ID)
    seller_id = Field(ID)
    content = Field(Text())


class CustomerV2Message(Fields):
    """A CUSTOMER_V2 message, in either direction."""

    sender_appid = Field(ID)
    sender = Field(ID)
    receiver_appid = Field(ID)
    receiver = Field(ID)
    content = Field(Text())


AnyCustomerMessage = CustomerMessage | CustomerV2Message


class Seller(TypedDict, total=False):
    """The seller who got the message; only in the answer to a CUSTOMER message."""

    seller_id: int


CUSTOMER = Operation(
    "POST",
    "/post_customer_message",
    "A message between a customer and a seller, who are users of different apps.",
    body=JsonBody(
        AnyOf[AnyCustomerMessage](CustomerMessage, CustomerV2Message),
        "The first form is a CUSTOMER message, from the customer to the seller. The second is a "
        "CUSTOMER_V2 message, in either direction.",
    ),
    answer=Data[Seller](
        {
            "type": "object",
            "properties": {"seller_id": {"type": "integer"}},
            "description": "`seller_id` for the first form, empty for the second.",
        }
    ),
    errors=STORED,
    description="One of the two apps is the site's `kefu_appid`.",
)


class UserPosts:
    """Answers posts between users. `kefu_appid` is the sellers' app, 0 if there is none."""

    def __init__(self, messages: AppServerMessages, kefu_appid: int) -> None:
        self._messages = messages
        self._kefu_appid = kefu_appid

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [
            PEER.route(access, self._peer),
            PEER_OR_GROUP.route(access, self._peer_or_group),
            CUSTOMER.route(access, self._customer),
        ]

    async def _peer(self, call: Call[ToUser, bytes]) -> None:
        to, content = call.parameters, fitting(call.body)
        await posted(self._messages.peer, to.appid, to.sender, to.receiver, content)

    async def _peer_or_group(self, call: Call[ToPeerOrGroup, PeerOrGroupMessage]) -> None:
        to, message = call.parameters, call.body
        sender, content = to.sender or message.sender or 0, encoded(message.content)
        if to.kind == "peer":
            await posted(self._messages.peer, to.appid, sender, message.receiver, content)
        else:
            groups = self._messages.groups
            await posted_to_group(groups, to.appid, sender, message.receiver, content)

    async def _customer(
        self, call: Call[NoParameters, CustomerMessage | CustomerV2Message]
    ) -> Seller:
        message, kefu = call.body, self._kefu_appid
        content = encoded(message.content)
        if isinstance(message, CustomerMessage):
            customer = User(message.customer_appid, message.customer_id)
            seller = User(kefu, message.seller_id)
            if not (kefu and seller.uid):
                raise HttpError(400, "invalid seller", "there is no kefu_appid, or no seller_id")
            await posted(self._messages.customer, customer, seller, message.store_id, content)
            return {"seller_id": seller.uid}
        sender = User(message.sender_appid, message.sender)
        receiver = User(message.receiver_appid, message.receiver)
        if not kefu or kefu not in (sender.appid, receiver.appid):
            raise HttpError(400, "invalid appid", "neither app is the site's kefu_appid")
        await posted(self._messages.customer_v2, sender, receiver, content)
        return {}
