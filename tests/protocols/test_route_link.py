"""The gateway's links to the routers."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.metrics import Tally
from gobelieve.names import User
from gobelieve.protocols import kept_notifies, route_link
from gobelieve.protocols.route_link import RouteConnection
from gobelieve.protocols.route_pool import RoutePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Frame, FrameReader, client, encode_frame, route
from gobelieve.wire.frames import LINK_BODY_LIMIT, PUSH

BODY = client.IM(sender=1, receiver=2, timestamp=3, msgid=0, content=b"hi").encode()
ALICE, BOB = User(7, 1), User(7, 2)


class Wire:
    """The far end of one link: what a router would see and say."""

    def __init__(self, pool: RoutePool, index: int = 0) -> None:
        self.connection: RouteConnection = pool.links[index].buildProtocol(None)
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)
        self._reader = FrameReader(LINK_BODY_LIMIT)

    def told(self) -> list[Frame]:
        """The frames since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return self._reader.feed(data)


class RouteLinkTests(SynchronousTestCase):
    """One router, or several."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.tally = Tally()
        self.held: dict[User, bool] = {}
        self.published: list[tuple[User, bytes, int, int]] = []

    def pool(self, count: int = 1) -> RoutePool:
        """Links that are not connected."""
        addresses = [f"127.0.0.1:{n}" for n in range(count)]
        pool = RoutePool(addresses, ReactorTurn(self.clock), self.clock, self.tally)

        def published(user: User, inner: bytes, msgid: int, prev: int) -> None:
            if inner == b"nonsense":
                raise BodyError("nonsense")
            self.published.append((user, inner, msgid, prev))

        self.missed: list[User] = []
        pool.attach(lambda: self.held.items(), published, self.missed.extend)
        return pool

    def test_subscriptions_carry_the_online_flag(self) -> None:
        """17 bytes, always."""
        pool = self.pool()
        wire = Wire(pool)
        pool.subscribe(ALICE, True)
        pool.subscribe(BOB, False)
        pool.unsubscribe(ALICE)
        self.clock.advance(0)
        frames = wire.told()
        self.assertEqual(
            [(f.cmd, len(f.body), f.seq) for f in frames],
            [(130, 17, 1), (130, 17, 2), (131, 16, 3)],
        )
        self.assertEqual(
            route.Subscribe.decode(frames[1].body), route.Subscribe(appid=7, uid=2, online=0)
        )

    def test_a_new_connection_is_told_who_is_here_in_one_write(self) -> None:
        """With the right online flag, which upstream forgot."""
        pool = self.pool()
        self.held = {ALICE: True, BOB: False}
        wire = Wire(pool)
        self.clock.advance(0)
        self.assertEqual(
            [route.Subscribe.decode(f.body) for f in wire.told()],
            [route.Subscribe(appid=7, uid=1, online=1), route.Subscribe(appid=7, uid=2, online=0)],
        )
        self.assertEqual(self.missed, [ALICE, BOB], "nobody knows what was published before")

    def test_a_publication_carries_the_previous_id_and_the_stored_layout(self) -> None:
        """Version 1 of the link."""
        pool = self.pool()
        wire = Wire(pool)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        self.clock.advance(0)
        (frame,) = wire.told()
        self.assertEqual((frame.cmd, frame.version), (route.PUBLISH, 1))
        self.assertEqual(
            route.Publication.read(frame.body, 1),
            (7, 2, 500, 400, 1000 * 10**9, encode_frame(4, BODY, 0, 1, PUSH)),
        )

    def test_what_comes_from_other_gateways_is_handed_on_with_its_ids(self) -> None:
        """In our layout and in upstream's."""
        pool = self.pool()
        wire = Wire(pool)
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        ours = route.Publication(7, 2, 500, 400, 9, inner)
        for version in (1, 0):
            wire.connection.dataReceived(encode_frame(132, ours.body(version), 1, version))
        self.assertEqual(self.published, [(BOB, inner, 500, 400), (BOB, inner, 500, 0)])

    def test_nonsense_of_another_gateway_does_not_cost_the_link(self) -> None:
        """It is counted and logged."""
        pool = self.pool()
        wire = Wire(pool)
        body = route.Publication(7, 2, 0, 0, 0, b"nonsense").body(1)
        wire.connection.dataReceived(encode_frame(132, body, 1, 1))
        self.assertFalse(wire.transport.disconnecting)
        self.assertEqual(self.tally["publications_malformed"], 1)

    def test_a_router_that_makes_no_sense_is_cut_off(self) -> None:
        """Bad inner length, a command that routers do not send."""
        for data in (encode_frame(132, bytes(20), 1, 1), encode_frame(130, bytes(17), 1, 1)):
            wire = Wire(self.pool())
            wire.connection.dataReceived(data)
            self.assertTrue(wire.transport.disconnecting)

    def test_a_push_names_its_receivers_and_is_split_when_there_are_many(self) -> None:
        """No frame outgrows the link."""
        pool = self.pool()
        wire = Wire(pool)
        pool.push(7, range(9000), 4, BODY)
        self.clock.advance(0)
        pushes = [route.WidePush.decode(f.body) for f in wire.told()]
        self.assertEqual([len(p.receivers) for p in pushes], [4000, 4000, 1000])
        self.assertEqual({p.inner for p in pushes}, {encode_frame(4, BODY, 0, 1)})

    def test_users_belong_to_the_router_at_their_id_modulo_the_number(self) -> None:
        """Publications, pushes, subscriptions and resubscriptions alike."""
        pool = self.pool(2)
        self.held = {ALICE: True, BOB: True}
        wires = [Wire(pool, 0), Wire(pool, 1)]
        pool.push(7, (1, 2, 3), 4, BODY)
        pool.publish(User(7, -1), 29, bytes(8))
        self.clock.advance(0)
        told = [[(f.cmd) for f in wire.told()] for wire in wires]
        self.assertEqual(told, [[130, 134], [130, 134, 132]])

    def test_while_a_router_is_away_the_newest_notify_of_each_user_is_kept(self) -> None:
        """And sent behind the resubscription."""
        pool = self.pool()
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        pool.publish(BOB, 4, BODY, PUSH, 600, 500)
        pool.publish(ALICE, 29, (70).to_bytes(8, "big"))
        pool.push(7, (2,), 4, BODY)
        pool.publish(BOB, 17, bytes(16))
        self.held = {ALICE: True}
        wire = Wire(pool)
        self.clock.advance(0)
        subscribe, *rest = wire.told()
        self.assertEqual(subscribe.cmd, route.SUBSCRIBE)
        notifies = [route.Publication.read(f.body, 1) for f in rest if f.cmd == route.PUBLISH]
        self.assertEqual(
            [(p.receiver, p.inner[12:], p.msgid) for p in notifies],
            [(2, (600).to_bytes(8, "big"), 0), (1, (70).to_bytes(8, "big"), 0)],
        )
        self.assertEqual([f.cmd for f in rest].count(route.PUSH), 1)
        self.assertEqual(self.tally["live_dropped"], 1)

    def test_what_other_gateways_may_have_missed_is_told_again(self) -> None:
        """For a while after a router came back, the newest notify of each user; then no more."""
        pool = self.pool()
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        wire = Wire(pool)
        pool.publish(ALICE, 4, BODY, PUSH, 70, 60)
        pool.publish(ALICE, 17, bytes(16))
        self.clock.advance(0)
        self.assertEqual(len(wire.told()), 3)
        for seconds in kept_notifies.AGAIN:
            self.clock.advance(seconds)
            self.clock.advance(0)
            notifies = [route.Publication.read(f.body, 1) for f in wire.told()]
            keys = [(p.receiver, int.from_bytes(p.inner[12:], "big")) for p in notifies]
            self.assertEqual(keys, [(2, 500), (1, 70)])
        pool.publish(ALICE, 4, BODY, PUSH, 80, 70)
        self.clock.advance(0)
        self.assertEqual(len(wire.told()), 1)
        self.clock.advance(100)
        self.assertEqual(wire.told(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_router_that_goes_again_before_all_have_come(self) -> None:
        """Is told what was to be told again when it is back, unless there is something newer."""
        pool = self.pool()
        wire = Wire(pool)
        pool.publish(ALICE, 4, BODY, PUSH, 70, 60)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        wire.connection.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])
        pool.publish(BOB, 4, BODY, PUSH, 600, 500)
        wire = Wire(pool)
        self.clock.advance(0)
        notifies = [route.Publication.read(f.body, 1) for f in wire.told()]
        keys = {p.receiver: int.from_bytes(p.inner[12:], "big") for p in notifies}
        self.assertEqual(keys, {1: 70, 2: 600})

    def test_what_is_kept_is_bounded_and_drops_are_counted(self) -> None:
        """A router that never comes back costs no memory without end."""
        self.patch(kept_notifies, "NOTIFIES_KEPT", 2)
        self.patch(route_link, "PUSHES_KEPT", 150)
        pool = self.pool()
        for uid in range(5):
            pool.publish(User(7, uid), 4, BODY, PUSH, 500, 400)
            pool.push(7, (uid,), 4, BODY)
        self.assertEqual((self.tally["notifies_dropped"], self.tally["pushes_dropped"]), (3, 3))

    def test_a_router_that_does_not_read_holds_up_nobody(self) -> None:
        """Notifies are kept until it does; subscriptions are said at once."""
        pool = self.pool()
        wire = Wire(pool)
        self.patch(route_link, "UNREAD", 0)
        wire.connection.pauseProducing()
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        pool.push(7, (2,), 4, BODY)
        pool.subscribe(ALICE, True)
        self.clock.advance(0)
        self.assertEqual([f.cmd for f in wire.told()], [route.SUBSCRIBE])
        wire.connection.resumeProducing()
        self.clock.advance(0)
        self.assertEqual([f.cmd for f in wire.told()], [route.PUBLISH, route.PUSH])

    def test_a_burst_for_a_router_that_is_busy_for_a_moment_is_sent_whole(self) -> None:
        """Only beyond some megabytes are messages reduced to notifies."""
        pool = self.pool()
        wire = Wire(pool)
        wire.connection.pauseProducing()
        self.patch(route_link, "UNREAD", 3 * len(BODY))
        for key in (500, 600, 700, 800, 900):
            pool.publish(BOB, 4, BODY, PUSH, key, key - 100)
        self.clock.advance(0)
        sent = [route.Publication.read(f.body, 1).msgid for f in wire.told()]
        self.assertEqual(sent, [500, 600, 700])
        wire.connection.resumeProducing()
        self.clock.advance(0)
        (notify,) = wire.told()
        inner = route.Publication.read(notify.body, 1).inner
        self.assertEqual(inner[12:], (900).to_bytes(8, "big"))

    def test_a_lost_router_is_no_error(self) -> None:
        """What is said meanwhile is kept or dropped, never raised."""
        pool = self.pool()
        wire = Wire(pool)
        wire.connection.connectionLost()
        pool.subscribe(ALICE, True)
        pool.unsubscribe(ALICE)
        pool.publish(BOB, 4, BODY, PUSH, 500, 400)
        self.clock.advance(0)
        self.assertEqual(wire.told(), [])

    def test_a_push_to_one_user_is_the_same_bytes_as_the_declared_message(self) -> None:
        """It is packed by hand, as every message costs one."""
        pool = self.pool()
        wire = Wire(pool)
        pool.push(7, (2,), 4, BODY)
        self.clock.advance(0)
        (frame,) = wire.told()
        wide = route.WidePush(appid=7, receivers=(2,), inner=encode_frame(4, BODY, 0, 1))
        self.assertEqual((frame.cmd, frame.version), (route.PUSH, 1))
        self.assertEqual(frame.body, wide.encode())
