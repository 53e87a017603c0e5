"""What every backend must do, whatever it is made of: one suite an interface.

A test module mixes the suites with a fixture that makes `self.backend`; see `Backend`.
"""

from datetime import date

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from gobelieve.interfaces import (
    DailyUsers,
    DeviceNumbers,
    Identity,
    Preferences,
    PushQueues,
    Seen,
    Settings,
    SyncKeys,
    TokenAdmin,
    TokenDetails,
    Tokens,
    UnreadCounts,
)
from gobelieve.names import GroupReader, User

ANN = User(7, 1001)
BOB = User(7, 1002)
ANN_ELSEWHERE = User(8, 1001)
LARGEST = (1 << 63) - 1


class Backend:
    """The interfaces, and a look behind them. Subclasses set all and override the rest."""

    tokens: Tokens
    preferences: Preferences
    admin: TokenAdmin
    devices: DeviceNumbers
    sync_keys: SyncKeys[User]
    group_sync_keys: SyncKeys[GroupReader]
    unread: UnreadCounts
    daily: DailyUsers
    pushes: PushQueues

    async def set_flag(self, user: User, name: str, value: int) -> None:
        """As the app's own server changes ``forbidden`` or ``notification_on``."""
        raise NotImplementedError

    async def unread_of(self, user: User) -> int | None:
        """What a push worker sees."""
        raise NotImplementedError

    async def users_on(self, year: int, month: int, day: int, appid: int) -> int:
        """How many users of an app a statistician sees for a date."""
        raise NotImplementedError

    async def pushed(self, queue: str) -> list[bytes]:
        """What a push worker would take, in its order."""
        raise NotImplementedError


class Contract(TestCase):
    """A suite; a subclass sets `backend` in setUp."""

    backend: Backend
    timeout = 30

    async def user_of(self, token: str) -> User | None:
        """Whom the token logs in."""
        found = await self.backend.tokens.find(token)
        return found and found.user

    async def name_of(self, token: str) -> str | None:
        """The name an operator sees."""
        details = await self.backend.admin.describe(token)
        return details and details.name


class PreferencesContract(Contract):
    """Preferences."""

    async def test_a_user_that_is_not_known_has_set_nothing(self) -> None:
        self.assertEqual(await self.backend.preferences.of(ANN), Settings(False, False))

    async def test_each_setting_of_each_user_by_itself(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "Ann")
        await self.backend.admin.create(BOB, "t-bob", "Bob")
        await self.backend.set_flag(ANN, "forbidden", 1)
        await self.backend.set_flag(BOB, "notification_on", 1)
        self.assertEqual(await self.backend.preferences.of(ANN), Settings(True, False))
        self.assertEqual(await self.backend.preferences.of(BOB), Settings(False, True))
        self.assertEqual(await self.backend.preferences.of(ANN_ELSEWHERE), Settings(False, False))


