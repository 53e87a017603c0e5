"""A gateway without sockets: the real rules between a scripted client and fakes of the rest."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gobelieve.config import ClientsConfig
from gobelieve.errors import WireError
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.rules.table import RuleTables
from gobelieve.interfaces import (
    Entries,
    Identity,
    Log,
    Members,
    MessageInFlight,
    Page,
    Tasks,
    World,
)
from gobelieve.metrics import GatewayCounters
from gobelieve.names import GroupReader, Room, User
from gobelieve.services.components.backends import Backends
from gobelieve.services.components.gateway import build_gateway
from gobelieve.storage.local import LocalStorage
from gobelieve.wire import Frame, FrameReader, Message, client, encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT
from gobelieve.wire.message import MESSAGES
from tests.fakes.backends import (
    Memory,
    MemoryDailyUsers,
    MemoryDeviceNumbers,
    MemoryPending,
    MemoryPreferences,
    MemorySyncKeys,
    MemoryTokens,
    MemoryUnreadCounts,
)
from tests.fakes.groups import MemoryGroups
from tests.fakes.relations import MemoryRelations
from tests.fakes.world import FakeTurn, world

APP = 7
KEFU = 1453
"""The sellers' app."""


class Told(NamedTuple):
    """A frame that the client got, decoded."""

    message: Message
    flag: int
    seq: int
    version: int


def one_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return encode_frame(frame.cmd, frame.body, frame.seq, frame.version, frame.flag)


class FakeConnection:
    """A client's transport that keeps what it is given."""

    stream = True

    def __init__(self) -> None:
        self.peer = "10.0.0.9:5"
        self.congested = False
        self.paused = 0
        self.left = 0
        self.ended: str | None = None
        self.cut_for: WireError | None = None
        self._reader = FrameReader(CLIENT_BODY_LIMIT + 100)
        self.frames: list[Frame] = []

    def send(self, frame: bytes) -> None:
        if self.ended is None:
            got = self._reader.feed(frame)
            assert b"".join(one_frame(f) for f in got) == frame, "whole frames"
            assert len(got) == 1 or self.stream, "one a send"
            self.frames += got

    def unsent(self) -> int:
        return self.left

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1

    def cut(self, why: WireError) -> None:
        self.cut_for = why
        self.close()

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def told(self) -> list[Told]:
        """Return the frames that came since the last call."""
        frames, self.frames = self.frames, []
        return [
            Told(MESSAGES[f.cmd].decode(f.body, f.version), f.flag, f.seq, f.version)
            for f in frames
        ]

    def messages(self) -> list[Message]:
        """Return the messages of the frames that came since the last call."""
        return [told.message for told in self.told()]


class Save(NamedTuple):
    """A save that the fake storage was asked for."""

    cmd: int
    body: bytes
    device: int
    queues: Sequence[User]
    answer: Callable[[int, Entries], None]


class GroupSave(NamedTuple):
    """A save in the queue of a super group that the fake storage was asked for."""

    cmd: int
    body: bytes
    device: int
    group: tuple[int, int]
    answer: Callable[[int, Entries], None]


