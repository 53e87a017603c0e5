"""All routers as one: what goes to which."""

from gobelieve.interfaces import Routing
from gobelieve.names import Room, User
from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import GroupIM
from gobelieve.wire.frames import PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from tests.protocols.routers import ALICE, BOB, BODY, RouterCase, Wire

GROUP = GroupIM(sender=3, receiver=100, timestamp=5, msgid=0, content=b"hi").encode()
LOWEST = User(7, -(1 << 63))


class ShardTests(RouterCase):
    """Two routers for everything."""

    def setUp(self) -> None:
        super().setUp()
        self.pool_ = self.pool(2)
        self.routing: Routing = self.pool_

    def both(self) -> list[Wire]:
        """Connections to both."""
        return [self.connected(self.pool_, index) for index in range(2)]

    def told(self, wires: list[Wire]) -> list[list[int]]:
        """The commands that each got in this turn."""
        self.turn()
        return [[frame.cmd for frame in wire.told()] for wire in wires]

    def test_users_are_said_to_all(self) -> None:
        """Any router may be asked who of a group is online."""
        wires = self.both()
        self.routing.subscribe(ALICE, True)
        self.routing.unsubscribe(ALICE)
        self.assertEqual(self.told(wires), [[130, 131], [130, 131]])

    def test_publications_and_pushes_go_to_the_users_own(self) -> None:
        """The one at |uid| mod n, the lowest of all ids included."""
        wires = self.both()
        self.routing.publish(ALICE, 17, bytes(16))
        self.routing.publish(User(7, -1), 29, bytes(8))
        self.routing.publish(LOWEST, 29, bytes(8))
        self.routing.push(7, (1, 2, 3), 4, BODY)
        self.routing.push(7, (5,), 4, BODY)
        self.assertEqual(self.told(wires), [[132, 134], [132, 132, 134, 134]])

    def test_rooms_and_groups_have_one_router_each(self) -> None:
        """By their own ids."""
        wires = self.both()
        self.routing.subscribe_room(Room(7, -51))
        self.routing.publish_room(Room(7, 51), 20, b"x")
        self.routing.publish_group(7, 100, 8, GROUP, PUSH | SUPER_GROUP, 70, 60)
        self.routing.unsubscribe_room(Room(7, 50))
        self.assertEqual(self.told(wires), [[135, 137], [136, 138]])

    def test_a_resubscription_names_everybody_and_the_rooms_of_the_router(self) -> None:
        """As the subscriptions did."""
        self.held.update({ALICE: True, BOB: False})
        self.rooms.update({Room(7, 50), Room(7, 51)})
        wires = [Wire(self.pool_, index) for index in range(2)]
        self.assertEqual(self.told(wires), [[130, 130, 136]] * 2)

    def test_what_was_missed_concerns_the_users_of_the_router(self) -> None:
        """The others' publications come by another."""
        self.held.update({ALICE: True, BOB: False})
        self.connected(self.pool_, 0)
        self.assertEqual(self.missed, [BOB])
        self.connected(self.pool_, 1)
        self.assertEqual(self.missed, [BOB, ALICE])
        mine = [[gid for gid in range(4) if of(gid)] for of in self.groups_missed]
        self.assertEqual(mine, [[0, 2], [1, 3]])

    def test_only_the_users_own_router_is_waited_for(self) -> None:
        """It carries what is published; the other may be frozen."""
        wires = self.both()
        known: list[User] = []
        self.routing.subscribe(ALICE, True)
        self.routing.when_known(ALICE, lambda: known.append(ALICE))
        self.turn()
        commands = [[frame.cmd for frame in wire.all_told()] for wire in wires]
        self.assertEqual(commands, [[130], [130, 139]])
        wires[1].mark()
        self.turn()
        self.assertEqual(known, [ALICE])


