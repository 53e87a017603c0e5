"""A gateway in the router's process."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.interfaces import Routing
from gobelieve.names import User
from gobelieve.routing.local import LocalLink
from gobelieve.wire import encode_frame
from gobelieve.wire.client import IM
from gobelieve.wire.frames import PUSH
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, Publication
from tests.routing.support import Setting

BODY = IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi").encode()
BOB = User(7, 2)


class LocalLinkTests(SynchronousTestCase):
    """As a gateway on a socket, without one."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.clock = Clock()
        self.clock.advance(1_700_000_000.5)
        self.local = LocalLink(self.setting.router, self.clock, self.setting.log)
        self.got: list[tuple[User, bytes, int, int]] = []
        self.local.attach(lambda *publication: self.got.append(publication))
        self.other = self.setting.link()

    def test_routing(self) -> None:
        """Is what a gateway expects of routing."""
        routing: Routing = self.local
        routing.subscribe(BOB, True)
        self.assertTrue(self.setting.router.table.is_online(BOB))
        routing.unsubscribe(BOB)
        self.assertFalse(self.setting.router.table.is_online(BOB))

    def test_published_here(self) -> None:
        """Reaches the other gateways that hold the user, as a whole delivery."""
        self.other.hold(2)
        self.local.subscribe(BOB, True)
        self.local.publish(BOB, 4, BODY, PUSH, 99, 90)
        ((cmd, body, version),) = self.other.got
        self.assertEqual((cmd, version), (PUBLISH, 1))
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        self.assertEqual(
            Publication.read(body, 1),
            (7, 2, 99, 90, 1_700_000_000_500_000_000, inner),
        )
        self.assertEqual(self.got, [])

    def test_published_elsewhere(self) -> None:
        """Comes here if the user is here."""
        inner = encode_frame(4, BODY, 0, 1, PUSH)
        body = Publication(7, 2, 99, 90, 1, inner).body(1)
        self.other.say(PUBLISH, body, 1)
        self.assertEqual(self.got, [])
        self.local.subscribe(BOB, True)
        self.other.say(PUBLISH, body, 1)
        self.assertEqual(self.got, [(BOB, inner, 99, 90)])

    def test_makes_no_sense_here(self) -> None:
        """Is logged; the gateway that published it is not blamed."""

        def refuse(*publication: object) -> None:
            raise BodyError("a publication in the layout of version 0")

        self.local.attach(refuse)
        self.local.subscribe(BOB, True)
        self.other.say(PUBLISH, Publication(7, 2, 0, 0, 1, encode_frame(17, b"")).body(1), 1)
        self.assertEqual(
            self.setting.events.texts(),
            ["a publication makes no sense: a publication in the layout of version 0"],
        )

    def test_groups(self) -> None:
        """Are not for it yet."""
        notify = Publication(7, 100, 0, 0, 1, encode_frame(33, bytes(16)))
        self.other.say(PUBLISH_GROUP, notify.body(1), 1)
        self.assertEqual(self.got, [])

    def test_push(self) -> None:
        """To those who are online nowhere, many more than a frame could name."""
        self.other.hold(3)
        self.local.push(7, [3], 4, BODY)
        self.assertEqual(self.setting.pushes, [])
        self.local.push(7, [2, 3], 4, BODY)
        self.assertEqual(len(self.setting.pushes), 1)
        self.local.push(7, range(100, 100_100), 8, BODY)
        self.assertEqual(len(self.setting.pushes), 26)

    def test_close(self) -> None:
        """Nobody is here any more."""
        self.local.subscribe(BOB, True)
        self.local.close()
        self.assertFalse(self.setting.router.table.is_online(BOB))
