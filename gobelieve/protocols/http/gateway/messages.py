"""Stored messages as the HTTP API shows them."""

from collections.abc import Callable, Iterable
from typing import Any

from gobelieve.errors import BodyError
from gobelieve.names import User
from gobelieve.wire.client import IM, Customer, CustomerSupport, CustomerV2, GroupIM
from gobelieve.wire.go_json import text
from gobelieve.wire.storage import StoredMessage

Shown = dict[str, Any]


def _between_users(body: bytes) -> Shown:
    said = IM.decode(body)
    return {"receiver": said.receiver, "sender": said.sender, "timestamp": said.timestamp}


def _customer(body: bytes) -> Shown:
    said = Customer.decode(body)
    return {
        "customer_appid": said.customer_appid,
        "customer_id": said.customer_id,
        "store_id": said.store_id,
        "seller_id": said.seller_id,
        "timestamp": said.timestamp,
    }


def _customer_v2(body: bytes) -> Shown:
    said = CustomerV2.decode(body)
    return {
        "sender_appid": said.sender_appid,
        "sender": said.sender,
        "receiver_appid": said.receiver_appid,
        "receiver": said.receiver,
        "timestamp": said.timestamp,
    }


_HEADS: dict[int, tuple[Callable[[bytes], Shown], int]] = {
    # By command: the fields, and where the content begins. As they are stored, so in the layout
    # of the newest version.
    IM.number: (_between_users, 24),
    GroupIM.number: (_between_users, 24),
    Customer.number: (_customer, 36),
    CustomerSupport.number: (_customer, 36),
    CustomerV2.number: (_customer_v2, 36),
}

_ID = {"type": "integer", "format": "int64"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["command", "content", "id", "timestamp"],
    "properties": {
        "command": {
            "enum": sorted(_HEADS),
            "description": "4: between users, 8: of a group, 24 and 25: between a customer and a "
            "seller, 64: the same in the later form.",
        },
        "content": {"type": "string"},
        "id": _ID,
        "timestamp": {"type": "integer", "description": "In seconds since 1970."},
        "sender": {**_ID, "description": "4, 8 and 64."},
        "receiver": {**_ID, "description": "4, 8 (the group) and 64."},
        "sender_appid": {**_ID, "description": "64."},
        "receiver_appid": {**_ID, "description": "64."},
        "customer_appid": {**_ID, "description": "24 and 25, as the following."},
        "customer_id": _ID,
        "store_id": _ID,
        "seller_id": _ID,
    },
}


def shown(messages: Iterable[StoredMessage]) -> list[Shown]:
    """The messages that are shown: system messages and notifications are not."""
    found: list[Shown] = []
    for msgid, _, cmd, body in messages:
        how = _HEADS.get(cmd)
        if how is None:
            continue
        fields, start = how
        try:
            head = fields(body)
        except BodyError:
            continue  # clients cannot read it either
        found.append({"command": cmd, "content": text(body[start:]), "id": msgid, **head})
    return found


def wrote(user: User, message: StoredMessage) -> bool:
    """Whether the user is who wrote it."""
    try:
        if message.cmd in (IM.number, GroupIM.number):
            return IM.decode(message.body).sender == user.uid
        if message.cmd == Customer.number:
            said = Customer.decode(message.body)
            return (said.customer_appid, said.customer_id) == user
        if message.cmd == CustomerSupport.number:
            support = CustomerSupport.decode(message.body)
            own_queue = (support.customer_appid, support.customer_id) == user
            return support.seller_id == user.uid and not own_queue
        if message.cmd == CustomerV2.number:
            later = CustomerV2.decode(message.body)
            return (later.sender_appid, later.sender) == user
    except BodyError:
        pass
    return False