class GroupPoolTests(RouterCase):
    """Two routers for users and rooms, three for super groups."""

    def setUp(self) -> None:
        super().setUp()
        self.routing = self.pool(2, groups=3)

    def test_addresses(self) -> None:
        """Users' first."""
        self.assertEqual(
            [link.address for link in self.routing.links], [f"127.0.0.1:{n}" for n in range(5)]
        )

    def test_users_are_said_to_their_own_and_to_all_for_groups(self) -> None:
        """And so they are again on new connections."""
        self.held.update({ALICE: True, BOB: False})
        self.rooms.add(Room(7, 50))
        wires = [Wire(self.routing, index) for index in range(5)]
        self.turn()
        said = [[frame.cmd for frame in wire.told()] for wire in wires]
        self.assertEqual(said, [[130, 136], [130], [130, 130], [130, 130], [130, 130]])
        self.routing.subscribe(ALICE, False)
        self.routing.unsubscribe(BOB)
        self.turn()
        for wire in wires:
            wire.mark()
        self.turn()
        said = [[frame.cmd for frame in wire.told()] for wire in wires]
        self.assertEqual(said, [[131], [130], [130, 131], [130, 131], [130, 131]])

    def test_groups_go_to_the_routers_for_groups_and_nothing_else_does(self) -> None:
        """Publications to users and rooms never."""
        wires = [self.connected(self.routing, index) for index in range(5)]
        for uid in range(6):
            self.routing.publish(User(7, uid), 17, bytes(16))
            self.routing.publish_room(Room(7, uid), 20, b"x")
            self.routing.push(7, (uid,), 4, BODY)
            self.routing.publish_group(7, uid, 33, bytes(16))
        self.turn()
        said = [{frame.cmd for frame in wire.told()} for wire in wires]
        self.assertEqual(said, [{132, 138, 134}] * 2 + [{135}] * 3)

    def test_a_group_router_that_comes_back_concerns_its_groups_only(self) -> None:
        """Users missed nothing by it."""
        self.held.update({ALICE: True, BOB: False})
        self.connected(self.routing, 3)
        self.assertEqual(self.missed, [])
        (mine,) = self.groups_missed
        self.assertEqual([gid for gid in range(-4, 6) if mine(gid)], [-4, -1, 1, 4])


class GroupPushTests(RouterCase):
    """Who of a super group gets a push."""

    def test_a_router_that_knows_groups_is_asked_in_one_frame(self) -> None:
        """Nobody walks along the members."""
        pool = self.pool(2)
        wires = [self.connected(pool, 0, route.DECIDES_GROUP_PUSHES), self.connected(pool, 1)]
        pool.push_group(7, 100, self.fail, 3, 8, GROUP)
        self.turn()
        (frame,) = wires[0].told()
        self.assertEqual(wires[1].told(), [])
        self.assertEqual((frame.cmd, frame.version), (route.PUBLISH_GROUP, 1))
        now = 1000 * 10**9
        self.assertEqual(
            Publication.read(frame.body, 1),
            (7, 100, 0, 0, now, encode_frame(8, GROUP, 0, 1)),
        )

    def test_for_other_routers_the_members_are_named(self) -> None:
        """All but the sender, each at the user's own router, some in a turn."""
        pool = self.pool(2)
        wires = [self.connected(pool, index) for index in range(2)]
        pool.push_group(7, 100, lambda: range(10_000), 3, 8, GROUP)
        counts: list[int] = []
        named: set[int] = set()
        for _ in range(6):
            for index, wire in enumerate(wires):
                pushes = [route.WidePush.decode(f.body) for f in wire.told()]
                counts += [len(push.receivers) for push in pushes]
                for push in pushes:
                    self.assertEqual(push.inner, encode_frame(8, GROUP, 0, 1))
                    self.assertEqual({uid % 2 for uid in push.receivers}, {index})
                    named |= set(push.receivers)
            self.turn()
        self.assertEqual(counts, [2000, 2000, 1000, 1999, 2000, 1000])
        self.assertEqual(named, set(range(10_000)) - {3})

    def test_a_question_is_kept_while_the_router_is_away(self) -> None:
        """And asked when it is back, unless it knows no groups any more."""
        pool = self.pool()
        for abilities in (route.DECIDES_GROUP_PUSHES, 0):
            wire = self.connected(pool, 0, route.DECIDES_GROUP_PUSHES)
            wire.lose()
            pool.push_group(7, 100, self.fail, 3, 8, GROUP)
            wire = Wire(pool)
            self.turn()
            self.assertEqual(wire.told(), [])
            wire.mark(abilities)
            self.turn()
            self.assertEqual([f.cmd for f in wire.told()], [route.PUBLISH_GROUP] * abilities)
            self.assertEqual(self.counters["pushes_dropped"], 1 - abilities)
            wire.lose()

    def test_what_a_router_can_is_asked_anew_on_each_connection(self) -> None:
        """It may have been replaced by one that knows no groups."""
        pool = self.pool()
        self.connected(pool, 0, route.DECIDES_GROUP_PUSHES).lose()
        wire = Wire(pool)
        pool.push_group(7, 100, lambda: (1, 2, 3), 3, 8, GROUP)
        self.turn()
        self.assertEqual([f.cmd for f in wire.told()], [route.PUSH])
