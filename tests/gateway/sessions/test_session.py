"""Sessions, their table, the watch over them, and rules."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.gateway.rules.table import gather, receives
from gobelieve.gateway.sessions.packing import GroupMessage
from gobelieve.gateway.sessions.session import Session
from gobelieve.gateway.sessions.timeouts import PROGRESS_BYTES
from gobelieve.names import Room, User
from gobelieve.wire import Frame, client, encode_frame
from gobelieve.wire.frames import PUSH, SUPER_GROUP
from gobelieve.wire.message import Sender, sent_by
from tests.gateway.support import APP, TestGateway

IM_BODY = client.IM(sender=2, receiver=1, timestamp=3, msgid=0, content=b"x").encode()


class SlowClientTests(SynchronousTestCase):
    """A client that does not read."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)
        self.alice.connection.congested = True

    def drain(self) -> None:
        """The client reads again."""
        self.alice.connection.congested = False
        self.alice.session.drained()

    def test_of_many_notifies_it_gets_the_newest_when_it_reads_again(self) -> None:
        """The last notify is never lost."""
        for key in (10, 30, 20):
            self.alice.session.deliver(4, IM_BODY, 0, key, 5)
        self.assertEqual(self.alice.messages(), [])
        self.drain()
        self.assertEqual(self.alice.messages(), [client.SyncNotify(sync_key=30)])
        self.drain()
        self.assertEqual(self.alice.messages(), [])

    def test_live_messages_are_dropped_and_counted(self) -> None:
        """They are worth nothing later."""
        self.alice.session.live(17, bytes(16))
        self.drain()
        self.assertEqual(self.alice.messages(), [])
        self.assertEqual(self.gateway.counters["live_dropped"], 1)

    def test_what_it_asked_for_is_answered_all_the_same(self) -> None:
        """Acks and pongs are owed."""
        self.alice.say(client.Ping())
        self.alice.session.ack(5)
        self.assertEqual(self.alice.messages(), [client.Pong(), client.Ack(seq=5)])


class NumberingTests(SynchronousTestCase):
    """The seq of what is sent."""

    def test_frames_are_numbered_from_one_without_a_gap(self) -> None:
        """All frames count, of whatever command."""
        gateway = TestGateway()
        alice = gateway.connect()
        alice.say(client.Ping())
        alice.log_in(gateway.grant(1))
        alice.session.deliver(4, IM_BODY, 0, 9, 8)
        alice.session.ack(1)
        alice.session.live(17, bytes(16))
        alice.say(client.Sync(sync_key=9))
        self.assertEqual([told.seq for told in alice.told()], list(range(1, 10)))

    def test_the_number_wraps_before_it_becomes_negative(self) -> None:
        """It is a signed 32-bit integer."""
        alice = TestGateway().client(1)
        alice.session._seq = 0x7FFFFFFE
        for _ in range(2):
            alice.session.ack(1)
        self.assertEqual([told.seq for told in alice.told()], [0x7FFFFFFF, 1])