class FakeStorage:
    """Answers saves when told to; its queues are what the test puts into them."""

    def __init__(self) -> None:
        self.saves: list[Save] = []
        self.pages: dict[User, Page | Exception | Deferred[Page]] = {}
        self.fetched: list[tuple[User, int]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.group_saves: list[GroupSave] = []
        self.group_pages: dict[tuple[int, int], Page | Exception | Deferred[Page]] = {}
        self.group_fetched: list[tuple[int, int, int, int]] = []

    def save(
        self,
        cmd: int,
        body: bytes,
        device: int,
        queues: Sequence[User],
        waiting: MessageInFlight,
    ) -> None:
        self.saves.append(Save(cmd, body, device, queues, waiting.stored))

    def save_to_group(
        self,
        cmd: int,
        body: bytes,
        device: int,
        appid: int,
        group_id: int,
        waiting: MessageInFlight,
    ) -> None:
        self.group_saves.append(GroupSave(cmd, body, device, (appid, group_id), waiting.stored))

    def newest(self) -> tuple[int, ...]:
        return (0,)

    async def fetch_group(
        self, appid: int, group_id: int, after: int, joined: int, limit: int = 0
    ) -> Page:
        self.group_fetched.append((appid, group_id, after, joined))
        page = self.group_pages.get((appid, group_id), Page(0, 0, False, ()))
        if isinstance(page, Exception):
            raise page
        if isinstance(page, Deferred):
            return await page
        return page

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        self.fetched.append((user, after))
        return await self._page(user)

    async def _page(self, user: User) -> Page:
        page = self.pages.get(user, Page(0, 0, False, ()))
        if isinstance(page, Exception):
            raise page
        if isinstance(page, Deferred):
            return await page
        return page

    async def fetch_latest(self, user: User, limit: int) -> Page:
        self.asked.append(("latest", user, limit))
        return await self._page(user)

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        self.asked.append(("before", user, before, limit))
        return await self._page(user)

    async def count_new(self, user: User, after: int) -> int:
        self.asked.append(("count", user, after))
        page = await self._page(user)
        return sum(message.msgid > after for message in page.messages)

    async def decided(self, user: User) -> None:
        pass


class FakeRouting:
    """Notes the calls to the routers. Subscriptions are in effect at once.

    If `waiting` is a list, the callers of `when_known` are added to it instead.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.waiting: list[Callable[[], None]] | None = None

    def subscribe(self, user: User, online: bool) -> None:
        self.told.append(("subscribe", user, online))

    def unsubscribe(self, user: User) -> None:
        self.told.append(("unsubscribe", user))

    def publish(
        self, user: User, cmd: int, body: bytes, flag: int = 0, msgid: int = 0, prev: int = 0
    ) -> None:
        self.told.append(("publish", user, cmd, body, flag, msgid, prev))

    def push(self, appid: int, receivers: Sequence[int], cmd: int, body: bytes) -> None:
        self.told.append(("push", appid, tuple(receivers), cmd, body))

    def subscribe_room(self, room: Room) -> None:
        self.told.append(("subscribe_room", room))

    def unsubscribe_room(self, room: Room) -> None:
        self.told.append(("unsubscribe_room", room))

    def when_known(self, user: User, known: Callable[[], None]) -> None:
        if self.waiting is None:
            known()
        else:
            self.waiting.append(known)

    def when_room_known(self, room: Room, known: Callable[[], None]) -> None:
        self.when_known(User(*room), known)

    def publish_group(
        self,
        appid: int,
        group_id: int,
        cmd: int,
        body: bytes,
        flag: int = 0,
        msgid: int = 0,
        prev: int = 0,
    ) -> None:
        self.told.append(("publish_group", appid, group_id, cmd, body, flag, msgid, prev))

    def publish_room(self, room: Room, cmd: int, body: bytes, flag: int = 0) -> None:
        self.told.append(("publish_room", room, cmd, body, flag))

    def push_group(
        self, appid: int, group_id: int, members: Members, sender: int, cmd: int, body: bytes
    ) -> None:
        self.told.append(("push_group", appid, group_id, tuple(members()), sender, cmd, body))

    def take(self) -> list[tuple[Any, ...]]:
        """Return the calls since the last `take`."""
        told, self.told = self.told, []
        return told


class PendingTokens(MemoryTokens):
    """Tokens whose lookup can be made to take its time."""

    pending: Deferred[Identity | None] | None = None

    async def find(self, token: str) -> Identity | None:
        if self.pending is not None:
            return await self.pending
        return await super().find(token)


class TestGateway:
    """The rules as the daemon puts them together, with fakes around them."""

    __test__ = False

    def __init__(
        self, with_groups: bool = True, storage: LocalStorage | None = None, **config: Any
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.counters = GatewayCounters()
        self.memory = Memory()
        self.tokens = PendingTokens(self.memory)
        self.storage = FakeStorage()
        self.routing = FakeRouting()
        self.groups = MemoryGroups()
        self.relations = MemoryRelations()
        self.preferences = MemoryPreferences(self.memory)
        self.pending = MemoryPending()
        backends = Backends(
            tokens=self.tokens,
            devices=MemoryDeviceNumbers(self.memory),
            sync_keys=MemorySyncKeys[User](self.memory),
            group_sync_keys=MemorySyncKeys[GroupReader](self.memory),
            unread=MemoryUnreadCounts(self.memory),
            daily=MemoryDailyUsers(self.memory),
            preferences=self.preferences,
            pending=self.pending,
            groups=self.groups if with_groups else None,
            relations=self.relations,
        )
        settings = ClientsConfig(**{"kefu_appid": KEFU, **config})
        gateway = build_gateway(
            settings,
            time=self.clock,
            turn=FakeTurn(),
            backends=backends,
            storage=storage or self.storage,
            routing=self.routing,
            counters=self.counters,
        )
        self.gateway = gateway
        self.settings = settings
        self.added: RuleTables | None = None
        clients, controls, unfinished = gateway.clients, gateway.controls, gateway.unfinished
        self.sessions = clients.sessions
        self.unauthenticated = clients.unauthenticated
        self.rooms = clients.rooms
        self.timeouts = clients.timeouts
        self.registry = clients.registry
        self.app_server_messages = controls.app_server_messages
        self.room_bans = controls.room_bans
        self.ended_sessions = controls.ended_sessions
        self.words = controls.words
        self.publications = controls.publications
        self.group_catch_up = controls.group_catch_up
        self.tasks = unfinished.tasks
        self.saves_in_flight = unfinished.saves_in_flight
        self.fan_out = unfinished.fan_out
        self.keys = unfinished.reports.keys
        self.group_keys = unfinished.reports.group_keys
        self.unread = unfinished.reports.unread
        self.delivery = Delivery(
            sessions=self.sessions,
            rooms=self.rooms,
            routing=self.routing,
            direct_push=settings.direct_push,
        )

    def world(self, *, tasks: Tasks | None = None, log: Log | None = None) -> World:
        """The clock, the tasks and the counters of this gateway, with a log of the test's."""
        return world(time=self.clock, tasks=tasks or self.tasks, counters=self.counters, log=log)

    def grant(self, uid: int, notification_on: bool = False, appid: int = APP) -> str:
        """A token for a user."""
        token = f"token-of-{appid}-{uid}"
        user = self.memory.tokens[token] = User(appid, uid)
        if notification_on:
            self.memory.notification_on.add(user)
        return token

    def add_rules(self, more: RuleTables) -> None:
        """Add rules for the commands that have none; for clients that log in from now on."""
        self.added = more

    def connect(self) -> "TestClient":
        """A client that has not logged in."""
        return TestClient(self)

    def client(
        self, uid: int, *, version: int = 1, platform: int = 2, device: str = "d", appid: int = APP
    ) -> "TestClient":
        """A client that is logged in; what it was told so far is taken away."""
        made = self.connect()
        token = self.grant(uid, appid=appid)
        made.log_in(token, version=version, platform=platform, device=device)
        assert made.connection.messages() == [client.AuthStatus(status=0)]
        return made


class TestClient:
    """A client that sends messages to a session and keeps the answers."""

    __test__ = False

    def __init__(self, gateway: TestGateway) -> None:
        self.connection = FakeConnection()
        self.session = gateway.registry.ready(self.connection)
        self._gateway = gateway
        self.version = 1
        self.seq = 0

    def say(self, *messages: Message, flag: int = 0) -> int:
        """Send messages in one read; gives the seq of the last."""
        frames = []
        for message in messages:
            self.seq += 1
            body = message.encode(self.version)
            frames.append(Frame(message.number, self.version, flag, self.seq, body))
        self.session.received(frames)
        return self.seq

    def log_in(self, token: str, *, version: int = 1, platform: int = 2, device: str = "d") -> None:
        """Send AUTH_TOKEN with a token and a device id."""
        self.version = version
        self.say(
            client.AuthToken(platform=platform, token=token.encode(), device_id=device.encode())
        )
        added = self._gateway.added
        if added is not None:
            rules = zip(self.session.rules, added.after_login, strict=True)
            self.session.rules = tuple(rule or more for rule, more in rules)

    def told(self) -> list[Told]:
        """Return the frames that the client got since the last call."""
        return self.connection.told()

    def messages(self) -> list[Message]:
        """Return the messages that the client got since the last call."""
        return self.connection.messages()

    def hang_up(self) -> None:
        """The connection is gone."""
        self._gateway.registry.closed(self.session)
