"""The items of the push lists: for each kind of message, the list and its JSON.

The declaration of a kind says which list it goes to and which fields the JSON has. The push workers
only need JSON, but the bytes are those of the Go server's: see `gobelieve.wire.go_json`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from gobelieve.errors import BodyError
from gobelieve.wire.frames import HEADER, HEADER_SIZE, Frame
from gobelieve.wire.go_json import encode, text
from gobelieve.wire.message import MESSAGES, STORED, pushed_as
from gobelieve.wire.stored import Push

RECEIVERS_PER_ITEM = 4000
"""The most receivers in one item of a group; more than a frame of the Go server can carry."""

Item = tuple[str, bytes]
"""The name of a list, and the JSON to append to it."""


def inner_frame(data: bytes) -> Frame:
    """Return the one frame in these bytes; `BodyError` if they are not exactly one frame."""
    if len(data) < HEADER_SIZE:
        raise BodyError("an inner frame without a header")
    length, seq, cmd, version, flag, _ = HEADER.unpack_from(data)
    if length != len(data) - HEADER_SIZE:
        raise BodyError(f"an inner frame of {length} bytes in {len(data)}")
    return Frame(cmd, version, flag, seq, data[HEADER_SIZE:])


def push_items(appid: int, receivers: Sequence[int], inner: Frame) -> list[Item]:
    """Return the items for these receivers; none for a kind that is not pushed.

    `BodyError` if the message is malformed.
    """
    push = pushed_as(inner.cmd)
    if push is None:
        return []
    # A live kind may share the number. It is never here: gateways ask for pushes of what is stored.
    message = MESSAGES[inner.cmd].decode(inner.body, inner.version)
    fields = {key: getattr(message, name) for key, name in push.fields.items()}
    fields["appid"] = appid
    fields["content"] = text(getattr(message, STORED[inner.cmd].facts.content))
    if push.with_command:
        fields["command"] = inner.cmd
    return [
        (push.queue, encode({**fields, **addressed})) for addressed in _addressed(push, receivers)
    ]


def _addressed(push: Push, receivers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the field that names the receivers, for each item."""
    if not push.to_members:
        for uid in receivers:
            yield {"receiver": uid}
        return
    for first in range(0, len(receivers), RECEIVERS_PER_ITEM):
        yield {"receivers": list(receivers[first : first + RECEIVERS_PER_ITEM])}
