"""A gateway in the process of the router."""

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.interfaces import Routing
from gobelieve.metrics import Counters
from gobelieve.names import Room, User
from gobelieve.routing.local import LocalLink
from gobelieve.wire import encode_frame
from gobelieve.wire.client import IM, GroupIM
from gobelieve.wire.frames import PUSH
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM
from tests.fakes.subscribers import FakeSubscriber
from tests.fakes.world import world
from tests.routing.support import Setting

BODY = IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi").encode()
GROUP = GroupIM(sender=3, receiver=100, timestamp=5, msgid=0, content=b"hi").encode()
BOB = User(7, 2)
LOBBY = Room(7, 50)


class LocalLinkTests(SynchronousTestCase):
    """The link of a gateway in the same process, which behaves like one on a socket."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.clock = Clock()
        self.clock.advance(1_700_000_000.5)
        self.counters = Counters()
        self.local = LocalLink(
            self.setting.router,
            world(time=self.clock, counters=self.counters, log=self.setting.log),
        )
        self.got = FakeSubscriber()
        self.local.attach(self.got)
        self.other = self.setting.link()

    def test_routing(self) -> None:
        """A subscription is in effect at once."""
        routing: Routing = self.local
        routing.subscribe(BOB, True)
        self.assertTrue(self.setting.router.table.is_online(BOB))
        known: list[str] = []
        routing.when_known(BOB, lambda: known.append("bob"))
        routing.unsubscribe(BOB)
        self.assertFalse(self.setting.router.table.is_online(BOB))
        routing.subscribe_room(LOBBY)
        routing.when_room_known(LOBBY, lambda: known.append("lobby"))
        self.assertEqual(self.setting.router.table.holders_of_room(LOBBY), (self.local,))
        routing.unsubscribe_room(LOBBY)
        self.assertEqual(self.setting.router.table.holders_of_room(LOBBY), ())
        self.assertEqual(known, ["bob", "lobby"])

    def test_published_here(self) -> None:
        """A publication of this gateway reaches the other gateways that hold the user."""
        self.other.subscribe(2)
        self.local.subscribe(BOB, True)
        self.local.publish(BOB, 4, BODY, PUSH, 99, 90)
        ((cmd, body, version),) = self.other.received
        self.assertEqual((cmd, version), (PUBLISH, 1))
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        self.assertEqual(
            Publication.read(body, 1),
            (7, 2, 99, 90, 1_700_000_000_500_000_000, inner),
        )
        self.assertEqual(self.got.users, [])

    def test_published_elsewhere(self) -> None:
        """A publication of another gateway reaches this one if the user is here."""
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        body = Publication(7, 2, 99, 90, 1, inner).body(1)
        self.other.send_frame(PUBLISH, body, 1)
        self.assertEqual(self.got.users, [])
        self.local.subscribe(BOB, True)
        self.other.send_frame(PUBLISH, body, 1)
        self.assertEqual(self.got.users, [(BOB, inner, 99, 90)])

    def test_a_malformed_publication(self) -> None:
        """A malformed publication is logged here, and the link of its sender stays."""
        self.local.subscribe(BOB, True)
        self.patch(self.got, "published_to_user", _refuse)
        self.other.send_frame(PUBLISH, Publication(7, 2, 0, 0, 1, encode_frame(17, b"")).body(1), 1)
        self.assertEqual(
            self.setting.events.texts(),
            ["a publication is malformed: a publication in the layout of version 0"],
        )
        self.assertEqual(self.counters["publications_malformed"], 1)

    def test_groups_and_rooms(self) -> None:
        """Publications go both ways; one to a room only reaches gateways that hold the room."""
        self.local.publish_group(7, 100, 33, bytes(16), PUSH, 99, 90)
        self.other.subscribe_room(50)
        self.local.publish_room(LOBBY, 20, b"x")
        published = [(cmd, Publication.read(body, 1)) for cmd, body, _ in self.other.received]
        self.assertEqual(
            [
                (cmd, publication.receiver, publication.msgid, publication.prev_msgid)
                for cmd, publication in published
            ],
            [(PUBLISH_GROUP, 100, 99, 90), (PUBLISH_ROOM, 50, 0, 0)],
        )
        inner = encode_frame(20, b"y", 0, 1)
        for _ in range(2):
            self.other.send_frame(PUBLISH_GROUP, Publication(7, 100, 5, 4, 1, inner).body(1), 1)
            self.other.send_frame(PUBLISH_ROOM, Publication(7, 50, 0, 0, 1, inner).body(1), 1)
            self.local.subscribe_room(LOBBY)
        self.assertEqual(self.got.groups, [(7, 100, inner, 5, 4)] * 2)
        self.assertEqual(self.got.rooms, [(LOBBY, inner)])

    def test_push(self) -> None:
        """A push goes to users who are online nowhere, also to more than fit into one frame."""
        self.other.subscribe(3)
        self.local.push(7, [3], 4, BODY)
        self.assertEqual(self.setting.pushes, [])
        self.local.push(7, [2, 3], 4, BODY)
        self.assertEqual(len(self.setting.pushes), 1)
        self.local.push(7, range(100, 100_100), 8, BODY)
        self.assertEqual(len(self.setting.pushes), 26)

    def test_push_of_a_group(self) -> None:
        """Without groups in the router, the gateway requests pushes for the members in batches."""
        self.other.subscribe(4)
        self.local.push_group(7, 100, lambda: range(1, 6001), 3, 8, GROUP)
        self.assertEqual(len(self.setting.pushes), 1)
        self.clock.advance(0)
        receivers = [uid for _, item in self.setting.pushes for uid in _receivers(item)]
        self.assertEqual(receivers, [1, 2, *range(5, 6001)])

    def test_push_of_a_group_that_the_router_decides(self) -> None:
        """If the router knows groups, the gateway does not iterate over the members."""
        asked: list[tuple[int, int, bytes]] = []

        class Groups:
            def ask(self, appid: int, group_id: int, inner: bytes) -> None:
                asked.append((appid, group_id, inner))

        self.patch(self.setting.router, "groups", Groups())
        self.local.push_group(7, 100, self.fail, 3, 8, GROUP)
        self.assertEqual(asked, [(7, 100, encode_frame(8, GROUP, 0, 1))])

    def test_close(self) -> None:
        """After the close the router holds no user of this gateway."""
        self.local.subscribe(BOB, True)
        self.local.close()
        self.assertFalse(self.setting.router.table.is_online(BOB))


def _refuse(*publication: object) -> None:
    raise BodyError("a publication in the layout of version 0")


def _receivers(item: bytes) -> list[int]:
    found: list[int] = json.loads(item)["receivers"]
    return found
