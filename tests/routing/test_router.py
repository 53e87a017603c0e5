"""The router's rules: the gateways and phones that get a publication."""

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError, FrameError
from gobelieve.routing.router import RULES, rule
from gobelieve.wire import encode_frame, route, sent_by
from gobelieve.wire.client import (
    IM,
    RT,
    GroupIM,
    GroupNotification,
    Inputing,
    Notification,
    RoomIM,
    SyncGroupNotify,
    SyncNotify,
    System,
)
from gobelieve.wire.customers import Customer, CustomerSupport, CustomerV2, VoipControl
from gobelieve.wire.frames import PUSH, SUPER_GROUP, UNPERSISTENT
from gobelieve.wire.message import Message, Sender
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM, Push, WidePush
from tests.routing.support import FakeLink, Setting

PEER = IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi")
GROUP = GroupIM(sender=1, receiver=100, timestamp=5, msgid=0, content=b"hi")
SYSTEM = System(content=b"{}")
ASKED = Customer(
    customer_appid=7, customer_id=1, store_id=9, seller_id=2, timestamp=5, content=b"?"
)
ANSWERED = CustomerSupport(
    customer_appid=7, customer_id=2, store_id=9, seller_id=1, timestamp=5, content=b"!"
)
STORED = {
    "push_queue": PEER,
    "group_push_queue": GROUP,
    "system_push_queue": SYSTEM,
    "customer_push_queue": ASKED,
}
LATER = CustomerV2(
    sender_appid=7, sender=1, receiver_appid=7, receiver=2, timestamp=5, content=b"?"
)
VOIP = VoipControl(sender=1, receiver=2, content=bytes(40))
LIVE: list[Message] = [
    SyncNotify(sync_key=9),
    SyncGroupNotify(group_id=100, sync_key=9),
    Inputing(sender=1, receiver=2),
    RT(sender=1, receiver=2, content=b"x"),
    Notification(content=b"{}"),
    GroupNotification(content=b"{}"),
    VOIP,
]


def publication(
    message: Message, receiver: int = 2, flag: int = 0, version: int = 1, msgid: int = 0
) -> bytes:
    """Return the body of a publication to a receiver of app 7."""
    inner = message.frame(version=1, flag=flag)
    return Publication(7, receiver, msgid, 0, 1_700_000_000 * 10**9, inner).body(version)


def seed_publication(message: Message, receiver: int = 2) -> bytes:
    """Return the body of a publication in the seed's layout."""
    inner = message.frame(version=1)
    return route.SeedPublish(appid=7, receiver=receiver, msgid=0, device_id=0, inner=inner).encode()


