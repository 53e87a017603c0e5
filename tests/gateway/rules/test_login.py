"""Logins that are accepted, and logins that are refused."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Identity, Seen
from gobelieve.names import User
from gobelieve.wire import Frame, client, encode_frame
from tests.gateway.support import APP, TestGateway


async def _noted(writes: list[object], counts: object) -> None:
    writes.append(counts)


class LoginTests(SynchronousTestCase):
    """The login with AUTH_TOKEN."""

    def setUp(self) -> None:
        self.gateway = TestGateway()

    def test_a_good_token_logs_in_and_the_routers_learn_of_the_user(self) -> None:
        """AUTH_STATUS 0, in the version of the client's own header."""
        alice = self.gateway.connect()
        alice.log_in(self.gateway.grant(1001), version=2)
        (told,) = alice.told()
        self.assertEqual(
            (told.message, told.seq, told.version), (client.AuthStatus(status=0), 1, 2)
        )
        self.assertEqual(self.gateway.routing.take(), [("subscribe", User(APP, 1001), True)])
        self.assertEqual(list(self.gateway.sessions.of(User(APP, 1001))), [alice.session])
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.unread, {User(APP, 1001): 0})

    def test_who_logs_in_is_counted_for_the_day(self) -> None:
        """Once, by the local date; who logs in on both sides of midnight, on both days."""
        clock = self.gateway.clock
        today = date.fromtimestamp(clock.seconds())
        midnight = datetime.combine(today + timedelta(days=1), time()).timestamp()
        clock.advance(midnight - 0.3 - clock.seconds())
        for _ in range(2):
            self.gateway.client(1001)
        clock.advance(0.5)
        self.gateway.client(1001)
        clock.advance(1)
        days = [today.toordinal(), today.toordinal() + 1]
        self.assertEqual(self.gateway.memory.seen, {Seen(APP, 1001, day) for day in days})

    def test_what_comes_behind_a_login_waits_until_the_router_knows_the_user(self) -> None:
        """A message published before that would be in no sync and in no notify. The status of the
        login does not wait, nor does what others publish."""
        waiting: list[Callable[[], None]] = []
        self.gateway.routing.waiting = waiting
        alice = self.gateway.connect()
        alice.version = 2
        token = self.gateway.grant(1001).encode()
        alice.say(
            client.AuthToken(platform=2, token=token, device_id=b"d"), client.Sync(sync_key=400)
        )
        alice.say(client.Ping())
        self.assertEqual(alice.messages(), [client.AuthStatus(status=0)])
        self.assertEqual(self.gateway.storage.fetched, [])
        inner = encode_frame(client.SyncNotify.number, (500).to_bytes(8, "big"), 0, 1)
        self.gateway.publications.published_to_user(User(APP, 1001), inner, 0, 0)
        self.assertEqual(alice.messages(), [client.SyncNotify(sync_key=500)])
        (known,) = waiting
        known()
        self.assertEqual(self.gateway.storage.fetched, [(User(APP, 1001), 400)])
        told = [message.label for message in alice.messages()]
        self.assertEqual(told, ["SYNC_BEGIN", "SYNC_END", "PONG"])
        self.assertEqual(alice.connection.paused, 0)

    def test_a_client_that_leaves_while_the_router_learns_of_it(self) -> None:
        """Nothing of what it sent is handled."""
        waiting: list[Callable[[], None]] = []
        self.gateway.routing.waiting = waiting
        alice = self.gateway.connect()
        token = self.gateway.grant(1001).encode()
        alice.say(
            client.AuthToken(platform=2, token=token, device_id=b"d"), client.Sync(sync_key=400)
        )
        alice.hang_up()
        waiting[0]()
        self.assertEqual(self.gateway.storage.fetched, [])

    def test_an_unknown_token_is_refused_and_may_be_corrected(self) -> None:
        """Status 1 in 4 bytes and version 0; the connection stays."""
        stranger = self.gateway.connect()
        stranger.log_in("no such token", version=1)
        (frame,) = stranger.connection.frames
        self.assertEqual((frame.version, frame.body), (0, b"\0\0\0\1"))
        stranger.log_in(self.gateway.grant(5))
        self.assertEqual(stranger.messages()[-1], client.AuthStatus(status=0))
        self.assertIsNone(stranger.connection.ended)

    def test_the_third_wrong_token_ends_the_connection(self) -> None:
        """Guessing a token takes a new connection for every three guesses."""
        stranger = self.gateway.connect()
        for _ in range(3):
            self.assertIsNone(stranger.connection.ended)
            stranger.log_in("guess")
        self.assertEqual(stranger.messages(), [client.AuthStatus(status=1)] * 3)
        self.assertEqual(stranger.connection.ended, "closed")

    def test_guesses_sent_all_at_once_are_three_too(self) -> None:
        """The gateway does not look at the frames behind the third."""
        stranger = self.gateway.connect()
        guess = client.AuthToken(platform=2, token=b"guess", device_id=b"")
        stranger.say(*[guess] * 10)
        self.assertEqual(stranger.messages(), [client.AuthStatus(status=1)] * 3)
        self.assertEqual(self.gateway.counters["logins_refused"], 3)

    def test_a_token_that_is_not_utf_8_is_unknown(self) -> None:
        """Refused like any other."""
        stranger = self.gateway.connect()
        stranger.say(client.AuthToken(platform=2, token=b"\xff\xfe", device_id=b""))
        self.assertEqual(stranger.messages(), [client.AuthStatus(status=1)])

    def test_while_the_token_store_is_away_the_client_is_told_to_come_again(self) -> None:
        """Closed without a status, which would say that the token is bad."""
        alice = self.gateway.connect()
        self.gateway.memory.away = True
        alice.log_in("any")
        self.assertEqual(alice.messages(), [])
        self.assertEqual(alice.connection.ended, "closed")

    def test_frames_behind_a_pending_login_wait_and_keep_their_order(self) -> None:
        """Apps send AUTH_TOKEN, SYNC and PING back to back."""
        answer: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = answer
        alice = self.gateway.connect()
        alice.say(
            client.AuthToken(platform=2, token=b"t", device_id=b""),
            client.Ping(),
            client.Sync(sync_key=0),
        )
        alice.say(client.Ping())
        self.assertEqual(alice.messages(), [])
        self.assertEqual(alice.connection.paused, 1)
        answer.callback(Identity(User(APP, 1), False, False))
        self.assertEqual(
            [m.label for m in alice.messages()],
            ["AUTH_STATUS", "PONG", "SYNC_BEGIN", "SYNC_END", "PONG"],
        )
        self.assertEqual(alice.connection.paused, 0)

    def test_a_client_that_hangs_up_during_its_login_is_nobody(self) -> None:
        """Nothing is subscribed for it."""
        answer: Deferred[Identity | None] = Deferred()
        self.gateway.tokens.pending = answer
        alice = self.gateway.connect()
        alice.log_in("t")
        alice.hang_up()
        answer.callback(Identity(User(APP, 1), False, False))
        self.assertEqual(self.gateway.routing.take(), [])
        self.assertEqual(len(self.gateway.sessions), 0)

    def test_before_login_everything_but_ping_is_ignored(self) -> None:
        """Nothing is stored, forwarded or answered for a stranger."""
        stranger = self.gateway.connect()
        stranger.say(
            client.IM(sender=0, receiver=2, msgid=1, content=b"x"),
            client.RT(sender=0, receiver=2, content=b"x"),
            client.Inputing(sender=0, receiver=2),
            client.UnreadCount(count=3),
            client.Sync(sync_key=0),
            client.SyncKey(sync_key=5),
            client.Ping(),
        )
        self.assertEqual(stranger.messages(), [client.Pong()])
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(self.gateway.routing.take(), [])
        self.assertEqual(self.gateway.memory.unread, {})

    def test_a_second_login_on_a_connection_is_ignored(self) -> None:
        """It stays who it is."""
        alice = self.gateway.client(1)
        alice.log_in(self.gateway.grant(2))
        self.assertEqual(alice.messages(), [])
        self.assertEqual(alice.session.user, User(APP, 1))

    def test_a_device_keeps_its_number_and_browsers_have_none(self) -> None:
        """By (device id, platform)."""
        phone = self.gateway.client(1, platform=2, device="a")
        again = self.gateway.client(1, platform=2, device="a")
        other = self.gateway.client(1, platform=1, device="a")
        web = self.gateway.client(1, platform=3, device="guid")
        nameless = self.gateway.client(1, platform=4, device="")
        self.assertEqual(phone.session.device, again.session.device)
        self.assertNotEqual(phone.session.device, other.session.device)
        self.assertGreater(phone.session.device, 0)
        self.assertEqual((web.session.device, nameless.session.device), (0, 0))

    def test_a_device_id_that_is_not_utf_8_has_a_number_of_its_own(self) -> None:
        """It is bytes to the client."""
        numbers = set()
        token = self.gateway.grant(1).encode()
        for device_id in (b"\xff", b"\xfe", b"\xff"):
            one = self.gateway.connect()
            one.say(client.AuthToken(platform=2, token=token, device_id=device_id))
            self.assertEqual(one.messages(), [client.AuthStatus(status=0)])
            numbers.add(one.session.device)
        self.assertEqual(len(numbers), 2)
        self.assertTrue(all(known.isascii() for known, _ in self.gateway.memory.devices))

    def test_a_desktop_of_a_user_who_wants_phone_pushes_is_not_online(self) -> None:
        """The phone of the same user is."""
        token = self.gateway.grant(1, notification_on=True)
        desktop = self.gateway.connect()
        desktop.log_in(token, platform=5, device="mac")
        self.assertEqual(self.gateway.routing.take(), [("subscribe", User(APP, 1), False)])
        phone = self.gateway.connect()
        phone.log_in(token, platform=1, device="phone")
        self.assertEqual(self.gateway.routing.take(), [("subscribe", User(APP, 1), True)])
        phone.hang_up()
        self.assertEqual(self.gateway.routing.take(), [("subscribe", User(APP, 1), False)])
        desktop.hang_up()
        self.assertEqual(self.gateway.routing.take(), [("unsubscribe", User(APP, 1))])

    def test_a_newer_protocol_version_is_spoken_to_in_version_2(self) -> None:
        """The newest that we know."""
        alice = self.gateway.connect()
        body = client.AuthToken(
            platform=2, token=self.gateway.grant(1).encode(), device_id=b""
        ).encode()
        alice.session.received([Frame(15, 9, 0, 1, body)])
        self.assertEqual(alice.connection.frames[0].version, 2)

    def test_the_unread_count_is_kept_and_not_answered(self) -> None:
        """Push workers read it."""
        alice = self.gateway.client(1)
        for count in (9, 4):
            alice.say(client.UnreadCount(count=count))
        self.assertEqual(self.gateway.memory.unread, {})
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.unread[User(APP, 1)], 4)
        self.assertEqual(alice.messages(), [])

    def test_an_unread_count_waits_while_the_store_is_away(self) -> None:
        """The newest is written when it is back."""
        alice = self.gateway.client(1)
        self.gateway.memory.away = True
        alice.say(client.UnreadCount(count=4), client.Ping())
        self.assertEqual(alice.messages(), [client.Pong()])
        self.gateway.clock.advance(1)
        self.gateway.memory.away = False
        self.gateway.clock.advance(1)
        self.assertEqual(self.gateway.memory.unread, {User(APP, 1): 4})
        self.assertEqual(self.gateway.counters["unread_counts_writes_failed"], 1)

    def test_a_flood_of_unread_counts_is_one_write(self) -> None:
        """A single client cannot keep the store busy."""
        alice = self.gateway.client(1)
        writes: list[object] = []
        self.patch(self.gateway.unread, "_write", lambda counts: _noted(writes, counts))
        alice.say(*[client.UnreadCount(count=n) for n in range(1000)])
        self.gateway.clock.advance(1)
        self.assertEqual(writes, [{User(APP, 1): 999}])

    def test_a_token_corrected_in_the_same_breath_leaves_the_client_read_from(self) -> None:
        """Two logins sent back to back, each of which takes its time."""
        answers: list[Deferred[Identity | None]] = [Deferred(), Deferred()]
        waiting = list(answers)

        async def find(token: str) -> Identity | None:
            return await waiting.pop(0)

        self.patch(self.gateway.tokens, "find", find)
        alice = self.gateway.connect()
        auth = client.AuthToken(platform=2, token=b"t", device_id=b"")
        alice.say(auth, auth, client.Ping())
        answers[0].callback(None)
        answers[1].callback(Identity(User(APP, 1), False, False))
        told = [message.label for message in alice.messages()]
        self.assertEqual(told, ["AUTH_STATUS", "AUTH_STATUS", "PONG"])
        self.assertEqual(alice.connection.paused, 0)

    def test_a_body_that_is_too_short_cuts_the_client_off(self) -> None:
        """In the login as anywhere."""
        stranger = self.gateway.connect()
        stranger.session.received([Frame(15, 1, 0, 1, b"\x02\x10abc")])
        self.assertIsNotNone(stranger.connection.cut_for)
