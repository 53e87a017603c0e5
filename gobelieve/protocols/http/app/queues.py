"""Operations of the app API that read messages: a user's own newest, and whether there are new."""

from typing import TypedDict

from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.names import User
from gobelieve.protocols.http.app.access import AppAccess, UserAccess
from gobelieve.protocols.http.app.operations import AppCall, AppOperation, OfUser
from gobelieve.protocols.http.declarations.answers import Data
from gobelieve.protocols.http.declarations.parameters import OptionalParameter, Parameters
from gobelieve.protocols.http.declarations.routes import Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import Integer
from gobelieve.protocols.http.gateway.messages import Shown, shown
from gobelieve.protocols.http.gateway.queue_reader import QueueReader
from gobelieve.protocols.http.gateway.queues import MESSAGE_LIST, READ

MAX_LATEST = 1024
"""Messages that a user gets."""
CUSTOMER, SUPPORT = 24, 25


class OfStore(Parameters):
    """The store whose messages are shown."""

    store = OptionalParameter(
        "store",
        Integer(),
        "Of the messages between customers and sellers, show only those of this store.",
    )


LATEST = Operation(
    "GET",
    "/api/messages",
    "The newest messages of the token's user, oldest first.",
    OfStore,
    answer=MESSAGE_LIST,
    errors=READ,
    description=f"At most {MAX_LATEST:,}.",
    invalid="invalid param",
)


class Counts(TypedDict):
    """Whether there are messages to read, as two numbers."""

    count: int
    new: int


OFFLINE = AppOperation(
    "GET",
    "/api/messages/offline",
    "Whether a user has new messages.",
    OfUser,
    answer=Data[Counts](
        {
            "type": "object",
            "required": ["count", "new"],
            "properties": {"count": {"type": "integer"}, "new": {"type": "integer"}},
        }
    ),
    errors=READ,
    description="Both are 1 if another author's message follows the last one that the clients "
    "reported as read; otherwise 0.",
)
DEQUEUE = AppOperation("POST", "/api/messages/dequeue", "Does nothing.")


class QueueRoutes:
    """Answers requests for messages."""

    def __init__(self, users: UserAccess, reader: QueueReader, keys: KeptKeys[User]) -> None:
        self._users = users
        self._reader = reader
        self._keys = keys

    def routes(self, access: AppAccess) -> list[Route]:
        """Return the routes: the first for users, the others for servers of apps."""
        return [
            LATEST.route(self._users, self._latest),
            OFFLINE.app_route(access, self._offline),
            DEQUEUE.app_route(access, self._nothing),
        ]

    async def _latest(self, call: Call[OfStore, None, str]) -> list[Shown]:
        user, store = await self._users.user(call.caller), call.parameters.store
        found = shown(await self._reader.latest(user, MAX_LATEST))
        if store is None:
            return found
        return [
            one
            for one in found
            if one["command"] not in (CUSTOMER, SUPPORT) or one["store_id"] == store
        ]

    async def _offline(self, call: AppCall[OfUser, None]) -> Counts:
        user = User(call.appid, call.parameters.uid)
        new = int(await self._reader.has_unread(user, await self._keys.load(user)))
        return {"count": new, "new": new}

    async def _nothing(self, call: AppCall) -> None:
        return None