class DispatchTests(SynchronousTestCase):
    """The rule for each command."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.link = self.setting.link()

    def test_all(self) -> None:
        """Each command that a gateway may send has a rule, and no other command has one."""
        self.assertEqual(frozenset(RULES), sent_by(Sender.GATEWAY))

    def test_one_rule_per_command(self) -> None:
        """A second rule for a command fails when it is declared."""
        with self.assertRaises(TypeError):
            rule(PUBLISH)(RULES[PUBLISH])

    def test_empty_unknown(self) -> None:
        """A PING or an unknown command without a body is ignored, as in the Go server."""
        for cmd in (13, 99, 128, 255):
            self.link.send_frame(cmd, b"")
        self.assertEqual(self.setting.counters["unknown_commands"], 4)
        self.assertEqual(self.link.received, [])

    def test_unknown_with_a_body(self) -> None:
        """An unknown command with a body is an error."""
        for cmd in (4, 13, 99, 128):
            with self.assertRaises(FrameError):
                self.link.send_frame(cmd, b"x")

    def test_malformed(self) -> None:
        """A body that is too short is an error in each version, and changes nothing."""
        whole = {
            route.SUBSCRIBE: pack(">qqb", 7, 5, 1),
            route.UNSUBSCRIBE: pack(">qq", 7, 5),
            route.SUBSCRIBE_ROOM: pack(">qq", 7, 5),
            route.UNSUBSCRIBE_ROOM: pack(">qq", 7, 5),
            PUBLISH: publication(PEER, version=0),
            PUBLISH_GROUP: publication(GROUP, version=0),
            PUBLISH_ROOM: publication(GROUP, version=0),
            route.PUSH: Push(appid=7, receivers=(5, 6), inner=PEER.frame()).encode(),
        }
        self.assertEqual(whole.keys(), RULES.keys() - {route.MARK})
        for cmd, body in whole.items():
            for size in range(len(body)):
                with self.assertRaises(BodyError):
                    self.link.send_frame(cmd, body[:size])
        for cmd in (PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM):
            body = publication(PEER, version=1)
            for bad in (body + b"x", *(body[:size] for size in range(len(body)))):
                with self.assertRaises(BodyError):
                    self.link.send_frame(cmd, bad, 1)
        body = WidePush(appid=7, receivers=(5, 6), inner=PEER.frame()).encode()
        for size in range(len(body)):
            with self.assertRaises(BodyError):
                self.link.send_frame(route.PUSH, body[:size], 1)
        self.assertEqual(len(self.setting.router.table), 0)
        self.assertEqual(self.setting.pushes, [])

    def test_impossible_inner_lengths(self) -> None:
        """An inner length that is negative, too long or wrong is an error of the link."""
        inner = PEER.frame(version=1)
        for wrong in (-1, -32768, len(inner) + 1, len(inner) - 1, 0, 11):
            bodies = [
                (pack(">qqqqqh", 7, 2, 0, 0, 1, wrong) + inner, PUBLISH),
                (pack(">qqqqh", 7, 2, 0, 0, wrong) + inner, PUBLISH),
                (pack(">qHqh", 7, 1, 2, wrong) + inner, route.PUSH),
            ]
            for body, cmd in bodies:
                with self.assertRaises(BodyError):
                    self.link.send_frame(cmd, body)
        lie = encode_frame(4, b"")[:3] + b"\x05" + encode_frame(4, b"")[4:]
        with self.assertRaises(BodyError):
            self.link.send_frame(PUBLISH, Publication(7, 2, 0, 0, 1, lie).body(1), 1)

    def test_excess(self) -> None:
        """Bytes after a fixed body are ignored, as in the Go server."""
        self.link.send_frame(route.SUBSCRIBE, pack(">qqb", 7, 5, 1) + b"more")
        self.assertTrue(self.setting.router.table.is_online((7, 5)))


class SubscriptionTests(SynchronousTestCase):
    """Subscriptions of users and rooms."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.table = self.setting.router.table
        self.link = self.setting.link()

    def test_users(self) -> None:
        """A gateway adds a user, changes the online flag, and removes the user."""
        self.link.subscribe(5, online=False)
        self.assertEqual(self.table.holders((7, 5)), (self.link,))
        self.assertFalse(self.table.is_online((7, 5)))
        self.link.send_frame(route.SUBSCRIBE, pack(">qqb", 7, 5, -1))
        self.assertTrue(self.table.is_online((7, 5)))
        self.link.send(route.Unsubscribe(appid=7, uid=5))
        self.assertEqual(self.table.holders((7, 5)), ())
        self.assertFalse(self.table.is_online((7, 5)))

    def test_rooms(self) -> None:
        """A room is added and removed, independently of a user with the same number."""
        self.link.subscribe_room(5)
        self.assertEqual(self.table.holders_of_room((7, 5)), (self.link,))
        self.assertEqual(self.table.holders((7, 5)), ())
        self.link.send(route.UnsubscribeRoom(appid=7, room_id=5))
        self.assertEqual(self.table.holders_of_room((7, 5)), ())

    def test_gateway_gone(self) -> None:
        """A closed link takes its users and rooms along, and gets no more frames."""
        self.link.subscribe(5)
        self.link.subscribe_room(5)
        self.setting.router.closed(self.link)
        self.assertFalse(self.table.is_online((7, 5)))
        other = self.setting.link()
        other.send_frame(PUBLISH, publication(RT(sender=1, receiver=5, content=b"x"), 5, version=0))
        other.send_frame(
            PUBLISH_GROUP, publication(SyncGroupNotify(group_id=5, sync_key=9), 5, 0, 0)
        )
        self.assertEqual(self.link.received, [])


