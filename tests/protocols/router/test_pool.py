"""The links to all routers, and which of them a frame goes to."""

from gobelieve.interfaces import Routing
from gobelieve.names import Room, User
from gobelieve.wire import encode_frame, route
from gobelieve.wire.client import GroupIM
from gobelieve.wire.frames import PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from tests.protocols.routers import ALICE, BOB, BODY, RouterCase, RouterEnd

GROUP = GroupIM(sender=3, receiver=100, timestamp=5, msgid=0, content=b"hi").encode()
LOWEST = User(7, -(1 << 63))


class ShardTests(RouterCase):
    """Two routers share users, rooms and super groups."""

    def setUp(self) -> None:
        super().setUp()
        self.pool_ = self.pool(2)
        self.routing: Routing = self.pool_

    def both(self) -> list[RouterEnd]:
        """Return connections to both routers."""
        return [self.connected(self.pool_, index) for index in range(2)]

    def commands(self, wires: list[RouterEnd]) -> list[list[int]]:
        """Return the commands that each router received in this turn."""
        self.turn()
        return [[frame.cmd for frame in wire.frames()] for wire in wires]

    def test_users_are_reported_to_all_routers(self) -> None:
        """Any router may be asked which members of a group are online."""
        wires = self.both()
        self.routing.subscribe(ALICE, True)
        self.routing.unsubscribe(ALICE)
        self.assertEqual(self.commands(wires), [[130, 131], [130, 131]])

    def test_publications_and_pushes_go_to_the_router_of_the_user(self) -> None:
        """It is router |uid| mod n, also for the lowest uid."""
        wires = self.both()
        self.routing.publish(ALICE, 17, bytes(16))
        self.routing.publish(User(7, -1), 29, bytes(8))
        self.routing.publish(LOWEST, 29, bytes(8))
        self.routing.push(7, (1, 2, 3), 4, BODY)
        self.routing.push(7, (5,), 4, BODY)
        self.assertEqual(self.commands(wires), [[132, 134], [132, 132, 134, 134]])

    def test_rooms_and_groups_have_one_router_each(self) -> None:
        """The id of the room or group selects the router."""
        wires = self.both()
        self.routing.subscribe_room(Room(7, -51))
        self.routing.publish_room(Room(7, 51), 20, b"x")
        self.routing.publish_group(7, 100, 8, GROUP, PUSH | SUPER_GROUP, 70, 60)
        self.routing.unsubscribe_room(Room(7, 50))
        self.assertEqual(self.commands(wires), [[135, 137], [136, 138]])

    def test_a_resubscription_has_all_users_and_the_rooms_of_the_router(self) -> None:
        """The router gets the same users and rooms as before."""
        self.held.update({ALICE: True, BOB: False})
        self.rooms.update({Room(7, 50), Room(7, 51)})
        wires = [RouterEnd(self.pool_, index) for index in range(2)]
        self.assertEqual(self.commands(wires), [[130, 130, 136]] * 2)

    def test_only_users_of_the_router_may_have_missed_something(self) -> None:
        """Publications for other users go through another router."""
        self.held.update({ALICE: True, BOB: False})
        self.connected(self.pool_, 0)
        self.assertEqual(self.missed, [BOB])
        self.connected(self.pool_, 1)
        self.assertEqual(self.missed, [BOB, ALICE])
        mine = [[gid for gid in range(4) if of(gid)] for of in self.groups_missed]
        self.assertEqual(mine, [[0, 2], [1, 3]])

    def test_a_login_waits_only_for_the_router_of_the_user(self) -> None:
        """Another router may be frozen."""
        wires = self.both()
        known: list[User] = []
        self.routing.subscribe(ALICE, True)
        self.routing.when_known(ALICE, lambda: known.append(ALICE))
        self.turn()
        commands = [[frame.cmd for frame in wire.all_frames()] for wire in wires]
        self.assertEqual(commands, [[130], [130, 139]])
        wires[1].answer_mark()
        self.turn()
        self.assertEqual(known, [ALICE])


