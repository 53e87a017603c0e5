"""What goes into the push lists: for each kind of message, the list and its JSON.

The push workers only need JSON, but the bytes are those of upstream's: see
`gobelieve.wire.go_json`. `PAYLOADS` holds what has a payload; other kinds are not pushed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gobelieve.errors import BodyError
from gobelieve.wire.client import IM, Customer, CustomerSupport, CustomerV2, GroupIM, System
from gobelieve.wire.frames import HEADER, HEADER_SIZE, Frame
from gobelieve.wire.go_json import encode, text

RECEIVERS_AN_ITEM = 4000
"""A group's item names at most so many; more than upstream's frames could ever carry."""

Item = tuple[str, bytes]
"""The name of a list, and the JSON to append to it."""
Unwritten = Iterator[tuple[str, dict[str, Any]]]
"""Items whose fields are not JSON yet."""
Payload = Callable[[int, Sequence[int], Frame], Unwritten]

PAYLOADS: dict[int, Payload] = {}
"""By the inner command: (appid, receivers, inner frame) to (list, fields)."""


def payload(*numbers: int) -> Callable[[Payload], Payload]:
    """Declare what is pushed for messages of these numbers."""

    def declare(make: Payload) -> Payload:
        for number in numbers:
            if number in PAYLOADS:
                raise TypeError(f"{number} has a payload already")
            PAYLOADS[number] = make
        return make

    return declare


def inner_frame(data: bytes) -> Frame:
    """The one frame that these bytes are; `BodyError` if they are not."""
    if len(data) < HEADER_SIZE:
        raise BodyError("an inner frame without a header")
    length, seq, cmd, version, flag, _ = HEADER.unpack_from(data)
    if length != len(data) - HEADER_SIZE:
        raise BodyError(f"an inner frame of {length} bytes in {len(data)}")
    return Frame(cmd, version, flag, seq, data[HEADER_SIZE:])


def push_items(appid: int, receivers: Sequence[int], inner: Frame) -> list[Item]:
    """The items for these receivers; none for a kind that is not pushed.

    `BodyError` if the message is malformed.
    """
    make = PAYLOADS.get(inner.cmd)
    if make is None:
        return []
    return [(name, encode(fields)) for name, fields in make(appid, receivers, inner)]


@payload(IM.number)
def _peer(appid: int, receivers: Sequence[int], inner: Frame) -> Unwritten:
    im = IM.decode(inner.body, inner.version)
    for uid in receivers:
        yield (
            "push_queue",
            {"appid": appid, "content": text(im.content), "receiver": uid, "sender": im.sender},
        )


@payload(GroupIM.number)
def _group(appid: int, receivers: Sequence[int], inner: Frame) -> Unwritten:
    im = GroupIM.decode(inner.body, inner.version)
    for first in range(0, len(receivers), RECEIVERS_AN_ITEM):
        yield (
            "group_push_queue",
            {
                "appid": appid,
                "content": text(im.content),
                "group_id": im.receiver,
                "receivers": list(receivers[first : first + RECEIVERS_AN_ITEM]),
                "sender": im.sender,
            },
        )


@payload(System.number)
def _system(appid: int, receivers: Sequence[int], inner: Frame) -> Unwritten:
    content = text(System.decode(inner.body, inner.version).content)
    for uid in receivers:
        yield ("system_push_queue", {"appid": appid, "content": content, "receiver": uid})


@payload(Customer.number, CustomerSupport.number)
def _customer(appid: int, receivers: Sequence[int], inner: Frame) -> Unwritten:
    # Both messages have the same layout.
    said = Customer.decode(inner.body, inner.version)
    for uid in receivers:
        yield (
            "customer_push_queue",
            {
                "appid": appid,
                "command": inner.cmd,
                "content": text(said.content),
                "customer": said.customer_id,
                "customer_appid": said.customer_appid,
                "receiver": uid,
                "seller": said.seller_id,
                "store": said.store_id,
            },
        )


@payload(CustomerV2.number)
def _customer_v2(appid: int, receivers: Sequence[int], inner: Frame) -> Unwritten:
    # VOIP_CONTROL shares the number and is never in a push: gateways push what they stored.
    said = CustomerV2.decode(inner.body, inner.version)
    for uid in receivers:
        yield (
            "customer_push_queue_v2",
            {
                "appid": appid,
                "content": text(said.content),
                "receiver": uid,
                "receiver_appid": said.receiver_appid,
                "sender": said.sender,
                "sender_appid": said.sender_appid,
            },
        )
