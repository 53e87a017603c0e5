"""The fakes that other tests use pass the suites too: so they can stand for the real ones."""

from datetime import date

from gobelieve.errors import BackendError
from gobelieve.names import GroupReader, User
from tests.backends import contracts
from tests.fakes.backends import (
    Memory,
    MemoryDailyUsers,
    MemoryDeviceNumbers,
    MemoryPreferences,
    MemoryPushQueues,
    MemorySyncKeys,
    MemoryTokenAdmin,
    MemoryTokens,
    MemoryUnreadCounts,
)


class MemoryBackend(contracts.Backend):
    """`contracts.Backend`."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.tokens = MemoryTokens(self.memory)
        self.preferences = MemoryPreferences(self.memory)
        self.admin = MemoryTokenAdmin(self.memory)
        self.devices = MemoryDeviceNumbers(self.memory)
        self.sync_keys = MemorySyncKeys[User](self.memory)
        self.group_sync_keys = MemorySyncKeys[GroupReader](self.memory)
        self.unread = MemoryUnreadCounts(self.memory)
        self.daily = MemoryDailyUsers(self.memory)
        self.pushes = MemoryPushQueues(self.memory)

    async def set_flag(self, user: User, name: str, value: int) -> None:
        flagged: set[User] = getattr(self.memory, name)
        (flagged.add if value else flagged.discard)(user)

    async def unread_of(self, user: User) -> int | None:
        return self.memory.unread.get(user)

    async def users_on(self, year: int, month: int, day: int, appid: int) -> int:
        on = date(year, month, day).toordinal()
        return len([one for one in self.memory.seen if (one.day, one.appid) == (on, appid)])

    async def pushed(self, queue: str) -> list[bytes]:
        return self.memory.pushes.get(queue, [])


class InMemory(contracts.Contract):
    """Makes a new one for each test."""

    def setUp(self) -> None:
        self.backend = MemoryBackend()


class MemoryPreferencesTests(InMemory, contracts.PreferencesContract):
    """Settings in memory."""


class MemoryTokensTests(InMemory, contracts.TokensContract):
    """Tokens in memory."""


class MemoryDeviceNumbersTests(InMemory, contracts.DeviceNumbersContract):
    """Device numbers in memory."""


class MemorySyncKeysTests(InMemory, contracts.SyncKeysContract):
    """Sync keys in memory."""


class MemoryGroupSyncKeysTests(InMemory, contracts.GroupSyncKeysContract):
    """Sync keys of super groups in memory."""


class MemoryUnreadCountsTests(InMemory, contracts.UnreadCountsContract):
    """Unread counts in memory."""


class MemoryDailyUsersTests(InMemory, contracts.DailyUsersContract):
    """Daily users in memory."""


class MemoryPushQueuesTests(InMemory, contracts.PushQueuesContract):
    """Push queues in memory."""


class MemoryAwayTests(InMemory):
    """The switch that makes it fail."""

    async def test_an_absent_memory_fails_as_a_backend_does(self) -> None:
        backend = MemoryBackend()
        backend.memory.away = True
        with self.assertRaises(BackendError):
            await backend.tokens.find("t")