class GroupPoolTests(RouterCase):
    """Two routers have users and rooms, and three others have super groups."""

    def setUp(self) -> None:
        super().setUp()
        self.routing = self.pool(2, groups=3)

    def test_addresses(self) -> None:
        """The routers of users come first."""
        self.assertEqual(
            [link.address for link in self.routing.links], [f"127.0.0.1:{n}" for n in range(5)]
        )

    def test_users_are_reported_to_their_router_and_to_all_group_routers(self) -> None:
        """New connections get the same users."""
        self.held.update({ALICE: True, BOB: False})
        self.rooms.add(Room(7, 50))
        wires = [RouterEnd(self.routing, index) for index in range(5)]
        self.turn()
        said = [[frame.cmd for frame in wire.frames()] for wire in wires]
        self.assertEqual(said, [[130, 136], [130], [130, 130], [130, 130], [130, 130]])
        self.routing.subscribe(ALICE, False)
        self.routing.unsubscribe(BOB)
        self.turn()
        for wire in wires:
            wire.answer_mark()
        self.turn()
        said = [[frame.cmd for frame in wire.frames()] for wire in wires]
        self.assertEqual(said, [[131], [130], [130, 131], [130, 131], [130, 131]])

    def test_only_groups_go_to_the_group_routers(self) -> None:
        """Users and rooms never go there."""
        wires = [self.connected(self.routing, index) for index in range(5)]
        for uid in range(6):
            self.routing.publish(User(7, uid), 17, bytes(16))
            self.routing.publish_room(Room(7, uid), 20, b"x")
            self.routing.push(7, (uid,), 4, BODY)
            self.routing.publish_group(7, uid, 33, bytes(16))
        self.turn()
        said = [{frame.cmd for frame in wire.frames()} for wire in wires]
        self.assertEqual(said, [{132, 138, 134}] * 2 + [{135}] * 3)

    def test_a_group_router_that_comes_back(self) -> None:
        """Only its groups may have missed publications; users have not."""
        self.held.update({ALICE: True, BOB: False})
        self.connected(self.routing, 3)
        self.assertEqual(self.missed, [])
        (mine,) = self.groups_missed
        self.assertEqual([gid for gid in range(-4, 6) if mine(gid)], [-4, -1, 1, 4])


class GroupPushTests(RouterCase):
    """The members of a super group get phone pushes."""

    def test_a_router_that_finds_the_members(self) -> None:
        """The gateway sends one frame, and does not read the members."""
        pool = self.pool(2)
        wires = [self.connected(pool, 0, route.DECIDES_GROUP_PUSHES), self.connected(pool, 1)]
        pool.push_group(7, 100, self.fail, 3, 8, GROUP)
        self.turn()
        (frame,) = wires[0].frames()
        self.assertEqual(wires[1].frames(), [])
        self.assertEqual((frame.cmd, frame.version), (route.PUBLISH_GROUP, 1))
        now = 1000 * 10**9
        self.assertEqual(
            Publication.read(frame.body, 1),
            (7, 100, 0, 0, now, encode_frame(8, GROUP, 0, 1)),
        )

    def test_a_router_that_does_not_find_the_members(self) -> None:
        """The gateway sends the members, without the sender, some per turn."""
        pool = self.pool(2)
        wires = [self.connected(pool, index) for index in range(2)]
        pool.push_group(7, 100, lambda: range(10_000), 3, 8, GROUP)
        counts: list[int] = []
        named: set[int] = set()
        for _ in range(6):
            for index, wire in enumerate(wires):
                pushes = [route.WidePush.decode(f.body) for f in wire.frames()]
                counts += [len(push.receivers) for push in pushes]
                for push in pushes:
                    self.assertEqual(push.inner, encode_frame(8, GROUP, 0, 1))
                    self.assertEqual({uid % 2 for uid in push.receivers}, {index})
                    named |= set(push.receivers)
            self.turn()
        self.assertEqual(counts, [2000, 2000, 1000, 1999, 2000, 1000])
        self.assertEqual(named, set(range(10_000)) - {3})

    def test_a_request_waits_for_an_absent_router(self) -> None:
        """It is sent later, unless the router no longer finds members."""
        pool = self.pool()
        for abilities in (route.DECIDES_GROUP_PUSHES, 0):
            wire = self.connected(pool, 0, route.DECIDES_GROUP_PUSHES)
            wire.disconnect()
            pool.push_group(7, 100, self.fail, 3, 8, GROUP)
            wire = RouterEnd(pool)
            self.turn()
            self.assertEqual(wire.frames(), [])
            wire.answer_mark(abilities)
            self.turn()
            self.assertEqual([f.cmd for f in wire.frames()], [route.PUBLISH_GROUP] * abilities)
            self.assertEqual(self.counters["pushes_dropped"], 1 - abilities)
            wire.disconnect()

    def test_abilities_belong_to_a_connection(self) -> None:
        """Another program may run at the address after a new connection."""
        pool = self.pool()
        self.connected(pool, 0, route.DECIDES_GROUP_PUSHES).disconnect()
        wire = RouterEnd(pool)
        pool.push_group(7, 100, lambda: (1, 2, 3), 3, 8, GROUP)
        self.turn()
        self.assertEqual([f.cmd for f in wire.frames()], [route.PUSH])