class MarkTests(SynchronousTestCase):
    """The MARK, with which a gateway asks whether its subscriptions are in effect."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.link = self.setting.link()

    def test_answered(self) -> None:
        """Each MARK of any version is answered at once, and only to its sender."""
        other = self.setting.link()
        for version in (1, 0):
            self.link.send_frame(route.MARK, b"", version)
        self.assertEqual(self.link.received, [(route.MARKED, b"\0", 1)] * 2)
        self.assertEqual(other.received, [])

    def test_order(self) -> None:
        """The answer comes after the effects of earlier frames and before those of later ones."""
        self.link.subscribe(2)
        other = self.setting.link()
        body = publication(LIVE[0])
        other.send_frame(PUBLISH, body, 1)
        self.link.send_frame(route.MARK, b"", 1)
        other.send_frame(PUBLISH, body, 1)
        self.assertEqual(
            [cmd for cmd, _, _ in self.link.received], [PUBLISH, route.MARKED, PUBLISH]
        )


class PublishTests(SynchronousTestCase):
    """Publications to a user."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.holder = self.setting.link()
        self.other = self.setting.link()
        for link in (self.source, self.holder):
            link.subscribe(2)

    def check_only_holder(self, cmd: int, body: bytes, version: int) -> None:
        """Check that only the gateway that holds the user got the body, unchanged."""
        self.assertEqual(self.holder.received, [(cmd, body, version)])
        self.assertEqual(self.source.received + self.other.received, [])
        self.holder.received.clear()

    def test_live(self) -> None:
        """Notifies and live kinds are forwarded unchanged, in their layout."""
        for message in LIVE:
            for body, version in (
                (publication(message), 1),
                (publication(message, version=0), 0),
                (seed_publication(message), 0),
            ):
                self.source.send_frame(PUBLISH, body, version)
                self.check_only_holder(PUBLISH, body, version)
        self.assertEqual(self.setting.pushes, [])

    def test_delivery(self) -> None:
        """A stored kind with the flag PUSH is forwarded, and requests no push."""
        for message in (*STORED.values(), ANSWERED, LATER):
            for version in (0, 1):
                body = publication(message, flag=PUSH, version=version, msgid=99)
                self.source.send_frame(PUBLISH, body, version)
                self.check_only_holder(PUBLISH, body, version)
        self.assertEqual(self.setting.pushes, [])

    def test_not_stored(self) -> None:
        """Unstored customer service messages are forwarded; in other kinds the flag is ignored."""
        live: list[Message] = [ASKED, ANSWERED]
        for message in live:
            body = publication(message, flag=UNPERSISTENT)
            self.source.send_frame(PUBLISH, body, 1)
            self.check_only_holder(PUBLISH, body, 1)
            self.source.send_frame(PUBLISH, publication(message, 3, flag=UNPERSISTENT), 1)
        self.assertEqual(self.setting.pushes, [])
        stored: list[Message] = [PEER, GROUP, SYSTEM]
        for message in stored:
            self.source.send_frame(PUBLISH, publication(message, 3, flag=UNPERSISTENT), 1)
        self.assertEqual(len(self.setting.pushes), 3)
        self.assertEqual(self.holder.received, [])

    def test_online_without_a_flag(self) -> None:
        """A stored kind without the flag requests a push; an online user gets none."""
        for message in (*STORED.values(), ANSWERED):
            for body in (publication(message, version=0), seed_publication(message)):
                self.source.send_frame(PUBLISH, body)
            self.source.send_frame(PUBLISH, publication(message), 1)
        self.assertEqual(self.source.received + self.holder.received + self.other.received, [])
        self.assertEqual(self.setting.pushes, [])

    def test_offline_without_a_flag(self) -> None:
        """An offline user gets the push, and nothing is forwarded to a desktop of that user."""
        self.other.subscribe(3, online=False)
        for queue, message in {**STORED, "customer_push_queue": ANSWERED}.items():
            for body in (publication(message, 3, version=0), seed_publication(message, 3)):
                self.source.send_frame(PUBLISH, body)
                ((name, item),) = self.setting.pushes
                self.assertEqual(name, queue)
                self.assertIn(b"[3]" if message is GROUP else b'"receiver":3', item)
                self.setting.pushes.clear()
        self.assertEqual(self.source.received + self.holder.received + self.other.received, [])

    def test_voip_of_any_length(self) -> None:
        """Number 64 without the flag is VOIP_CONTROL of any length, and is forwarded."""
        for length in (1, 19, 20, 21, 100):
            message = VoipControl(sender=1, receiver=2, content=bytes(length))
            body = publication(message)
            self.source.send_frame(PUBLISH, body, 1)
            self.check_only_holder(PUBLISH, body, 1)
        self.source.send_frame(PUBLISH, publication(VOIP, 3), 1)
        self.assertEqual(self.setting.pushes, [])

    def test_other_app(self) -> None:
        """A user with the same number in another app is a different user."""
        self.other.subscribe(4, appid=8)
        self.source.send_frame(PUBLISH, publication(LIVE[0], 4), 1)
        self.assertEqual(self.other.received, [])

    def test_nobody(self) -> None:
        """A live kind for an offline user is dropped, without a push."""
        self.source.send_frame(PUBLISH, publication(LIVE[0], 4), 1)
        self.assertEqual(self.setting.pushes, [])


