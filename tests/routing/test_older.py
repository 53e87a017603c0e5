"""Publications for gateways of version 0."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.routing.older import for_version_0
from gobelieve.wire import encode_frame
from gobelieve.wire.client import SyncGroupNotify, SyncNotify
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, PUSH, SUPER_GROUP
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM, Publish, SeedPublish

NS = 1_700_000_000_000_000_000


def told(flag: int = 0, msgid: int = 0, size: int = 5, cmd: int = 4) -> Publication:
    """A publication to (7, 2)."""
    return Publication(7, 2, msgid, msgid and 90, NS, encode_frame(cmd, bytes(size), 0, 1, flag))


class ForVersion0Tests(SynchronousTestCase):
    """Version 1 in the words of version 0."""

    def test_delivery(self) -> None:
        """A message with an id is two publications: itself, then the SYNC_NOTIFY."""
        whole = told(PUSH, 99)
        message, notify = (Publish.decode(body) for body in for_version_0(132, whole.body(1), 1))
        self.assertEqual(
            (message.appid, message.receiver, message.msgid, message.device_id, message.timestamp),
            (7, 2, 99, 0, NS),
        )
        self.assertEqual(message.inner, whole.inner)
        self.assertEqual((notify.appid, notify.receiver, notify.msgid), (7, 2, 0))
        self.assertEqual(notify.inner, SyncNotify(sync_key=99).frame(version=0))

    def test_group_delivery(self) -> None:
        """Is followed by SYNC_GROUP_NOTIFY."""
        whole = told(PUSH | SUPER_GROUP, 99, cmd=8)
        message, notify = for_version_0(PUBLISH_GROUP, whole.body(1), 1)
        self.assertEqual(Publish.decode(message).msgid, 99)
        self.assertEqual(
            Publish.decode(notify).inner, SyncGroupNotify(group_id=2, sync_key=99).frame(version=0)
        )

    def test_live(self) -> None:
        """Without an id it stays one."""
        (body,) = for_version_0(PUBLISH, told(cmd=17).body(1), 1)
        self.assertEqual(Publication.read(body, 0), told(cmd=17))
        (body,) = for_version_0(PUBLISH_ROOM, told(cmd=20).body(1), 1)
        self.assertEqual(Publication.read(body, 0), told(cmd=20))

    def test_room_with_an_id(self) -> None:
        """A room has no queue, so there is nothing to notify of."""
        self.assertEqual(len(for_version_0(PUBLISH_ROOM, told(PUSH, 99).body(1), 1)), 1)

    def test_id_without_the_flag(self) -> None:
        """The id is left out: upstream's gateway would end its process. The notify has it."""
        for cmd, flag in ((PUBLISH, 0), (PUBLISH_GROUP, PUSH), (PUBLISH_GROUP, SUPER_GROUP)):
            first, notify = for_version_0(cmd, told(flag, 99, cmd=36).body(1), 1)
            self.assertEqual(Publish.decode(first).msgid, 0)
            self.assertIn((99).to_bytes(8, "big"), Publish.decode(notify).inner)
            self.assertEqual(
                [Publish.decode(b).msgid for b in for_version_0(cmd, told(flag, 99).body(0), 0)],
                [0],
            )

    def test_as_it_came(self) -> None:
        """A body of version 0 is not touched, the seed's neither, nor what follows the frame."""
        inner = told(PUSH).inner
        seed = SeedPublish(appid=7, receiver=2, msgid=0, device_id=0, inner=inner).encode()
        for body in (told(PUSH, 99).body(0), told().body(0), told().body(0) + b"more", seed):
            self.assertEqual(for_version_0(PUBLISH, body, 0), [body])

    def test_longest(self) -> None:
        """What upstream's frame can just hold passes; a byte more is an error."""
        fits = CLIENT_BODY_LIMIT - 42 - 12
        self.assertEqual(len(for_version_0(132, told(size=fits).body(1), 1)[0]), CLIENT_BODY_LIMIT)
        with self.assertRaises(BodyError):
            for_version_0(PUBLISH, told(size=fits + 1).body(1), 1)
        with self.assertRaises(BodyError):
            for_version_0(PUBLISH, told(size=fits).body(0) + b"x", 0)