class TokensContract(Contract):
    """Tokens and TokenAdmin."""

    async def test_a_token_that_was_made_logs_its_user_in(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "Ann")
        found = await self.backend.tokens.find("t-ann")
        self.assertEqual(found, Identity(ANN, False, False))

    async def test_an_unknown_token_is_nobody(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "Ann")
        for token in ("", "t-an", "T-ANN", "t-ann ", "*"):
            self.assertIsNone(await self.backend.tokens.find(token), token)

    async def test_user_0_cannot_log_in(self) -> None:
        await self.backend.admin.create(User(7, 0), "t-zero", "Zero")
        self.assertIsNone(await self.backend.tokens.find("t-zero"))

    async def test_several_tokens_of_a_user_are_all_good(self) -> None:
        await self.backend.admin.create(ANN, "t-1", "Ann")
        await self.backend.admin.create(ANN, "t-2", "Ann")
        for token in ("t-1", "t-2"):
            self.assertEqual(await self.user_of(token), ANN)

    async def test_the_largest_ids_are_kept_exactly(self) -> None:
        user = User(LARGEST, LARGEST - 1)
        await self.backend.admin.create(user, "t-large", "")
        self.assertEqual(await self.user_of("t-large"), user)

    async def test_what_the_user_set_comes_with_the_token(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "Ann")
        await self.backend.admin.create(ANN_ELSEWHERE, "t-other", "Ann")
        await self.backend.set_flag(ANN, "forbidden", 1)
        self.assertEqual(await self.backend.tokens.find("t-ann"), Identity(ANN, True, False))
        await self.backend.set_flag(ANN, "forbidden", 0)
        await self.backend.set_flag(ANN, "notification_on", 1)
        self.assertEqual(await self.backend.tokens.find("t-ann"), Identity(ANN, False, True))
        self.assertEqual(
            await self.backend.tokens.find("t-other"), Identity(ANN_ELSEWHERE, False, False)
        )

    async def test_a_revoked_token_is_nobody_and_others_stay(self) -> None:
        await self.backend.admin.create(ANN, "t-1", "Ann")
        await self.backend.admin.create(ANN, "t-2", "Ann")
        self.assertIs(await self.backend.admin.revoke("t-1"), True)
        self.assertIsNone(await self.backend.tokens.find("t-1"))
        self.assertEqual(await self.user_of("t-2"), ANN)
        self.assertIs(await self.backend.admin.revoke("t-1"), False)
        self.assertIs(await self.backend.admin.revoke("never-made"), False)

    async def test_an_operator_sees_user_name_and_settings(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "安 😀")
        await self.backend.set_flag(ANN, "forbidden", 1)
        self.assertEqual(
            await self.backend.admin.describe("t-ann"),
            TokenDetails(Identity(ANN, True, False), "安 😀"),
        )
        self.assertIsNone(await self.backend.admin.describe("t-bob"))

    async def test_the_latest_name_is_the_user_s(self) -> None:
        await self.backend.admin.create(ANN, "t-1", "Ann")
        await self.backend.admin.create(ANN, "t-2", "Anna")
        self.assertEqual(await self.name_of("t-1"), "Anna")


class DeviceNumbersContract(Contract):
    """DeviceNumbers."""

    async def test_numbers_count_from_1_and_stay(self) -> None:
        number = self.backend.devices.number
        self.assertEqual(await number("phone", 1), 1)
        self.assertEqual(await number("tablet", 1), 2)
        self.assertEqual(await number("phone", 1), 1)

    async def test_the_same_id_on_another_platform_is_another_device(self) -> None:
        number = self.backend.devices.number
        numbers = [await number("x", 1), await number("x", 2), await number("x_1", 2)]
        self.assertEqual(len(set(numbers)), 3)
        self.assertEqual(await number("x", 2), numbers[1])

    async def test_first_logins_at_once_get_one_number(self) -> None:
        asked = [
            Deferred.fromCoroutine(self.backend.devices.number(f"d{i % 5}", 2)) for i in range(50)
        ]
        numbers = await gatherResults(asked)
        self.assertEqual(numbers[:5] * 10, numbers)
        self.assertEqual(sorted(numbers[:5]), [1, 2, 3, 4, 5])