class PublicationTests(SynchronousTestCase):
    """Publications of other gateways for users here."""

    def setUp(self) -> None:
        self.gateway = TestGateway()
        self.alice = self.gateway.client(1)
        self.user = User(APP, 1)

    def published(self, cmd: int, body: bytes, flag: int = 0, key: int = 0, prev: int = 0) -> None:
        """Let a publication arrive."""
        self.gateway.publications.published_to_user(
            self.user, encode_frame(cmd, body, 0, 1, flag), key, prev
        )

    def test_a_whole_delivery_is_pushed_and_notified(self) -> None:
        """With the ids that came with it."""
        self.published(4, IM_BODY, PUSH, 500, 400)
        told = self.alice.told()
        self.assertEqual(
            [t.message for t in told],
            [
                client.Metadata(sync_key=500, prev_sync_key=400),
                client.IM.decode(IM_BODY),
                client.SyncNotify(sync_key=500),
            ],
        )
        self.assertEqual([t.flag for t in told], [0, PUSH, 0])

    def test_a_delivery_without_a_previous_id_is_only_notified(self) -> None:
        """The Go server's gateways publish without the previous id."""
        self.published(4, IM_BODY, PUSH, 500, 0)
        self.assertEqual(self.alice.messages(), [client.SyncNotify(sync_key=500)])

    def test_notifies_and_live_messages_pass(self) -> None:
        """Nobody is left out: the one that sent is at another gateway."""
        self.published(29, (77).to_bytes(8, "big"))
        self.published(17, bytes(16))
        self.published(36, b"text")
        self.assertEqual(
            [m.label for m in self.alice.messages()], ["SYNC_NOTIFY", "RT", "NOTIFICATION"]
        )

    def test_a_gateway_that_only_notifies_does_so_for_others_too(self) -> None:
        """With `direct_push = false` publications of other gateways are only notified."""
        gateway = TestGateway(direct_push=False)
        alice = gateway.client(1)
        gateway.publications.published_to_user(
            self.user, encode_frame(4, IM_BODY, 0, 1, PUSH), 500, 400
        )
        self.assertEqual(alice.messages(), [client.SyncNotify(sync_key=500)])

    def test_nonsense_is_an_error_for_the_link_to_log(self) -> None:
        """Half frames, wrong lengths."""
        for inner in (
            b"",
            b"short",
            encode_frame(4, IM_BODY)[:-1],
            encode_frame(4, IM_BODY) + b"x",
        ):
            with self.assertRaises(BodyError):
                self.gateway.publications.published_to_user(self.user, inner, 1, 1)

    def test_for_a_user_who_is_not_here_it_is_counted(self) -> None:
        """The user just left."""
        inner = encode_frame(17, bytes(16), 0, 1)
        self.gateway.publications.published_to_user(User(APP, 99), inner, 0, 0)
        self.assertEqual(self.gateway.counters["publications_for_nobody"], 1)

    def test_for_a_room(self) -> None:
        """Everybody who is in it; where nobody is, nobody wants it."""
        room = Room(APP, 50)
        body = client.RoomIM(sender=9, receiver=50, content=b"hello").encode()
        inner = encode_frame(client.RoomIM.number, body, 0, 1)
        self.gateway.publications.published_to_room(room, inner)
        self.assertEqual(self.gateway.counters["publications_for_nobody"], 1)
        self.gateway.rooms.enter(room, self.alice.session)
        self.gateway.publications.published_to_room(room, inner)
        self.assertEqual([m.label for m in self.alice.messages()], ["ROOM_IM"])
        self.assertEqual(self.gateway.counters["publications_for_nobody"], 1)

    def test_for_a_super_group(self) -> None:
        """Where the site has no groups, a publication for a group is counted and dropped."""
        inner = encode_frame(8, IM_BODY, 0, 1, PUSH | SUPER_GROUP)
        self.gateway.publications.published_to_group(APP, 100, inner, 500, 400)
        self.assertEqual(self.gateway.counters["publications_for_nobody"], 0)
        gateway = TestGateway(with_groups=False)
        gateway.publications.published_to_group(APP, 100, inner, 500, 400)
        self.assertEqual(gateway.counters["publications_for_nobody"], 1)

    def test_a_publication_without_a_whole_frame(self) -> None:
        """It is an error, whatever it is for; the link logs it."""
        publications, inner = self.gateway.publications, encode_frame(8, IM_BODY, 0, 1)[:-1]
        with self.assertRaises(BodyError):
            publications.published_to_user(User(APP, 1), inner, 1, 1)
        with self.assertRaises(BodyError):
            publications.published_to_group(APP, 100, inner, 1, 1)
        with self.assertRaises(BodyError):
            publications.published_to_room(Room(APP, 50), inner)


