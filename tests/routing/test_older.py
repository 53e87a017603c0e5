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


def publication(flag: int = 0, msgid: int = 0, size: int = 5, cmd: int = 4) -> Publication:
    """Return a publication to user 2 of app 7."""
    return Publication(7, 2, msgid, msgid and 90, NS, encode_frame(cmd, bytes(size), 0, 1, flag))


class ForVersion0Tests(SynchronousTestCase):
    """The conversion of publications from version 1 to version 0."""

    def test_delivery(self) -> None:
        """A message with an id becomes two publications: the message, then a SYNC_NOTIFY."""
        whole = publication(PUSH, 99)
        message, notify = (Publish.decode(body) for body in for_version_0(132, whole.body(1), 1))
        self.assertEqual(
            (message.appid, message.receiver, message.msgid, message.device_id, message.timestamp),
            (7, 2, 99, 0, NS),
        )
        self.assertEqual(message.inner, whole.inner)
        self.assertEqual((notify.appid, notify.receiver, notify.msgid), (7, 2, 0))
        self.assertEqual(notify.inner, SyncNotify(sync_key=99).frame(version=0))

    def test_group_delivery(self) -> None:
        """A message of a group is followed by a SYNC_GROUP_NOTIFY."""
        whole = publication(PUSH | SUPER_GROUP, 99, cmd=8)
        message, notify = for_version_0(PUBLISH_GROUP, whole.body(1), 1)
        self.assertEqual(Publish.decode(message).msgid, 99)
        self.assertEqual(
            Publish.decode(notify).inner, SyncGroupNotify(group_id=2, sync_key=99).frame(version=0)
        )

    def test_live(self) -> None:
        """A publication without an id stays one publication."""
        (body,) = for_version_0(PUBLISH, publication(cmd=17).body(1), 1)
        self.assertEqual(Publication.read(body, 0), publication(cmd=17))
        (body,) = for_version_0(PUBLISH_ROOM, publication(cmd=20).body(1), 1)
        self.assertEqual(Publication.read(body, 0), publication(cmd=20))

    def test_room_with_an_id(self) -> None:
        """A publication to a room gets no notify, since a room has no queue."""
        self.assertEqual(len(for_version_0(PUBLISH_ROOM, publication(PUSH, 99).body(1), 1)), 1)

    def test_id_without_the_flag(self) -> None:
        """Without the flag only the notify has the id: the message would end a Go gateway."""
        for cmd, flag in ((PUBLISH, 0), (PUBLISH_GROUP, PUSH), (PUBLISH_GROUP, SUPER_GROUP)):
            first, notify = for_version_0(cmd, publication(flag, 99, cmd=36).body(1), 1)
            self.assertEqual(Publish.decode(first).msgid, 0)
            self.assertIn((99).to_bytes(8, "big"), Publish.decode(notify).inner)
            self.assertEqual(
                [
                    Publish.decode(b).msgid
                    for b in for_version_0(cmd, publication(flag, 99).body(0), 0)
                ],
                [0],
            )

    def test_as_it_came(self) -> None:
        """A body of version 0 stays as it came, also in the seed's layout or with excess bytes."""
        inner = publication(PUSH).inner
        seed = SeedPublish(appid=7, receiver=2, msgid=0, device_id=0, inner=inner).encode()
        for body in (
            publication(PUSH, 99).body(0),
            publication().body(0),
            publication().body(0) + b"more",
            seed,
        ):
            self.assertEqual(for_version_0(PUBLISH, body, 0), [body])

    def test_longest(self) -> None:
        """The longest body for a Go gateway passes; one more byte is an error."""
        fits = CLIENT_BODY_LIMIT - 42 - 12
        self.assertEqual(
            len(for_version_0(132, publication(size=fits).body(1), 1)[0]), CLIENT_BODY_LIMIT
        )
        with self.assertRaises(BodyError):
            for_version_0(PUBLISH, publication(size=fits + 1).body(1), 1)
        with self.assertRaises(BodyError):
            for_version_0(PUBLISH, publication(size=fits).body(0) + b"x", 0)