class GroupTests(SynchronousTestCase):
    """Publications to a group."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.others = [self.setting.link(), self.setting.link()]

    def test_notify_and_delivery(self) -> None:
        """Notifies and deliveries of a group reach every other gateway."""
        notify = publication(SyncGroupNotify(group_id=100, sync_key=9), 100)
        delivery = publication(GROUP, 100, PUSH | SUPER_GROUP, msgid=99)
        for body in (notify, delivery):
            self.source.send_frame(PUBLISH_GROUP, body, 1)
        for other in self.others:
            self.assertEqual(
                other.received, [(PUBLISH_GROUP, notify, 1), (PUBLISH_GROUP, delivery, 1)]
            )
        self.assertEqual(self.source.received, [])

    def test_without_the_flag(self) -> None:
        """A push request for a group is counted and logged once if the router has no groups."""
        for _ in range(3):
            self.source.send_frame(PUBLISH_GROUP, seed_publication(GROUP, 100))
        self.assertEqual([link.received for link in self.others], [[], []])
        self.assertEqual(self.setting.counters["group_pushes_undecided"], 3)
        self.assertEqual(
            self.setting.events.texts(),
            [
                "gateways request pushes for group 100, and this router knows no groups:"
                " set mysqldb_datasource; logged once"
            ],
        )


class RoomTests(SynchronousTestCase):
    """Publications to a room."""

    def test_holders(self) -> None:
        """The gateways that hold the room get the publication, except its sender."""
        setting = Setting()
        source, holder, other = setting.link(), setting.link(), setting.link()
        for link in (source, holder):
            link.subscribe_room(77)
        other.subscribe(77)
        body = publication(RoomIM(sender=1, receiver=77, content=b"x"), 77, version=0)
        source.send_frame(PUBLISH_ROOM, body)
        self.assertEqual(holder.received, [(PUBLISH_ROOM, body, 0)])
        self.assertEqual(source.received + other.received, [])


class VersionTests(SynchronousTestCase):
    """Gateways of both versions at one router."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link(0)
        self.old = self.setting.link(0)
        self.new = self.setting.link(0)
        for link in (self.old, self.new):
            link.subscribe(2)
        self.new.send_frame(13, b"", 1)

    def test_seen(self) -> None:
        """The version of a link is the highest that came from it, and at most 1."""
        self.assertEqual((self.old.version, self.new.version), (0, 1))
        self.new.subscribe(3)
        self.assertEqual(self.new.version, 1)
        self.old.send_frame(13, b"", 9)
        self.assertEqual(self.old.version, 1)

    def test_delivery(self) -> None:
        """A delivery goes whole to a new gateway, and as message and notify to an old one."""
        body = publication(PEER, flag=PUSH, msgid=99)
        self.source.send_frame(PUBLISH, body, 1)
        self.assertEqual(self.new.received, [(PUBLISH, body, 1)])
        (cmd, message, version), (cmd_2, notify, version_2) = self.old.received
        self.assertEqual((cmd, cmd_2, version, version_2), (PUBLISH, PUBLISH, 0, 0))
        self.assertEqual(Publication.read(message, 0), Publication.read(body, 1))
        self.assertEqual(Publication.read(notify, 0).inner, SyncNotify(sync_key=99).frame(0, 0))

    def test_old_to_new(self) -> None:
        """A publication of version 0 goes to both unchanged, without a notify."""
        body = publication(PEER, flag=PUSH, msgid=99, version=0)
        self.source.send_frame(PUBLISH, body)
        self.assertEqual(self.new.received, [(PUBLISH, body, 0)])
        self.assertEqual(self.old.received, [(PUBLISH, body, 0)])

    def test_later_version(self) -> None:
        """A publication of an unknown later version is forwarded as version 1."""
        body = publication(PEER, flag=PUSH, msgid=99)
        self.source.send_frame(PUBLISH, body, 7)
        self.assertEqual(self.new.received, [(PUBLISH, body, 1)])

    def test_too_long(self) -> None:
        """A publication that is too long for old gateways is dropped, counted and logged."""
        message = RT(sender=1, receiver=2, content=bytes(40_000))
        body = publication(message)
        for _ in range(2):
            self.source.send_frame(PUBLISH, body, 1)
        self.assertEqual(self.old.received, [])
        self.assertEqual(self.new.received, [(PUBLISH, body, 1)] * 2)
        self.assertEqual(self.setting.counters["publications_too_long"], 2)
        self.assertEqual(len(self.setting.events), 1)


