"""The routes by which the app's server reads queues, and looks after sessions."""

from typing import Any

from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.interfaces import MessageReader
from gobelieve.metrics import Counters
from gobelieve.names import User
from gobelieve.protocols.http.gateway.messages import SCHEMA, Shown, shown, wrote
from gobelieve.protocols.http.gateway.parameters import APPID, UID
from gobelieve.protocols.http.openapi import ERRORS
from gobelieve.protocols.http.routes import Access, Answer, Call, HttpError, Parameter, Route
from gobelieve.protocols.http.shapes import MAX_INTEGER, Anything, Integer
from gobelieve.wire.storage import StoredMessage

MAX_MESSAGES = 10_000
"""Stored messages that one answer looks at, at most."""
MAX_ANSWER_BYTES = 4 << 20
"""It ends behind the one with which the bodies come to so much."""
MESSAGES_PER_READ = 1000

READ = {503: ERRORS[503]}
MESSAGE_COUNT = Integer(1, MAX_MESSAGES)
LIST = Anything({"type": "array", "items": SCHEMA})
PAGED = Anything(
    {
        "type": "object",
        "required": ["data", "more", "next_id"],
        "properties": {
            "data": {"type": "array", "items": SCHEMA},
            "more": {"type": "boolean", "description": "Whether there are others beyond."},
            "next_id": {
                "type": "integer",
                "description": "The `last_id`, or `before_id`, that gives them.",
            },
        },
    }
)
COUNT = Anything(
    {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}
)
SESSIONS = Anything(
    {
        "type": "object",
        "required": ["online", "sessions"],
        "properties": {
            "online": {
                "type": "boolean",
                "description": "Whether one of them is from a phone, or the user wants no pushes "
                "while connected.",
            },
            "sessions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "device": {"type": "integer", "description": "0 for all browsers."},
                        "platform": {"type": "integer"},
                        "version": {"type": "integer"},
                        "forbidden": {"type": "boolean"},
                        "rooms": {"type": "array", "items": {"type": "integer"}},
                    },
                },
            },
        },
    }
)
KICKED = Anything(
    {"type": "object", "required": ["kicked"], "properties": {"kicked": {"type": "integer"}}}
)
Found = tuple[list[StoredMessage], bool, int]
"""Messages, oldest first; whether there are more; and the id from which these are to be had."""


