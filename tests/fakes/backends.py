"""The interfaces of the backends, kept in memory. They pass the same contract suites.

`Memory` is the common store, to be set up and looked at by tests; `Memory.away` makes every call
fail as if Redis were gone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gobelieve.errors import BackendError
from gobelieve.interfaces import Identity, PendingMessage, Seen, Settings, TokenDetails
from gobelieve.names import GroupReader, User


@dataclass
class Memory:
    """What a backend keeps."""

    tokens: dict[str, User] = field(default_factory=dict)
    names: dict[User, str] = field(default_factory=dict)
    forbidden: set[User] = field(default_factory=set)
    notification_on: set[User] = field(default_factory=set)
    devices: dict[tuple[str, int], int] = field(default_factory=dict)
    sync_keys: dict[User | GroupReader, int] = field(default_factory=dict)
    unread: dict[User, int] = field(default_factory=dict)
    seen: set[Seen] = field(default_factory=set)
    pushes: dict[str, list[bytes]] = field(default_factory=dict)
    away: bool = False

    def use(self) -> None:
        """Raise if the store is away."""
        if self.away:
            raise BackendError("the memory is away")


class MemoryTokens:
    """`gobelieve.interfaces.Tokens`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def find(self, token: str) -> Identity | None:
        self._memory.use()
        user = self._memory.tokens.get(token)
        if user is None or user.uid == 0:
            return None
        return Identity(user, user in self._memory.forbidden, user in self._memory.notification_on)


class MemoryPreferences:
    """`gobelieve.interfaces.Preferences`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def of(self, user: User) -> Settings:
        self._memory.use()
        return Settings(user in self._memory.forbidden, user in self._memory.notification_on)


class MemoryTokenAdmin:
    """`gobelieve.interfaces.TokenAdmin`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def create(self, user: User, token: str, name: str) -> None:
        self._memory.use()
        self._memory.tokens[token] = user
        self._memory.names[user] = name

    async def revoke(self, token: str) -> bool:
        self._memory.use()
        return self._memory.tokens.pop(token, None) is not None

    async def describe(self, token: str) -> TokenDetails | None:
        identity = await MemoryTokens(self._memory).find(token)
        return identity and TokenDetails(identity, self._memory.names.get(identity.user, ""))


class MemoryDeviceNumbers:
    """`gobelieve.interfaces.DeviceNumbers`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def number(self, device_id: str, platform: int) -> int:
        self._memory.use()
        devices = self._memory.devices
        return devices.setdefault((device_id, platform), len(devices) + 1)


R = TypeVar("R", User, GroupReader)


class MemorySyncKeys(Generic[R]):
    """`gobelieve.interfaces.SyncKeys`, of either kind of reader."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def load(self, reader: R) -> int:
        self._memory.use()
        return self._memory.sync_keys.get(reader, 0)

    async def advance(self, keys: Mapping[R, int]) -> None:
        self._memory.use()
        kept = self._memory.sync_keys
        for reader, key in keys.items():
            kept[reader] = max(kept.get(reader, 0), key)

    async def lower(self, reader: R, key: int) -> None:
        self._memory.use()
        kept = self._memory.sync_keys
        kept[reader] = max(0, min(kept.get(reader, 0), key))


class MemoryUnreadCounts:
    """`gobelieve.interfaces.UnreadCounts`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def set(self, counts: Mapping[User, int]) -> None:
        self._memory.use()
        self._memory.unread.update(counts)


class MemoryDailyUsers:
    """`gobelieve.interfaces.DailyUsers`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def add(self, seen: Iterable[Seen]) -> None:
        self._memory.use()
        self._memory.seen.update(seen)


class MemoryPushQueues:
    """`gobelieve.interfaces.PushQueues`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def append(self, items: Sequence[tuple[str, bytes]]) -> None:
        self._memory.use()
        for queue, item in items:
            self._memory.pushes.setdefault(queue, []).append(item)


class MemoryPending:
    """`gobelieve.interfaces.PendingMessages`; what it has outlives a gateway."""

    def __init__(self) -> None:
        self.messages: dict[int, tuple[PendingMessage, set[int]]] = {}
        self.full = False
        self.slow = False
        """Whether messages are kept only by `write`."""
        self._numbers = 0
        self._waiting: list[tuple[PendingMessage, Callable[[int], None]]] = []

    def keep(self, message: PendingMessage, kept: Callable[[int], None]) -> None:
        self._waiting.append((message, kept))
        if not self.slow:
            self.write()

    def write(self) -> None:
        """The disk has it, unless it is full."""
        waiting, self._waiting = self._waiting, []
        for message, kept in waiting:
            if self.full:
                kept(0)
            else:
                self._numbers += 1
                self.messages[self._numbers] = (message, set())
                kept(self._numbers)

    def batch_done(self, number: int, part: int) -> None:
        self.messages[number][1].add(part)

    def finished(self, number: int) -> None:
        del self.messages[number]