class PushTests(SynchronousTestCase):
    """Push requests of gateways."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.other = self.setting.link()

    def ask(self, message: Message, *receivers: int, source: FakeLink | None = None) -> list[str]:
        """Return the items of a PUSH, which both versions must have alike."""
        inner = message.frame(version=1)
        made = []
        for cls, version in ((Push, 0), (WidePush, 1)):
            body = cls(appid=7, receivers=receivers, inner=inner).encode()
            (source or self.source).send_frame(route.PUSH, body, version)
            made.append([f"{name} {item.decode()}" for name, item in self.setting.pushes])
            self.setting.pushes.clear()
        self.assertEqual(made[0], made[1])
        return made[0]

    def test_an_offline_user(self) -> None:
        """An offline user gets the push."""
        self.assertEqual(
            self.ask(PEER, 2),
            ['push_queue {"appid":7,"content":"hi","receiver":2,"sender":1}'],
        )

    def test_online(self) -> None:
        """A user who is online at any gateway gets no push, also at the one that asks."""
        self.other.subscribe(2)
        self.source.subscribe(3)
        self.assertEqual(self.ask(PEER, 2), [])
        self.assertEqual(self.ask(PEER, 3), [])

    def test_connected_not_online(self) -> None:
        """A user at a desktop who wants pushes gets the push."""
        self.other.subscribe(2, online=False)
        self.assertEqual(len(self.ask(PEER, 2)), 1)

    def test_list(self) -> None:
        """Of several receivers, those who are online nowhere are in one item."""
        self.other.subscribe(3)
        (item,) = self.ask(GROUP, 2, 3, 4)
        self.assertIn('"receivers":[2,4]', item)
        self.assertEqual(self.ask(GROUP), [])

    def test_customer(self) -> None:
        """Number 64 in a PUSH is CUSTOMER_V2; a shorter body is an error."""
        (item,) = self.ask(LATER, 2)
        self.assertIn("customer_push_queue_v2", item)
        with self.assertRaises(BodyError):
            self.ask(VoipControl(sender=1, receiver=2, content=b"x"), 2)

    def test_no_kind(self) -> None:
        """A kind that is not pushed is counted."""
        self.assertEqual(self.ask(RT(sender=1, receiver=2, content=b"x"), 2), [])
        self.assertEqual(self.setting.counters["pushes_of_no_kind"], 2)

    def test_malformed_inside(self) -> None:
        """A malformed message is an error only if a receiver is offline."""
        bad = Push(appid=7, receivers=(2,), inner=encode_frame(4, b"short")).encode()
        self.other.subscribe(2)
        self.source.send_frame(route.PUSH, bad)
        self.other.send(route.Unsubscribe(appid=7, uid=2))
        with self.assertRaises(BodyError):
            self.source.send_frame(route.PUSH, bad)

    def test_not_forwarded(self) -> None:
        """A PUSH is not forwarded to gateways."""
        self.other.subscribe(2, online=False)
        self.ask(PEER, 2)
        self.assertEqual(self.other.received + self.source.received, [])

    def test_system_switched_off(self) -> None:
        """SYSTEM messages are pushed only if the configuration says so."""
        for wanted in (True, False):
            self.setting = Setting(push_system=wanted)
            self.source = self.setting.link()
            self.assertEqual(len(self.ask(SYSTEM, 2)), int(wanted))
            self.assertEqual(len(self.ask(PEER, 2)), 1)
            self.source.send_frame(PUBLISH, seed_publication(SYSTEM))
            self.assertEqual(len(self.setting.pushes), int(wanted))

    def test_disabled(self) -> None:
        """With pushes disabled nothing is pushed, and publications are forwarded."""
        self.setting = Setting(disabled=True)
        self.source, self.other = self.setting.link(), self.setting.link()
        self.other.subscribe(2)
        self.assertEqual(self.ask(PEER, 5), [])
        self.source.send_frame(PUBLISH, seed_publication(PEER, 5))
        self.source.send_frame(PUBLISH, publication(LIVE[0]), 1)
        self.assertEqual(len(self.other.received), 1)