class Reads:
    """Answers them."""

    def __init__(
        self,
        reader: MessageReader,
        keys: KeptKeys[User],
        sessions: Sessions,
        room_bans: RoomBans,
        counters: Counters,
        access: Access,
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._sessions = sessions
        self._room_bans = room_bans
        self._counters = counters
        self._access = access

    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._of_queues(), *self._of_sessions(), *self._of_2018()]

    def _read(self, path: str, what: str, answer: Any, **declared: Any) -> Route:
        return Route(path, ("GET", "POST"), what, answer, self._access, **declared)

    # --- queues

    def _of_queues(self) -> list[Route]:
        return [
            self._read(
                "/load_latest_message",
                "The newest messages of a user's queue, oldest first.",
                self._latest,
                parameters=(
                    APPID,
                    UID,
                    Parameter(
                        "limit", Integer(), f"How many: 1 to {MAX_MESSAGES:,}, or the nearest."
                    ),
                ),
                gives=LIST,
                errors=READ,
                more="Notifications of groups count, and are not shown; system messages do not "
                "count. An answer ends at 4 MiB.",
            ),
            self._read(
                "/load_history_message",
                "A user's queue from an id on, forward or backward; oldest first.",
                self._history,
                parameters=(
                    APPID,
                    UID,
                    Parameter("last_id", Integer(), "What came after this id.", required=False),
                    Parameter("before_id", Integer(), "What came before it.", required=False),
                    Parameter(
                        "limit",
                        MESSAGE_COUNT,
                        f"How many messages are looked at; {MAX_MESSAGES:,} if it is not said.",
                        required=False,
                    ),
                ),
                gives=PAGED,
                errors=READ,
                wraps=False,
                more="One of `last_id` and `before_id` is wanted. System messages and "
                "notifications of groups are not shown. An answer ends at 4 MiB.",
            ),
            self._read(
                "/get_offline_count",
                "How many messages a user has not read.",
                self._count,
                parameters=(
                    APPID,
                    UID,
                    Parameter(
                        "sync_key",
                        Integer(),
                        "Up to where the user has read. 0: as far as the apps reported.",
                        required=False,
                    ),
                ),
                gives=COUNT,
                errors=READ,
                more="With `sync_key` all that the queue has after it. Without, as in 2018: 1 if "
                "there is something the user did not write, beyond what the apps reported; else 0.",
            ),
        ]

    async def _latest(self, call: Call) -> Any:
        return await self.latest(_user(call), call.query["limit"])

    async def latest(self, user: User, limit: int) -> list[Shown]:
        """The newest messages of the user's queue, oldest first."""
        messages, _, _ = await self._backward(user, MAX_INTEGER, min(max(limit, 1), MAX_MESSAGES))
        return shown(messages)

    async def _history(self, call: Call) -> Answer:
        user, limit = _user(call), call.query["limit"] or MAX_MESSAGES
        after, before = call.query["last_id"], call.query["before_id"]
        if (after is None) == (before is None):
            detail = "one of last_id and before_id is wanted"
            raise HttpError(400, "invalid query param", detail)
        if after is not None:
            found = await self._forward(user, after, limit)
        else:
            found = await self._backward(user, before, limit)
        messages, more, at = found
        return {"data": shown(messages), "more": more, "next_id": at}

    async def _forward(self, user: User, after: int, limit: int) -> Found:
        found: list[StoredMessage] = []
        room = MAX_ANSWER_BYTES
        while True:
            page = await self._reader.fetch(user, after, min(limit, MESSAGES_PER_READ))
            found += page.messages
            limit -= len(page.messages)
            room -= sum(len(message.body) for message in page.messages)
            after = max(after, page.last) if page.newest > after else after
            if not page.more or limit <= 0 or room <= 0:
                return found, page.more, after

    async def _backward(self, user: User, before: int, limit: int) -> Found:
        pages: list[list[StoredMessage]] = []
        room = MAX_ANSWER_BYTES
        while True:
            page = await self._reader.fetch_before(user, before, min(limit, MESSAGES_PER_READ))
            pages.append(list(page.messages))
            limit -= len(page.messages)
            room -= sum(len(message.body) for message in page.messages)
            if page.messages:
                before = page.last
            if not page.more or not page.messages or limit <= 0 or room <= 0:
                more = page.more and bool(page.messages)
                return [one for part in reversed(pages) for one in part], more, before

    async def _count(self, call: Call) -> Answer:
        user, key = _user(call), call.query["sync_key"]
        if key is None:
            return {"count": int(await self.has_unread(user))}
        after = key or await self._keys.load(user)
        return {"count": await self._reader.count_new(user, after)}

    async def has_unread(self, user: User) -> bool:
        """Whether there is something the user did not write, beyond what the apps reported."""
        after = await self._keys.load(user)
        while True:
            page = await self._reader.fetch(user, after)
            if any(not wrote(user, message) for message in page.messages):
                return True
            if not page.more:
                return False
            after = page.last

    # --- sessions

    def _of_sessions(self) -> list[Route]:
        only = "Only those at this gateway; who is online anywhere is told by the router."
        return [
            self._read(
                "/online",
                "The sessions of a user at this gateway.",
                self._online,
                parameters=(APPID, UID),
                gives=SESSIONS,
                more="Who is online anywhere is told by the router's own page of this name.",
            ),
            Route(
                "/kick",
                ("POST",),
                "End sessions of a user.",
                self._kick,
                self._access,
                parameters=(
                    APPID,
                    UID,
                    Parameter("platform", Integer(), "Only from this platform.", required=False),
                    Parameter("device", Integer(), "Only from this device.", required=False),
                ),
                gives=KICKED,
                more=f"{only} An app comes again at once, unless its token was taken from it.",
            ),
            Route(
                "/speak_forbidden",
                ("POST",),
                "Forbid a user to speak in rooms, or allow it again: now, to who is connected.",
                self._forbid,
                self._access,
                parameters=(APPID, UID, Parameter("forbidden", Integer(0, 1), "1 or 0.")),
                more=f"{only} What counts at logins is `forbidden` of the user in Redis, which the "
                "app's server sets; it announces it to all gateways besides.",
            ),
        ]

    async def _online(self, call: Call) -> Answer:
        user = _user(call)
        sessions = [
            {
                "device": session.device,
                "platform": session.platform,
                "version": session.version,
                "forbidden": session.forbidden,
                "rooms": list(session.rooms),
            }
            for session in self._sessions.of(user)
        ]
        return {"online": bool(self._sessions.online(user)), "sessions": sessions}

    async def _kick(self, call: Call) -> Answer:
        platform, device = call.query["platform"], call.query["device"]
        kicked = [
            session
            for session in self._sessions.of(_user(call))
            if platform in (None, session.platform) and device in (None, session.device)
        ]
        for session in kicked:
            session.connection.close()
        self._counters.add("kicked", len(kicked))
        return {"kicked": len(kicked)}

    async def _forbid(self, call: Call) -> Answer:
        self._room_bans.speak_forbidden(_user(call), call.query["forbidden"] == 1)
        return None

    # --- what has done nothing since 2017

    def _of_2018(self) -> list[Route]:
        what = "Does nothing, and always did."
        return [
            self._read("/init_message_queue", what, self._nothing),
            self._read("/dequeue_message", what, self._nothing),
        ]

    async def _nothing(self, call: Call) -> Answer:
        return None


def _user(call: Call) -> User:
    return User(call.query["appid"], call.query["uid"])