class SyncKeysContract(Contract):
    """SyncKeys."""

    async def test_a_new_user_has_key_0(self) -> None:
        self.assertEqual(await self.backend.sync_keys.load(ANN), 0)

    async def test_keys_only_grow(self) -> None:
        keys = self.backend.sync_keys
        for key, kept in [(5, 5), (3, 5), (40, 40), (9, 40), (100, 100), (0, 100), (-1, 100)]:
            await keys.advance({ANN: key})
            self.assertEqual(await keys.load(ANN), kept)

    async def test_a_key_below_0_is_not_kept(self) -> None:
        await self.backend.sync_keys.advance({ANN: -5})
        self.assertEqual(await self.backend.sync_keys.load(ANN), 0)

    async def test_many_users_at_once_each_by_its_own(self) -> None:
        keys = self.backend.sync_keys
        await keys.advance({User(7, uid): 500 for uid in range(0, 2500, 2)})
        await keys.advance({User(7, uid): uid + 1 for uid in range(2500)})
        for uid, kept in [(0, 500), (1, 2), (499, 500), (498, 500), (502, 503), (2499, 2500)]:
            self.assertEqual(await keys.load(User(7, uid)), kept, uid)
        self.assertEqual(await keys.load(User(8, 499)), 0)

    async def test_no_users_is_no_error(self) -> None:
        await self.backend.sync_keys.advance({})

    async def test_the_largest_keys_are_kept_and_compared_exactly(self) -> None:
        keys = self.backend.sync_keys
        for key in (LARGEST - 2, LARGEST - 1, LARGEST - 2):
            await keys.advance({ANN: key})
        self.assertEqual(await keys.load(ANN), LARGEST - 1)
        await keys.lower(ANN, LARGEST - 2)
        self.assertEqual(await keys.load(ANN), LARGEST - 2)

    async def test_lower_only_lowers(self) -> None:
        keys = self.backend.sync_keys
        await keys.lower(ANN, 7)
        self.assertEqual(await keys.load(ANN), 0)
        await keys.advance({ANN: 1000, BOB: 1000})
        await keys.lower(ANN, 2000)
        self.assertEqual(await keys.load(ANN), 1000)
        await keys.lower(ANN, 999)
        self.assertEqual(await keys.load(ANN), 999)
        self.assertEqual(await keys.load(BOB), 1000)
        await keys.lower(ANN, 0)
        self.assertEqual(await keys.load(ANN), 0)

    async def test_a_lowered_key_grows_again(self) -> None:
        keys = self.backend.sync_keys
        await keys.advance({ANN: 10**15})
        await keys.lower(ANN, 20)
        await keys.advance({ANN: 30})
        self.assertEqual(await keys.load(ANN), 30)


class GroupSyncKeysContract(Contract):
    """SyncKeys of super groups."""

    async def test_each_reader_of_each_group_has_its_own_key(self) -> None:
        keys, own = self.backend.group_sync_keys, self.backend.sync_keys
        readers = [GroupReader(7, 1001, 100), GroupReader(7, 1001, 101), GroupReader(8, 1001, 100)]
        await keys.advance({reader: 10 + place for place, reader in enumerate(readers)})
        await own.advance({ANN: 99})
        self.assertEqual([await keys.load(reader) for reader in readers], [10, 11, 12])
        self.assertEqual(await own.load(ANN), 99)
        self.assertEqual(await keys.load(GroupReader(7, 1002, 100)), 0)

    async def test_they_grow_and_are_lowered_like_users_own(self) -> None:
        keys, reader = self.backend.group_sync_keys, GroupReader(7, 1001, 100)
        for key, kept in [(5, 5), (3, 5), (-1, 5), (LARGEST - 1, LARGEST - 1)]:
            await keys.advance({reader: key})
            self.assertEqual(await keys.load(reader), kept)
        await keys.lower(reader, LARGEST)
        self.assertEqual(await keys.load(reader), LARGEST - 1)
        await keys.lower(reader, 7)
        self.assertEqual(await keys.load(reader), 7)
        await keys.lower(GroupReader(7, 1001, 101), 7)
        self.assertEqual(await keys.load(GroupReader(7, 1001, 101)), 0)

    async def test_many_at_once(self) -> None:
        keys = self.backend.group_sync_keys
        await keys.advance({GroupReader(7, uid, uid % 3): uid + 1 for uid in range(2500)})
        await keys.advance({})
        for uid in (0, 1003, 2499):
            self.assertEqual(await keys.load(GroupReader(7, uid, uid % 3)), uid + 1)


