"""The forwarding matrix: for each kind, publication and flag, the gateways and phones that get it.

User 2 is online at gateway a. User 3 is at a desktop on gateway b and still wants pushes. User 4 is
offline. Gateway c has no users, but clients in the rooms 2, 3 and 4.
"""

from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.wire.client import (
    IM,
    RT,
    GroupIM,
    Inputing,
    Notification,
    RoomIM,
    SyncGroupNotify,
    SyncNotify,
    System,
)
from gobelieve.wire.customers import Customer, CustomerSupport, CustomerV2, VoipControl
from gobelieve.wire.frames import PUSH, SUPER_GROUP, UNPERSISTENT
from gobelieve.wire.message import Message
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM, SeedPublish
from tests.routing.support import Setting

IDS = {"sender": 1, "receiver": 2}
SERVICE = {"customer_appid": 7, "customer_id": 1, "store_id": 9, "seller_id": 2, "timestamp": 5}
PEER = IM(**IDS, msgid=0, content=b"x")
GROUP = GroupIM(**IDS, msgid=0, content=b"x")
SYSTEM = System(content=b"x")
STORED: tuple[Message, ...] = (
    PEER,
    GROUP,
    SYSTEM,
    Customer(**SERVICE, content=b"x"),
    CustomerSupport(**SERVICE, content=b"x"),
)
LATER = CustomerV2(
    sender_appid=7, sender=1, receiver_appid=7, receiver=2, timestamp=5, content=b"x"
)
LIVE: tuple[Message, ...] = (
    SyncNotify(sync_key=9),
    SyncGroupNotify(group_id=2, sync_key=9),
    RT(**IDS, content=b"x"),
    Inputing(**IDS),
    Notification(content=b"x"),
    VoipControl(**IDS, content=bytes(40)),
)
ROOM = RoomIM(sender=1, receiver=2, content=b"x")
ONE_OF_EACH = (*STORED, LATER, *LIVE, ROOM)


class Row(NamedTuple):
    """One kind of publication to the users (or groups, or rooms) 2, 3 and 4."""

    cmd: int
    kinds: tuple[Message, ...]
    flag: int
    forwarded: tuple[str, str, str]
    """For each receiver, the gateways among a, b and c that get it."""
    pushed: str
    """The users among 2, 3 and 4 whose phones get a push."""


HOLDERS, ALL, NONE = ("a", "b", ""), ("abc", "abc", "abc"), ("", "", "")
MATRIX = (
    Row(PUBLISH, STORED, 0, NONE, "34"),
    Row(PUBLISH, (*STORED, LATER), PUSH, HOLDERS, ""),
    Row(PUBLISH, STORED[3:], UNPERSISTENT, HOLDERS, ""),
    Row(PUBLISH, STORED[:3], UNPERSISTENT, NONE, "34"),
    Row(PUBLISH, LIVE, 0, HOLDERS, ""),
    Row(PUBLISH_GROUP, STORED, 0, NONE, ""),
    Row(PUBLISH_GROUP, STORED, PUSH | SUPER_GROUP, ALL, ""),
    Row(PUBLISH_GROUP, LIVE, 0, ALL, ""),
    Row(PUBLISH_ROOM, ONE_OF_EACH, 0, ("c", "c", "c"), ""),
    Row(PUBLISH_ROOM, STORED, PUSH, ("c", "c", "c"), ""),
)


class MatrixTests(SynchronousTestCase):
    """Each row of the matrix, in each layout."""

    def check(self, row: Row, message: Message, layout: int) -> None:
        """Publish one kind to the three receivers; layout -1 is that of the seed."""
        setting = Setting()
        source = setting.link()
        links = {name: setting.link() for name in "abc"}
        links["a"].subscribe(2)
        links["b"].subscribe(3, online=False)
        for room in (2, 3, 4):
            links["c"].subscribe_room(room)
        inner = message.frame(version=1, flag=row.flag)
        pushed = ""
        for receiver, wanted in zip((2, 3, 4), row.forwarded, strict=True):
            if layout < 0:
                body = SeedPublish(
                    appid=7, receiver=receiver, msgid=0, device_id=0, inner=inner
                ).encode()
            else:
                body = Publication(7, receiver, 0, 0, 10**18, inner).body(layout)
            source.send_frame(row.cmd, body, max(layout, 0))
            got = "".join(name for name, link in links.items() if link.received)
            self.assertEqual(got, wanted, f"{row.cmd} of {message} with {row.flag} to {receiver}")
            for link in links.values():
                for sent in link.received:
                    self.assertEqual(sent, (row.cmd, body, max(layout, 0)))
                link.received.clear()
            pushed += str(receiver) * len(setting.pushes)
            setting.pushes.clear()
        self.assertEqual(pushed, row.pushed, f"{row.cmd} of {message} with {row.flag}")
        self.assertEqual(source.received, [], "nothing comes back")

    def test_rows(self) -> None:
        """Each row of the matrix holds in the layouts of the seed, version 0 and version 1."""
        for row in MATRIX:
            for message in row.kinds:
                for layout in (-1, 0, 1):
                    self.check(row, message, layout)
