"""The gateway's link to one router."""

from twisted.internet.task import Clock

from gobelieve.names import Room, User
from gobelieve.protocols.router import backlog, subscriptions
from gobelieve.protocols.router import connection as route_connection
from gobelieve.protocols.router.confirmations import MARK_TIMEOUT
from gobelieve.protocols.router.link import NOTIFIES_PER_TURN, RouteLink
from gobelieve.support.throttled_log import INTERVAL
from gobelieve.wire import Frame, client, encode_frame, route
from gobelieve.wire.frames import PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from tests.protocols.logs import Events
from tests.protocols.routers import ALICE, BOB, BODY, RouterCase, RouterEnd

LOBBY = Room(7, 50)


def keys(frames: list[Frame]) -> dict[int, int]:
    """Return the ids in the SYNC_NOTIFYs, by receiver."""
    told = [Publication.read(f.body, 1) for f in frames if f.cmd == route.PUBLISH]
    return {one.receiver: int.from_bytes(one.inner[12:], "big") for one in told}


class SendingTests(RouterCase):
    """A gateway sends to a connected router."""

    def test_subscriptions_carry_the_online_flag(self) -> None:
        """A SUBSCRIBE always has 17 bytes."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.subscribe(ALICE, True)
        pool.subscribe(BOB, False)
        pool.unsubscribe(ALICE)
        self.turn()
        frames = wire.frames()
        self.assertEqual(
            [(f.cmd, len(f.body), f.version) for f in frames],
            [(130, 17, 1), (130, 17, 1), (131, 16, 1)],
        )
        self.assertEqual(
            route.Subscribe.decode(frames[1].body), route.Subscribe(appid=7, uid=2, online=0)
        )
        self.assertEqual(route.Unsubscribe.decode(frames[2].body).uid, 1)

    def test_rooms(self) -> None:
        """A room is subscribed, published to, and unsubscribed, in this order."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.subscribe_room(LOBBY)
        pool.publish_room(LOBBY, 20, b"hello")
        pool.unsubscribe_room(LOBBY)
        self.turn()
        entered, published, left = wire.frames()
        self.assertEqual([f.cmd for f in (entered, published, left)], [136, 138, 137])
        self.assertEqual(route.SubscribeRoom.decode(entered.body).room_id, 50)
        self.assertEqual(
            Publication.read(published.body, 1),
            (7, 50, 0, 0, 1000 * 10**9, encode_frame(20, b"hello", 0, 1)),
        )

    def test_frames_are_counted_from_1(self) -> None:
        """All frames of a connection are counted, and each connection begins with 1."""
        pool = self.pool()
        for _ in range(2):
            wire = RouterEnd(pool)
            pool.subscribe(ALICE, True)
            pool.publish(BOB, 17, bytes(16))
            pool.push(7, (2,), 4, BODY)
            self.turn()
            seqs = [f.seq for f in wire.all_frames()]
            self.assertEqual(seqs, list(range(1, 5)))
            wire.disconnect()

    def test_a_publication_carries_the_previous_id_and_the_stored_layout(self) -> None:
        """It has the layout of version 1."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        pool.publish_group(7, 100, 8, BODY, PUSH | SUPER_GROUP, 70, 60)
        self.turn()
        to_user, to_group = wire.frames()
        self.assertEqual((to_user.cmd, to_user.version), (route.PUBLISH, 1))
        now = 1000 * 10**9
        self.assertEqual(
            Publication.read(to_user.body, 1),
            (7, 2, 500, 400, now, encode_frame(4, BODY, 0, 1, PUSH)),
        )
        self.assertEqual(to_group.cmd, route.PUBLISH_GROUP)
        self.assertEqual(
            Publication.read(to_group.body, 1),
            (7, 100, 70, 60, now, encode_frame(8, BODY, 0, 1, PUSH | SUPER_GROUP)),
        )

    def test_a_push_to_many_receivers_is_split(self) -> None:
        """No frame is longer than the limit of the link."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.push(7, range(9000), 4, BODY)
        self.turn()
        pushes = [route.WidePush.decode(f.body) for f in wire.frames()]
        self.assertEqual([len(p.receivers) for p in pushes], [4000, 4000, 1000])
        self.assertEqual({p.inner for p in pushes}, {encode_frame(4, BODY, 0, 1)})

    def test_a_push_to_one_user_is_the_same_bytes_as_the_declared_message(self) -> None:
        """The fast packing gives the same bytes as the declaration."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.push(7, (2,), 4, BODY)
        self.turn()
        (frame,) = wire.frames()
        wide = route.WidePush(appid=7, receivers=(2,), inner=encode_frame(4, BODY, 0, 1))
        self.assertEqual((frame.cmd, frame.version), (route.PUSH, 1))
        self.assertEqual(frame.body, wide.encode())

    def test_a_lost_router_is_no_error(self) -> None:
        """Frames for an absent router are kept or dropped. No call raises."""
        pool = self.pool()
        wire = RouterEnd(pool)
        wire.disconnect()
        pool.subscribe(ALICE, True)
        pool.unsubscribe(ALICE)
        pool.subscribe_room(LOBBY)
        pool.unsubscribe_room(LOBBY)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        self.turn()
        self.assertEqual(wire.frames(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReceivingTests(RouterCase):
    """A gateway receives from a router."""

    def test_publications_of_other_gateways_are_forwarded(self) -> None:
        """They keep their ids, in our layout and in the layout of the Go server."""
        wire = self.connected(self.pool())
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        ours = Publication(7, 2, 500, 400, 9, inner)
        for version in (1, 0):
            for cmd in (route.PUBLISH, route.PUBLISH_GROUP, route.PUBLISH_ROOM):
                wire.send(cmd, ours.body(version), version)
        subscriber = self.subscriber
        self.assertEqual(subscriber.users, [(BOB, inner, 500, 400), (BOB, inner, 500, 0)])
        self.assertEqual(subscriber.groups, [(7, 2, inner, 500, 400), (7, 2, inner, 500, 0)])
        self.assertEqual(subscriber.rooms, [(Room(7, 2), inner)] * 2)

    def test_a_malformed_publication_of_another_gateway(self) -> None:
        """Each is counted, one per minute is logged, and the link goes on."""
        events = Events()
        self.patch(RouteLink, "log", events.log())
        wire = self.connected(self.pool())
        body = Publication(7, 2, 0, 0, 0, b"nonsense").body(1)
        for cmd in route.PUBLICATIONS:
            wire.send(cmd, body)
        self.assertFalse(wire.transport.disconnecting)
        self.assertEqual(self.counters["publications_malformed"], 3)
        malformed = "router 127.0.0.1:0 forwarded a malformed publication"
        self.assertEqual([malformed in text for text in events.texts()].count(True), 1)
        self.clock.advance(INTERVAL)
        wire.send(route.PUBLISH, body)
        self.assertEqual([malformed in text for text in events.texts()].count(True), 2)

    def test_a_malformed_frame_of_a_router(self) -> None:
        """A bad length, a wrong command or an answer without a MARK ends the connection."""
        for cmd, body in ((132, bytes(20)), (130, bytes(17)), (140, b"\0"), (140, b"")):
            wire = self.connected(self.pool())
            wire.send(cmd, body)
            self.assertTrue(wire.transport.disconnecting, f"{cmd} {body!r}")


class ResubscriptionTests(RouterCase):
    """A new connection gets all users and rooms."""

    def test_all_users_and_rooms_and_then_a_mark(self) -> None:
        """The online flag is right, and the MARK shows the router that this is all."""
        self.held.update({ALICE: True, BOB: False})
        self.rooms.add(LOBBY)
        wire = RouterEnd(self.pool())
        self.turn()
        *said, mark = wire.all_frames()
        self.assertEqual(
            {route.Subscribe.decode(f.body) for f in said if f.cmd == route.SUBSCRIBE},
            {route.Subscribe(appid=7, uid=1, online=1), route.Subscribe(appid=7, uid=2, online=0)},
        )
        self.assertEqual([f.body for f in said[2:]], [bytes(7) + b"\7" + bytes(7) + b"\x32"])
        self.assertEqual((mark.cmd, mark.body, mark.version), (route.MARK, b"", 1))

    def test_a_gateway_without_users_sends_a_mark(self) -> None:
        """The router waits for it."""
        wire = RouterEnd(self.pool())
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [route.MARK])

    def test_users_catch_up_when_the_resubscription_is_in_effect(self) -> None:
        """Earlier publications did not arrive, so users read them from storage."""
        self.held.update({ALICE: True})
        wire = RouterEnd(self.pool())
        self.turn()
        self.assertEqual(self.missed, [])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.missed, [ALICE])

    def test_a_router_that_answers_no_marks(self) -> None:
        """The resubscription counts as in effect after a second, as with the Go server's router."""
        self.held.update({ALICE: True})
        pool = self.pool()
        for _ in range(2):
            wire = RouterEnd(pool)
            pool.push(7, (2,), 4, BODY)
            self.turn()
            self.clock.advance(MARK_TIMEOUT)
            self.turn()
            self.assertEqual(self.missed, [ALICE])
            self.missed.clear()
            wire.disconnect()
        self.assertEqual(self.counters["marks_unanswered"], 1)

    def test_many_users_are_sent_over_several_turns(self) -> None:
        """The gateway serves its clients meanwhile."""
        self.held.update({User(7, uid): True for uid in range(2 * NOTIFIES_PER_TURN + 1)})
        wire = RouterEnd(self.pool())
        counts = []
        for _ in range(8):
            counts.append(len(wire.all_frames()))
            _one_turn(self.clock)
        self.assertEqual(
            [count for count in counts if count], [NOTIFIES_PER_TURN, NOTIFIES_PER_TURN, 1, 1]
        )

    def test_users_who_come_and_go_during_the_resubscription(self) -> None:
        """The last frame about a user always has the present state."""
        self.patch(subscriptions, "USERS_PER_TURN", 1)
        users = [User(7, uid) for uid in range(6)]
        self.held.update(dict.fromkeys(users, True))
        pool = self.pool()
        wire = RouterEnd(pool)
        new = User(7, 100)
        changes = [
            (users[0], None),
            (users[5], None),
            (users[1], False),
            (new, True),
            (users[0], False),
            (new, None),
        ]
        for user, online in changes:
            if online is None:
                del self.held[user]
                pool.unsubscribe(user)
            else:
                self.held[user] = online
                pool.subscribe(user, online)
            _one_turn(self.clock)
        self.clock.advance(0)
        known: dict[User, bool] = {}
        frames = wire.all_frames()
        for frame in frames:
            if frame.cmd == route.SUBSCRIBE:
                said = route.Subscribe.decode(frame.body)
                known[User(said.appid, said.uid)] = bool(said.online)
            elif frame.cmd == route.UNSUBSCRIBE:
                gone = route.Unsubscribe.decode(frame.body)
                known.pop(User(gone.appid, gone.uid), None)
        self.assertEqual(known, dict(self.held))
        self.assertEqual([f.cmd for f in frames].count(route.MARK), 1)
        self.assertEqual(frames[-1].cmd, route.MARK)

    def test_a_router_that_stops_reading_during_the_resubscription(self) -> None:
        """Nothing more is sent until it reads, and then the rest."""
        self.patch(subscriptions, "USERS_PER_TURN", 10)
        self.patch(route_connection, "MAX_UNREAD_BYTES", 100)
        self.held.update({User(7, uid): True for uid in range(100)})
        pool = self.pool()
        wire = RouterEnd(pool)
        wire.connection.pauseProducing()
        self.turn()
        self.assertEqual(len(wire.all_frames()), 10)
        for _ in range(1000):
            pool.subscribe(BOB, False)
            pool.unsubscribe(User(7, 1000))
            self.turn()
        said = wire.all_frames()
        self.assertLessEqual(sum(12 + len(f.body) for f in said), 100)
        self.held[BOB] = False
        wire.connection.resumeProducing()
        self.turn()
        rest = wire.all_frames()
        self.assertLessEqual(len(rest), 100)
        self.assertEqual(rest[-1].cmd, route.MARK)
        of_bob = [f.body[16] for f in [*said, *rest] if f.cmd == 130 and f.body[15] == 2]
        self.assertEqual(of_bob[-1], 0)