class WatchTests(SynchronousTestCase):
    """Clients that say nothing, or take nothing."""

    def setUp(self) -> None:
        self.gateway = TestGateway()

    def pass_seconds(self, seconds: int) -> None:
        """Sweep once a second."""
        for _ in range(seconds):
            self.gateway.timeouts.sweep()

    def test_a_client_that_does_not_log_in_is_closed_after_ten_seconds(self) -> None:
        """The connection is open until then."""
        stranger = self.gateway.connect()
        self.pass_seconds(10)
        self.assertIsNone(stranger.connection.ended)
        self.pass_seconds(1)
        self.assertEqual(stranger.connection.ended, "closed")

    def test_a_silent_client_is_closed_after_six_minutes(self) -> None:
        """Any frame counts as a sign of life."""
        alice = self.gateway.client(1)
        self.pass_seconds(360)
        self.assertIsNone(alice.connection.ended)
        alice.session.seen = self.gateway.timeouts.tick
        self.pass_seconds(360)
        self.assertIsNone(alice.connection.ended)
        self.pass_seconds(1)
        self.assertEqual(alice.connection.ended, "closed")
        self.assertEqual(self.gateway.counters["closed_idle"], 1)

    def test_a_close_that_the_client_does_not_take_is_forced(self) -> None:
        """After the write timeout."""
        alice = self.gateway.client(1)
        self.pass_seconds(360 + 30)
        self.assertEqual(alice.connection.ended, "closed")
        self.pass_seconds(1)
        self.assertEqual(alice.connection.ended, "aborted")

    def test_a_client_that_does_not_read_is_aborted_after_the_write_timeout(self) -> None:
        """Unless it reads again before."""
        stuck, slow = self.gateway.client(1), self.gateway.client(2)
        for one in (stuck, slow):
            self.gateway.timeouts.congested(one.session)
        self.pass_seconds(30)
        self.gateway.timeouts.drained(slow.session)
        self.assertIsNone(stuck.connection.ended)
        self.pass_seconds(1)
        self.assertEqual(stuck.connection.ended, "aborted")
        self.assertIsNone(slow.connection.ended)

    def test_a_client_that_reads_slowly_but_steadily_is_left_alone(self) -> None:
        """However long it takes: 16 KiB within the write timeout are enough."""
        slow = self.gateway.client(1)
        slow.connection.left = 4 << 20
        self.gateway.timeouts.congested(slow.session)
        for _ in range(20):
            self.pass_seconds(30)
            self.assertIsNone(slow.connection.ended)
            slow.connection.left -= PROGRESS_BYTES

    def test_a_client_that_reads_less_than_that_is_stuck(self) -> None:
        """Frames that are written to it meanwhile do not count."""
        slow = self.gateway.client(1)
        slow.connection.left = 1 << 20
        self.gateway.timeouts.congested(slow.session)
        self.pass_seconds(10)
        slow.connection.left += 100_000
        self.pass_seconds(10)
        slow.connection.left -= PROGRESS_BYTES - 1
        self.pass_seconds(10)
        self.assertIsNone(slow.connection.ended)
        self.pass_seconds(1)
        self.assertEqual(slow.connection.ended, "aborted")

    def test_closed_connections_are_forgotten(self) -> None:
        """Nothing is kept of them."""
        alice = self.gateway.client(1)
        self.gateway.timeouts.congested(alice.session)
        alice.hang_up()
        self.pass_seconds(500)
        self.assertIsNone(alice.connection.ended)
        self.assertEqual(len(self.gateway.timeouts), 0)


class EndTests(SynchronousTestCase):
    """The end of the gateway."""

    def test_connections_are_told_of_when_they_are_all_gone(self) -> None:
        """At once if there are none."""
        gateway = TestGateway()
        told: list[str] = []
        gateway.timeouts.when_empty(lambda: told.append("none"))
        alice, bob = gateway.client(1), gateway.connect()
        gateway.timeouts.pause_all()
        self.assertEqual((alice.connection.paused, bob.connection.paused), (1, 1))
        gateway.timeouts.close_all()
        self.assertEqual((alice.connection.ended, bob.connection.ended), ("closed", "closed"))
        gateway.timeouts.when_empty(lambda: told.append("all gone"))
        alice.hang_up()
        self.assertEqual(told, ["none"])
        bob.hang_up()
        self.assertEqual(told, ["none", "all gone"])


