"""Operations that read users' queues, and two that have done nothing since 2017."""

from typing import Any, TypedDict

from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.names import User
from gobelieve.protocols.http.declarations.answers import Data, PlainJson
from gobelieve.protocols.http.declarations.parameters import OptionalParameter, Parameter
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import Integer
from gobelieve.protocols.http.errors import HttpError
from gobelieve.protocols.http.gateway.messages import SCHEMA, Shown, shown
from gobelieve.protocols.http.gateway.parameters import OfUser
from gobelieve.protocols.http.gateway.queue_reader import MAX_MESSAGES, QueueReader
from gobelieve.protocols.http.openapi import ERRORS

READ = {503: ERRORS[503]}
"""Errors of operations that read queues."""
MESSAGE_LIST = Data[list[Shown]]({"type": "array", "items": SCHEMA})


class Latest(OfUser):
    """A user, and how many of the newest messages to show."""

    limit = Parameter(
        "limit", Integer(), f"The number of messages, brought into the range 1 to {MAX_MESSAGES:,}."
    )


LATEST = Operation(
    "GET POST",
    "/load_latest_message",
    "The newest messages of a user's queue, oldest first.",
    Latest,
    answer=MESSAGE_LIST,
    errors=READ,
    description="Notifications of groups are counted but not shown; system messages are neither. "
    "An answer ends at 4 MiB.",
)


class From(OfUser):
    """A user, and the place in the queue from which to read on."""

    last_id = OptionalParameter("last_id", Integer(), "Messages after this id.")
    before_id = OptionalParameter("before_id", Integer(), "Messages before this id.")
    limit = OptionalParameter(
        "limit",
        Integer(1, MAX_MESSAGES),
        f"The number of messages that are read; by default {MAX_MESSAGES:,}.",
    )


HISTORY = Operation(
    "GET POST",
    "/load_history_message",
    "The messages of a user's queue after or before an id, oldest first.",
    From,
    answer=PlainJson(
        {
            "type": "object",
            "required": ["data", "more", "next_id"],
            "properties": {
                "data": {"type": "array", "items": SCHEMA},
                "more": {"type": "boolean", "description": "Whether there are further messages."},
                "next_id": {
                    "type": "integer",
                    "description": "The `last_id` or `before_id` that gives them.",
                },
            },
        }
    ),
    errors=READ,
    description="Exactly one of `last_id` and `before_id` is required. System messages and "
    "notifications of groups are not shown. An answer ends at 4 MiB.",
)


class Unread(OfUser):
    """A user, and how far the user has read."""

    sync_key = OptionalParameter(
        "sync_key",
        Integer(),
        "The last message that the user has read. 0: as the clients reported.",
    )


class Count(TypedDict):
    """The number of unread messages."""

    count: int


COUNT = Operation(
    "GET POST",
    "/get_offline_count",
    "The number of messages that a user has not read.",
    Unread,
    answer=Data[Count](
        {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}
    ),
    errors=READ,
    description="With `sync_key`, all messages after it. Without, as in 2018: 1 if another "
    "author's message follows the last one that the clients reported as read; otherwise 0.",
)

NOTHING = "Does nothing, as in the Go server."
INIT = Operation("GET POST", "/init_message_queue", NOTHING)
DEQUEUE = Operation("GET POST", "/dequeue_message", NOTHING)


class Queues:
    """Answers requests for messages of users' queues."""

    def __init__(self, reader: QueueReader, keys: KeptKeys[User]) -> None:
        self._reader = reader
        self._keys = keys

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [
            LATEST.route(access, self._latest),
            HISTORY.route(access, self._history),
            COUNT.route(access, self._count),
        ]

    def idle_routes(self, access: Access[None]) -> list[Route]:
        """Return the routes that do nothing, which old servers of apps still call."""
        return [INIT.route(access, self._nothing), DEQUEUE.route(access, self._nothing)]

    async def _latest(self, call: Call[Latest]) -> list[Shown]:
        return shown(await self._reader.latest(call.parameters.user, call.parameters.limit))

    async def _history(self, call: Call[From]) -> dict[str, Any]:
        user, limit = call.parameters.user, call.parameters.limit or MAX_MESSAGES
        after, before = call.parameters.last_id, call.parameters.before_id
        if after is not None and before is None:
            found = await self._reader.forward(user, after, limit)
        elif before is not None and after is None:
            found = await self._reader.backward(user, before, limit)
        else:
            detail = "one of last_id and before_id is wanted"
            raise HttpError(400, "invalid query param", detail)
        return {"data": shown(found.messages), "more": found.more, "next_id": found.next_id}

    async def _count(self, call: Call[Unread]) -> Count:
        user, key = call.parameters.user, call.parameters.sync_key
        reported = 0 if key else await self._keys.load(user)
        if key is None:
            return {"count": int(await self._reader.has_unread(user, reported))}
        return {"count": await self._reader.count_new(user, key or reported)}

    async def _nothing(self, call: Call) -> None:
        return None