class AwayTests(RouterCase):
    """A router is away, or does not read."""

    def test_the_newest_notify_of_each_queue_is_kept(self) -> None:
        """It is sent after the resubscription. Live messages are dropped and counted."""
        pool = self.pool()
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        pool.publish(BOB, 4, BODY, PUSH, 600, 500)
        pool.publish(ALICE, 29, (70).to_bytes(8, "big"))
        pool.publish_group(7, 100, 8, BODY, PUSH | SUPER_GROUP, 80, 70)
        pool.publish_group(7, 100, 33, client.SyncGroupNotify(group_id=100, sync_key=90).encode())
        pool.push(7, (2,), 4, BODY)
        pool.publish(BOB, 17, bytes(16))
        pool.publish_room(LOBBY, 20, b"hello")
        self.held.update({ALICE: True})
        wire = RouterEnd(pool)
        self.turn()
        subscribe, *rest = wire.frames()
        self.assertEqual(subscribe.cmd, route.SUBSCRIBE)
        self.assertEqual(keys(rest), {2: 600, 1: 70})
        (of_group,) = [f for f in rest if f.cmd == route.PUBLISH_GROUP]
        told = Publication.read(of_group.body, 1)
        notify = client.SyncGroupNotify(group_id=100, sync_key=90).encode()
        self.assertEqual(
            (told.appid, told.receiver, told.inner, told.msgid),
            (7, 100, encode_frame(33, notify, 0, 1), 0),
        )
        self.assertEqual(self.counters["live_dropped"], 2)

    def test_pushes_are_sent_when_the_resubscription_is_in_effect(self) -> None:
        """Before that the router does not know which users are online here."""
        pool = self.pool()
        pool.push(7, (2,), 4, BODY)
        wire = RouterEnd(pool)
        self.turn()
        self.assertEqual(wire.frames(), [])
        wire.answer_mark()
        self.turn()
        self.assertEqual([f.cmd for f in wire.frames()], [route.PUSH])

    def test_pushes_keep_their_order(self) -> None:
        """A new push waits behind those that wait for the resubscription."""
        pool = self.pool()
        pool.push(7, (2,), 4, BODY)
        wire = RouterEnd(pool)
        pool.push(7, (3,), 4, BODY)
        self.turn()
        self.assertEqual(wire.frames(), [])
        wire.answer_mark()
        self.turn()
        pool.push(7, (4,), 4, BODY)
        self.turn()
        pushed = [route.WidePush.decode(f.body).receivers for f in wire.frames()]
        self.assertEqual(pushed, [(2,), (3,), (4,)])

    def test_notifies_are_sent_again_for_a_while(self) -> None:
        """Other gateways may connect to the router later than this one."""
        pool = self.pool()
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        wire = RouterEnd(pool)
        pool.publish(ALICE, 4, BODY, PUSH, 70, 60)
        pool.publish_group(7, 100, 8, BODY, PUSH | SUPER_GROUP, 80, 70)
        pool.publish(ALICE, 17, bytes(16))
        self.turn()
        wire.answer_mark()
        self.assertEqual(len(wire.frames()), 4)
        for seconds in backlog.RENOTIFY_SECONDS:
            self.clock.advance(seconds)
            self.turn()
            frames = wire.frames()
            self.assertEqual(keys(frames), {2: 500, 1: 70})
            self.assertEqual([f.cmd for f in frames].count(route.PUBLISH_GROUP), 1)
        pool.publish(ALICE, 4, BODY, PUSH, 80, 70)
        self.turn()
        self.assertEqual(len(wire.frames()), 1)
        self.clock.advance(100)
        self.assertEqual(wire.frames(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_router_that_disconnects_again_soon(self) -> None:
        """Its notifies are sent again when it is back, unless there are newer ones."""
        pool = self.pool()
        wire = RouterEnd(pool)
        pool.publish(ALICE, 4, BODY, PUSH, 70, 60)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        self.turn()
        wire.disconnect()
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        pool.publish(BOB, 4, BODY, PUSH, 600, 500)
        wire = RouterEnd(pool)
        self.turn()
        self.assertEqual(keys(wire.frames()), {1: 70, 2: 600})

    def test_limits_of_what_is_kept(self) -> None:
        """Notifies and pushes above the limits are dropped and counted."""
        self.patch(backlog, "MAX_NOTIFIES", 2)
        self.patch(backlog, "MAX_PUSH_BYTES", 150)
        pool = self.pool()
        for uid in range(5):
            pool.publish(User(7, uid), 4, BODY, PUSH, 500, 400)
            pool.publish_group(7, uid, 8, BODY, PUSH, 500, 400)
            pool.push(7, (uid,), 4, BODY)
        self.assertEqual(
            (self.counters["notifies_dropped"], self.counters["pushes_dropped"]), (6, 3)
        )

    def test_many_notifies_are_sent_over_several_turns(self) -> None:
        """The gateway serves its clients meanwhile."""
        pool = self.pool()
        for uid in range(NOTIFIES_PER_TURN + 1):
            pool.publish(User(7, uid), 29, (70).to_bytes(8, "big"))
        wire = RouterEnd(pool)
        counts = []
        for _ in range(6):
            _one_turn(self.clock)
            counts.append(len(wire.frames()))
        self.assertEqual([count for count in counts if count], [NOTIFIES_PER_TURN, 1])

    def test_a_router_that_does_not_read_holds_up_nobody(self) -> None:
        """Notifies and subscriptions are kept until it reads, and logins do not wait."""
        pool = self.pool()
        wire = self.connected(pool)
        self.patch(route_connection, "MAX_UNREAD_BYTES", 0)
        wire.connection.pauseProducing()
        known: list[str] = []
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        pool.push(7, (2,), 4, BODY)
        self.held[ALICE] = True
        pool.subscribe(ALICE, True)
        pool.unsubscribe(BOB)
        pool.subscribe_room(LOBBY)
        pool.unsubscribe_room(LOBBY)
        pool.when_known(ALICE, lambda: known.append("alice"))
        self.assertEqual(known, ["alice"])
        self.turn()
        self.assertEqual(wire.frames(), [])
        wire.connection.resumeProducing()
        self.turn()
        self.assertEqual(
            [f.cmd for f in wire.all_frames()][2:],
            [route.UNSUBSCRIBE_ROOM, route.MARK, route.PUBLISH, route.PUSH],
        )
        self.assertEqual(self.missed, [], "nothing was missed")

    def test_a_burst_for_a_busy_router(self) -> None:
        """Messages are reduced to notifies only above a limit of bytes."""
        pool = self.pool()
        wire = self.connected(pool)
        wire.connection.pauseProducing()
        self.patch(route_connection, "MAX_UNREAD_BYTES", 3 * len(BODY))
        for key in (500, 600, 700, 800, 900):
            pool.publish(BOB, 4, BODY, PUSH, key, key - 100)
        self.turn()
        sent = [Publication.read(f.body, 1).msgid for f in wire.frames()]
        self.assertEqual(sent, [500, 600, 700])
        wire.connection.resumeProducing()
        self.turn()
        self.assertEqual(keys(wire.frames()), {2: 900})


class MarkTests(RouterCase):
    """Logins wait until a router knows the user."""

    def setUp(self) -> None:
        super().setUp()
        self.known: list[User] = []

    def test_a_login_waits_for_the_answer(self) -> None:
        """One MARK after the SUBSCRIBEs serves all logins of a turn."""
        pool = self.pool()
        wire = self.connected(pool)
        for user in (ALICE, BOB):
            pool.subscribe(user, True)
            pool.when_known(user, lambda user=user: self.known.append(user))  # type: ignore[misc]
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [130, 130, 139])
        self.assertEqual(self.known, [])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.known, [ALICE, BOB])

    def test_a_second_session_of_a_known_user_does_not_wait(self) -> None:
        """No MARK is sent."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.assertEqual(self.known, [ALICE])
        self.turn()
        self.assertEqual(wire.all_frames(), [])

    def test_a_login_during_the_resubscription_waits_for_its_end(self) -> None:
        """No MARK is sent earlier, since the router takes the first one for the end."""
        self.patch(subscriptions, "USERS_PER_TURN", 1)
        self.held.update({User(7, uid): True for uid in range(10, 13)})
        pool = self.pool()
        wire = RouterEnd(pool)
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [130, 130, 130, 130, 139])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.known, [ALICE])

    def test_a_second_session_of_a_user_who_is_pending(self) -> None:
        """It waits for the MARK after the pending SUBSCRIBE."""
        pool = self.pool()
        wire = self.connected(pool)
        self.patch(route_connection, "MAX_UNREAD_BYTES", 0)
        wire.connection.pauseProducing()
        self.held[ALICE] = True
        pool.subscribe(ALICE, True)
        wire.connection.resumeProducing()
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [130, 139])
        self.assertEqual(self.known, [])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.known, [ALICE])

    def test_an_absent_router_holds_up_nobody(self) -> None:
        """The users catch up when the router is back."""
        pool = self.pool()
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.assertEqual(self.known, [ALICE])

    def test_a_router_that_disconnects_during_a_login(self) -> None:
        """The login continues at once."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        wire.disconnect()
        self.turn()
        self.assertEqual(self.known, [ALICE])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_logins_wait_one_second_for_a_frozen_router(self) -> None:
        """Later logins do not wait, until the router answers a MARK."""
        pool = self.pool()
        wire = self.connected(pool)
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.clock.advance(MARK_TIMEOUT)
        self.turn()
        self.assertEqual(self.known, [ALICE])
        self.assertEqual(self.counters["marks_unanswered"], 1)
        pool.subscribe(BOB, True)
        pool.when_known(BOB, lambda: self.known.append(BOB))
        self.assertEqual(self.known, [ALICE, BOB])
        self.turn()
        wire.all_frames()
        wire.answer_mark()
        pool.subscribe(ALICE, False)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [130, 139])
        self.assertEqual(self.known, [ALICE, BOB])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.known, [ALICE, BOB, ALICE])

    def test_users_catch_up_when_a_frozen_router_answers(self) -> None:
        """Publications before that may not have arrived, so all users of the router catch up."""
        pool = self.pool()
        wire = self.connected(pool)
        self.held.update({ALICE: True})
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.clock.advance(MARK_TIMEOUT)
        self.turn()
        self.assertEqual((self.known, self.missed), ([ALICE], []))
        wire.all_frames()
        wire.answer_mark()
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [route.MARK])
        self.assertEqual(self.missed, [])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.missed, [ALICE])

    def test_a_router_that_froze_and_comes_back(self) -> None:
        """Logins do not wait for the first MARK of the new connection, so its answer does not
        cover them. The answer to a second MARK does."""
        pool = self.pool()
        wire = self.connected(pool)
        self.held[ALICE] = True
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.turn()
        self.clock.advance(MARK_TIMEOUT)
        wire.disconnect()
        wire = RouterEnd(pool)
        self.turn()
        self.held[BOB] = True
        pool.subscribe(BOB, True)
        pool.when_known(BOB, lambda: self.known.append(BOB))
        self.assertEqual(self.known, [ALICE, BOB])
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [130, 139, 130])
        wire.answer_mark()
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [139])
        self.assertEqual(self.missed, [])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.missed, [ALICE, BOB])

    def test_users_who_did_not_wait_catch_up(self) -> None:
        """Only they do, since a router often stops reading for a moment under load."""
        self.held.update({BOB: True})
        pool = self.pool()
        wire = self.connected(pool)
        self.missed.clear()
        wire.connection.pauseProducing()
        self.held.update({ALICE: True})
        pool.subscribe(ALICE, True)
        pool.when_known(ALICE, lambda: self.known.append(ALICE))
        self.assertEqual(self.known, [ALICE])
        wire.connection.resumeProducing()
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [route.SUBSCRIBE, route.MARK])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.missed, [ALICE])

    def test_entering_a_room_waits_for_its_router(self) -> None:
        """One MARK is sent after the SUBSCRIBE_ROOM."""
        pool = self.pool(2)
        self.connected(pool, 1)
        wire = self.connected(pool, 0)
        pool.subscribe_room(LOBBY)
        pool.when_room_known(LOBBY, lambda: self.known.append(ALICE))
        self.turn()
        self.assertEqual([f.cmd for f in wire.all_frames()], [136, 139])
        wire.answer_mark()
        self.turn()
        self.assertEqual(self.known, [ALICE])


def _one_turn(clock: Clock) -> None:
    """Make the calls that are due now, without the calls that they add."""
    for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
        if call.active():
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