class TableTests(SynchronousTestCase):
    """Users and their sessions."""

    def test_everyone_is_listed_with_the_online_flag(self) -> None:
        """A router that is back gets this list."""
        gateway = TestGateway()
        gateway.client(1)
        gateway.client(1, device="other")
        desktop = gateway.connect()
        desktop.log_in(gateway.grant(2, notification_on=True), platform=3)
        sessions = gateway.sessions
        self.assertEqual(
            {user: sessions.online(user) for user in sessions.users()},
            {User(APP, 1): True, User(APP, 2): False},
        )
        self.assertIsNone(sessions.online(User(APP, 3)))
        self.assertEqual((len(gateway.sessions), gateway.sessions.count), (2, 3))

    def test_a_session_that_leaves_twice_counts_once(self) -> None:
        """The count is right, however the session ended."""
        gateway = TestGateway()
        alice = gateway.client(1)
        alice.hang_up()
        alice.hang_up()
        self.assertEqual((len(gateway.sessions), gateway.sessions.count), (0, 0))

    def test_a_second_session_of_a_user_tells_the_routers_nothing(self) -> None:
        """They know the user already."""
        gateway = TestGateway()
        gateway.client(1)
        gateway.routing.take()
        second = gateway.client(1, device="other")
        second.hang_up()
        self.assertEqual(gateway.routing.take(), [])


class SentTests(SynchronousTestCase):
    """Frames to clients are counted by command, however they are packed."""

    def test_every_frame_is_counted_once(self) -> None:
        """On a stream several are packed at once; a browser gets each by itself."""
        for stream in (True, False):
            gateway = TestGateway()
            alice = gateway.client(1, version=2)
            alice.connection.stream = stream
            before = list(gateway.counters.sent)
            session, message = alice.session, GroupMessage(8, IM_BODY, 200, 500, 400)
            session.deliver(4, IM_BODY, 0, 500, 400)
            session.deliver(4, IM_BODY, 0, 600, 0)
            session.deliver_group(message)
            session.live(17, bytes(16))
            session.ack(5)
            session.metadata(500, 400)
            frames = [one.message.number for one in alice.told()]
            counted = [now - then for now, then in zip(gateway.counters.sent, before, strict=True)]
            self.assertEqual(
                {number: count for number, count in enumerate(counted) if count},
                {number: frames.count(number) for number in frames},
            )


class RuleTests(SynchronousTestCase):
    """The table of rules."""

    def test_two_rules_for_one_command_are_an_error(self) -> None:
        """At the start, not when the command comes."""

        class One:
            @receives(client.Ping)
            def ping(self, session: Session, frame: Frame) -> None: ...

        with self.assertRaisesRegex(TypeError, "two rules for command 13"):
            gather(One(), One())

    def test_every_message_that_clients_send_has_a_rule_or_is_ignored_on_purpose(self) -> None:
        """Adding a message without deciding what happens fails here."""
        ignored = {1, 2, 5, 6, 9, 11, 12, 14, 15, 16, 23, 37}
        after = TestGateway().client(1).session.rules
        ruled = {cmd for cmd in range(256) if after[cmd] is not None}
        self.assertEqual(ruled | ignored, set(sent_by(Sender.CLIENT)))
        self.assertEqual(ruled & ignored, set())

    def test_before_login_only_two_commands_have_a_rule(self) -> None:
        """AUTH_TOKEN and PING are handled; all other frames are ignored."""
        before = TestGateway().connect().session.rules
        self.assertEqual([cmd for cmd in range(256) if before[cmd] is not None], [13, 15])