class UnreadCountsContract(Contract):
    """UnreadCounts."""

    async def test_the_last_count_is_what_push_workers_see(self) -> None:
        self.assertIn(await self.backend.unread_of(ANN), (None, 0))
        for count in (5, 0, 3):
            await self.backend.unread.set({ANN: count})
            self.assertEqual(await self.backend.unread_of(ANN), count)
        self.assertIn(await self.backend.unread_of(BOB), (None, 0))

    async def test_many_users_are_written_at_once(self) -> None:
        users = [User(7, uid) for uid in range(2500)]
        await self.backend.unread.set({user: user.uid % 10 for user in users})
        await self.backend.unread.set({})
        for user in (users[0], users[1003], users[-1]):
            self.assertEqual(await self.backend.unread_of(user), user.uid % 10)

    async def test_it_leaves_the_user_s_other_data_alone(self) -> None:
        await self.backend.admin.create(ANN, "t-ann", "Ann")
        await self.backend.sync_keys.advance({ANN: 12})
        await self.backend.unread.set({ANN: 2})
        await self.backend.sync_keys.advance({ANN: 13})
        self.assertEqual(await self.backend.sync_keys.load(ANN), 13)
        self.assertEqual(await self.name_of("t-ann"), "Ann")
        self.assertEqual(await self.backend.unread_of(ANN), 2)


class DailyUsersContract(Contract):
    """DailyUsers."""

    async def test_each_user_counts_once_a_day(self) -> None:
        add, monday = self.backend.daily.add, date(2018, 4, 2).toordinal()
        await add([Seen(*ANN, monday), Seen(*BOB, monday)])
        await add([Seen(*ANN, monday)])
        await add([Seen(*ANN, monday + 1), Seen(*ANN_ELSEWHERE, monday)])
        self.assertEqual(await self.backend.users_on(2018, 4, 2, 7), 2)
        self.assertEqual(await self.backend.users_on(2018, 4, 3, 7), 1)
        self.assertEqual(await self.backend.users_on(2018, 4, 2, 8), 1)
        self.assertEqual(await self.backend.users_on(2018, 4, 1, 7), 0)

    async def test_days_of_two_digits(self) -> None:
        await self.backend.daily.add([Seen(*ANN, date(2026, 12, 31).toordinal())])
        self.assertEqual(await self.backend.users_on(2026, 12, 31, 7), 1)

    async def test_many_at_once(self) -> None:
        today = date(2026, 1, 9).toordinal()
        await self.backend.daily.add([Seen(7, uid, today) for uid in range(2500)])
        await self.backend.daily.add([])
        # Redis estimates, with a standard error of 0.81 %.
        self.assertLess(abs(await self.backend.users_on(2026, 1, 9, 7) - 2500), 100)


class PushQueuesContract(Contract):
    """PushQueues."""

    async def test_each_queue_keeps_its_order(self) -> None:
        append = self.backend.pushes.append
        await append([("push_queue", b"1"), ("group_push_queue", b"2"), ("push_queue", b"3")])
        await append([("push_queue", b"4")])
        self.assertEqual(await self.backend.pushed("push_queue"), [b"1", b"3", b"4"])
        self.assertEqual(await self.backend.pushed("group_push_queue"), [b"2"])

    async def test_items_come_out_as_the_bytes_that_went_in(self) -> None:
        items = [b'{"content":"\xe5\xae\x89"}', b"", b"007", b"\xff\x00\r\n", b"x" * 100_000]
        await self.backend.pushes.append([("push_queue", item) for item in items])
        self.assertEqual(await self.backend.pushed("push_queue"), items)

    async def test_ten_thousand_at_once(self) -> None:
        items = [b"%d" % number for number in range(10_000)]
        await self.backend.pushes.append([("push_queue", item) for item in items])
        self.assertEqual(await self.backend.pushed("push_queue"), items)

    async def test_nothing_to_append_is_no_error(self) -> None:
        await self.backend.pushes.append([])
        self.assertEqual(await self.backend.pushed("push_queue"), [])
