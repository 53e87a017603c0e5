"""The router's rules: what is forwarded to whom, and what is pushed."""

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
    said: Message, receiver: int = 2, flag: int = 0, version: int = 1, msgid: int = 0
) -> bytes:
    """The body of a publication to (7, receiver)."""
    inner = said.frame(version=1, flag=flag)
    return Publication(7, receiver, msgid, 0, 1_700_000_000 * 10**9, inner).body(version)


def seed_publication(said: Message, receiver: int = 2) -> bytes:
    """The same in the seed's layout."""
    inner = said.frame(version=1)
    return route.SeedPublish(appid=7, receiver=receiver, msgid=0, device_id=0, inner=inner).encode()


class DispatchTests(SynchronousTestCase):
    """Which rule a command meets."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.link = self.setting.link()

    def test_all(self) -> None:
        """Everything that a gateway may send has a rule, and nothing else."""
        self.assertEqual(frozenset(RULES), sent_by(Sender.GATEWAY))

    def test_one_rule_a_command(self) -> None:
        """A second rule for a command fails when it is declared."""
        with self.assertRaises(TypeError):
            rule(PUBLISH)(RULES[PUBLISH])

    def test_empty_unknown(self) -> None:
        """A PING, or an unknown command without a body, is passed over as upstream does."""
        for cmd in (13, 99, 128, 255):
            self.link.say(cmd, b"")
        self.assertEqual(self.setting.counters["unknown_commands"], 4)
        self.assertEqual(self.link.got, [])

    def test_unknown_with_a_body(self) -> None:
        """Is an error."""
        for cmd in (4, 13, 99, 128):
            with self.assertRaises(FrameError):
                self.link.say(cmd, b"x")

    def test_malformed(self) -> None:
        """Any body that is cut short is an error, in any version, and changes nothing."""
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
                    self.link.say(cmd, body[:size])
        for cmd in (PUBLISH, PUBLISH_GROUP, PUBLISH_ROOM):
            body = publication(PEER, version=1)
            for bad in (body + b"x", *(body[:size] for size in range(len(body)))):
                with self.assertRaises(BodyError):
                    self.link.say(cmd, bad, 1)
        body = WidePush(appid=7, receivers=(5, 6), inner=PEER.frame()).encode()
        for size in range(len(body)):
            with self.assertRaises(BodyError):
                self.link.say(route.PUSH, body[:size], 1)
        self.assertEqual(len(self.setting.router.table), 0)
        self.assertEqual(self.setting.pushes, [])

    def test_inner_lengths_that_cannot_be(self) -> None:
        """Negative, too long, or not that of the frame inside: an error, never a crash."""
        inner = PEER.frame(version=1)
        for wrong in (-1, -32768, len(inner) + 1, len(inner) - 1, 0, 11):
            bodies = [
                (pack(">qqqqqh", 7, 2, 0, 0, 1, wrong) + inner, PUBLISH),
                (pack(">qqqqh", 7, 2, 0, 0, wrong) + inner, PUBLISH),
                (pack(">qHqh", 7, 1, 2, wrong) + inner, route.PUSH),
            ]
            for body, cmd in bodies:
                with self.assertRaises(BodyError):
                    self.link.say(cmd, body)
        lie = encode_frame(4, b"")[:3] + b"\x05" + encode_frame(4, b"")[4:]
        with self.assertRaises(BodyError):
            self.link.say(PUBLISH, Publication(7, 2, 0, 0, 1, lie).body(1), 1)

    def test_excess(self) -> None:
        """What follows a fixed body is ignored, as upstream does."""
        self.link.say(route.SUBSCRIBE, pack(">qqb", 7, 5, 1) + b"more")
        self.assertTrue(self.setting.router.table.is_online((7, 5)))


class SubscriptionTests(SynchronousTestCase):
    """Who is where."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.table = self.setting.router.table
        self.link = self.setting.link()

    def test_users(self) -> None:
        """Come, change their online flag, and go."""
        self.link.hold(5, online=False)
        self.assertEqual(self.table.holders((7, 5)), (self.link,))
        self.assertFalse(self.table.is_online((7, 5)))
        self.link.say(route.SUBSCRIBE, pack(">qqb", 7, 5, -1))
        self.assertTrue(self.table.is_online((7, 5)))
        self.link.tell(route.Unsubscribe(appid=7, uid=5))
        self.assertEqual(self.table.holders((7, 5)), ())
        self.assertFalse(self.table.is_online((7, 5)))

    def test_rooms(self) -> None:
        """Come and go, apart from users with the same number."""
        self.link.enter(5)
        self.assertEqual(self.table.holders_of_room((7, 5)), (self.link,))
        self.assertEqual(self.table.holders((7, 5)), ())
        self.link.tell(route.UnsubscribeRoom(appid=7, room_id=5))
        self.assertEqual(self.table.holders_of_room((7, 5)), ())

    def test_gateway_gone(self) -> None:
        """Takes its users and rooms with it; and it gets nothing any more."""
        self.link.hold(5)
        self.link.enter(5)
        self.setting.router.closed(self.link)
        self.assertFalse(self.table.is_online((7, 5)))
        other = self.setting.link()
        other.say(PUBLISH, publication(RT(sender=1, receiver=5, content=b"x"), 5, version=0))
        other.say(PUBLISH_GROUP, publication(SyncGroupNotify(group_id=5, sync_key=9), 5, 0, 0))
        self.assertEqual(self.link.got, [])


class MarkTests(SynchronousTestCase):
    """A gateway asks what is in effect."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.link = self.setting.link()

    def test_answered(self) -> None:
        """Each MARK at once, whatever its version, and to nobody else."""
        other = self.setting.link()
        for version in (1, 0):
            self.link.say(route.MARK, b"", version)
        self.assertEqual(self.link.got, [(route.MARKED, b"\0", 1)] * 2)
        self.assertEqual(other.got, [])

    def test_order(self) -> None:
        """The answer stands between what came before the MARK and what came after it."""
        self.link.hold(2)
        other = self.setting.link()
        body = publication(LIVE[0])
        other.say(PUBLISH, body, 1)
        self.link.say(route.MARK, b"", 1)
        other.say(PUBLISH, body, 1)
        self.assertEqual([cmd for cmd, _, _ in self.link.got], [PUBLISH, route.MARKED, PUBLISH])


class PublishTests(SynchronousTestCase):
    """To the gateways that hold the user."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.holder = self.setting.link()
        self.other = self.setting.link()
        for link in (self.source, self.holder):
            link.hold(2)

    def check_only_holder(self, cmd: int, body: bytes, version: int) -> None:
        """The holder got it as it came; nobody else did, the sender least of all."""
        self.assertEqual(self.holder.got, [(cmd, body, version)])
        self.assertEqual(self.source.got + self.other.got, [])
        self.holder.got.clear()

    def test_live(self) -> None:
        """Notifies and live kinds are forwarded, untouched, in the layout they came in."""
        for said in LIVE:
            for body, version in (
                (publication(said), 1),
                (publication(said, version=0), 0),
                (seed_publication(said), 0),
            ):
                self.source.say(PUBLISH, body, version)
                self.check_only_holder(PUBLISH, body, version)
        self.assertEqual(self.setting.pushes, [])

    def test_delivery(self) -> None:
        """A stored kind with the flag PUSH is forwarded; the push was asked for apart."""
        for said in (*STORED.values(), ANSWERED, LATER):
            for version in (0, 1):
                body = publication(said, flag=PUSH, version=version, msgid=99)
                self.source.say(PUBLISH, body, version)
                self.check_only_holder(PUBLISH, body, version)
        self.assertEqual(self.setting.pushes, [])

    def test_not_stored(self) -> None:
        """Customer service that is live only is forwarded; others have the bit by accident."""
        live: list[Message] = [ASKED, ANSWERED]
        for said in live:
            body = publication(said, flag=UNPERSISTENT)
            self.source.say(PUBLISH, body, 1)
            self.check_only_holder(PUBLISH, body, 1)
            self.source.say(PUBLISH, publication(said, 3, flag=UNPERSISTENT), 1)
        self.assertEqual(self.setting.pushes, [])
        stored: list[Message] = [PEER, GROUP, SYSTEM]
        for said in stored:
            self.source.say(PUBLISH, publication(said, 3, flag=UNPERSISTENT), 1)
        self.assertEqual(len(self.setting.pushes), 3)
        self.assertEqual(self.holder.got, [])

    def test_online_without_a_flag(self) -> None:
        """A stored kind without the flag asks for the push decision: online, so nothing at all."""
        for said in (*STORED.values(), ANSWERED):
            for body in (publication(said, version=0), seed_publication(said)):
                self.source.say(PUBLISH, body)
            self.source.say(PUBLISH, publication(said), 1)
        self.assertEqual(self.source.got + self.holder.got + self.other.got, [])
        self.assertEqual(self.setting.pushes, [])

    def test_offline_without_a_flag(self) -> None:
        """It is pushed, and still not forwarded to a desktop that wants pushes all the same."""
        self.other.hold(3, online=False)
        for queue, said in {**STORED, "customer_push_queue": ANSWERED}.items():
            for body in (publication(said, 3, version=0), seed_publication(said, 3)):
                self.source.say(PUBLISH, body)
                ((name, item),) = self.setting.pushes
                self.assertEqual(name, queue)
                self.assertIn(b"[3]" if said is GROUP else b'"receiver":3', item)
                self.setting.pushes.clear()
        self.assertEqual(self.source.got + self.holder.got + self.other.got, [])

    def test_voip_of_any_length(self) -> None:
        """Number 64 without the flag is VOIP_CONTROL, be it as long as CUSTOMER_V2: forwarded."""
        for length in (1, 19, 20, 21, 100):
            said = VoipControl(sender=1, receiver=2, content=bytes(length))
            body = publication(said)
            self.source.say(PUBLISH, body, 1)
            self.check_only_holder(PUBLISH, body, 1)
        self.source.say(PUBLISH, publication(VOIP, 3), 1)
        self.assertEqual(self.setting.pushes, [])

    def test_other_app(self) -> None:
        """The same number in another app is somebody else."""
        self.other.hold(4, appid=8)
        self.source.say(PUBLISH, publication(LIVE[0], 4), 1)
        self.assertEqual(self.other.got, [])

    def test_nobody(self) -> None:
        """A live kind for a user who is nowhere is gone, without a push."""
        self.source.say(PUBLISH, publication(LIVE[0], 4), 1)
        self.assertEqual(self.setting.pushes, [])


class GroupTests(SynchronousTestCase):
    """To all other gateways."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.others = [self.setting.link(), self.setting.link()]

    def test_notify_and_delivery(self) -> None:
        """Reach every other gateway, whoever is there."""
        notify = publication(SyncGroupNotify(group_id=100, sync_key=9), 100)
        delivery = publication(GROUP, 100, PUSH | SUPER_GROUP, msgid=99)
        for body in (notify, delivery):
            self.source.say(PUBLISH_GROUP, body, 1)
        for other in self.others:
            self.assertEqual(other.got, [(PUBLISH_GROUP, notify, 1), (PUBLISH_GROUP, delivery, 1)])
        self.assertEqual(self.source.got, [])

    def test_without_the_flag(self) -> None:
        """A stored kind is not forwarded; its push is left undecided, counted, said once."""
        for _ in range(3):
            self.source.say(PUBLISH_GROUP, seed_publication(GROUP, 100))
        self.assertEqual([link.got for link in self.others], [[], []])
        self.assertEqual(self.setting.counters["group_pushes_undecided"], 3)
        self.assertEqual(
            self.setting.events.texts(),
            [
                "gateways request pushes for group 100, and this router knows no groups:"
                " set mysqldb_datasource; logged once"
            ],
        )


class RoomTests(SynchronousTestCase):
    """To the gateways that hold the room."""

    def test_holders(self) -> None:
        """Those in the room get it, except the sender."""
        setting = Setting()
        source, holder, other = setting.link(), setting.link(), setting.link()
        for link in (source, holder):
            link.enter(77)
        other.hold(77)
        body = publication(RoomIM(sender=1, receiver=77, content=b"x"), 77, version=0)
        source.say(PUBLISH_ROOM, body)
        self.assertEqual(holder.got, [(PUBLISH_ROOM, body, 0)])
        self.assertEqual(source.got + other.got, [])


class VersionTests(SynchronousTestCase):
    """Gateways of both versions at one router."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link(0)
        self.old = self.setting.link(0)
        self.new = self.setting.link(0)
        for link in (self.old, self.new):
            link.hold(2)
        self.new.say(13, b"", 1)

    def test_seen(self) -> None:
        """The version of a link is the highest that came from it, never more than 1."""
        self.assertEqual((self.old.version, self.new.version), (0, 1))
        self.new.hold(3)
        self.assertEqual(self.new.version, 1)
        self.old.say(13, b"", 9)
        self.assertEqual(self.old.version, 1)

    def test_delivery(self) -> None:
        """Of version 1 goes whole to the new, and as message and notify to the old."""
        body = publication(PEER, flag=PUSH, msgid=99)
        self.source.say(PUBLISH, body, 1)
        self.assertEqual(self.new.got, [(PUBLISH, body, 1)])
        (cmd, message, version), (cmd_2, notify, version_2) = self.old.got
        self.assertEqual((cmd, cmd_2, version, version_2), (PUBLISH, PUBLISH, 0, 0))
        self.assertEqual(Publication.read(message, 0), Publication.read(body, 1))
        self.assertEqual(Publication.read(notify, 0).inner, SyncNotify(sync_key=99).frame(0, 0))

    def test_old_to_new(self) -> None:
        """Version 0 goes to both as it came, and adds no notify."""
        body = publication(PEER, flag=PUSH, msgid=99, version=0)
        self.source.say(PUBLISH, body)
        self.assertEqual(self.new.got, [(PUBLISH, body, 0)])
        self.assertEqual(self.old.got, [(PUBLISH, body, 0)])

    def test_later_version(self) -> None:
        """Of a version not known yet is passed on as 1, which is how it was read."""
        body = publication(PEER, flag=PUSH, msgid=99)
        self.source.say(PUBLISH, body, 7)
        self.assertEqual(self.new.got, [(PUBLISH, body, 1)])

    def test_too_long(self) -> None:
        """For the old: it is dropped, counted, said once; the sender and the new do not suffer."""
        said = RT(sender=1, receiver=2, content=bytes(40_000))
        body = publication(said)
        for _ in range(2):
            self.source.say(PUBLISH, body, 1)
        self.assertEqual(self.old.got, [])
        self.assertEqual(self.new.got, [(PUBLISH, body, 1)] * 2)
        self.assertEqual(self.setting.counters["publications_too_long"], 2)
        self.assertEqual(len(self.setting.events), 1)


class PushTests(SynchronousTestCase):
    """Who gets a phone push."""

    def setUp(self) -> None:
        self.setting = Setting()
        self.source = self.setting.link()
        self.other = self.setting.link()

    def ask(self, said: Message, *receivers: int, source: FakeLink | None = None) -> list[str]:
        """The items that come of a PUSH, in both versions."""
        inner = said.frame(version=1)
        made = []
        for cls, version in ((Push, 0), (WidePush, 1)):
            body = cls(appid=7, receivers=receivers, inner=inner).encode()
            (source or self.source).say(route.PUSH, body, version)
            made.append([f"{name} {item.decode()}" for name, item in self.setting.pushes])
            self.setting.pushes.clear()
        self.assertEqual(made[0], made[1])
        return made[0]

    def test_nobody_has_him(self) -> None:
        """He gets it."""
        self.assertEqual(
            self.ask(PEER, 2),
            ['push_queue {"appid":7,"content":"hi","receiver":2,"sender":1}'],
        )

    def test_online(self) -> None:
        """On any gateway, the asking one too: he does not."""
        self.other.hold(2)
        self.source.hold(3)
        self.assertEqual(self.ask(PEER, 2), [])
        self.assertEqual(self.ask(PEER, 3), [])

    def test_connected_not_online(self) -> None:
        """From a desktop that wants pushes all the same: he does."""
        self.other.hold(2, online=False)
        self.assertEqual(len(self.ask(PEER, 2)), 1)

    def test_list(self) -> None:
        """Of a list, those who are online nowhere, in one item."""
        self.other.hold(3)
        (item,) = self.ask(GROUP, 2, 3, 4)
        self.assertIn('"receivers":[2,4]', item)
        self.assertEqual(self.ask(GROUP), [])

    def test_customer(self) -> None:
        """Number 64 in a PUSH is CUSTOMER_V2; what is too short for that is an error."""
        (item,) = self.ask(LATER, 2)
        self.assertIn("customer_push_queue_v2", item)
        with self.assertRaises(BodyError):
            self.ask(VoipControl(sender=1, receiver=2, content=b"x"), 2)

    def test_no_kind(self) -> None:
        """A kind that is not pushed is counted."""
        self.assertEqual(self.ask(RT(sender=1, receiver=2, content=b"x"), 2), [])
        self.assertEqual(self.setting.counters["pushes_of_no_kind"], 2)

    def test_malformed_inside(self) -> None:
        """The message is only read when there is somebody to push to; then it must make sense."""
        bad = Push(appid=7, receivers=(2,), inner=encode_frame(4, b"short")).encode()
        self.other.hold(2)
        self.source.say(route.PUSH, bad)
        self.other.tell(route.Unsubscribe(appid=7, uid=2))
        with self.assertRaises(BodyError):
            self.source.say(route.PUSH, bad)

    def test_not_forwarded(self) -> None:
        """A PUSH is for the router alone."""
        self.other.hold(2, online=False)
        self.ask(PEER, 2)
        self.assertEqual(self.other.got + self.source.got, [])

    def test_system_switched_off(self) -> None:
        """Messages of the backend are pushed only where that is wanted."""
        for wanted in (True, False):
            self.setting = Setting(push_system=wanted)
            self.source = self.setting.link()
            self.assertEqual(len(self.ask(SYSTEM, 2)), int(wanted))
            self.assertEqual(len(self.ask(PEER, 2)), 1)
            self.source.say(PUBLISH, seed_publication(SYSTEM))
            self.assertEqual(len(self.setting.pushes), int(wanted))

    def test_disabled(self) -> None:
        """No pushes at all; everything else goes on."""
        self.setting = Setting(disabled=True)
        self.source, self.other = self.setting.link(), self.setting.link()
        self.other.hold(2)
        self.assertEqual(self.ask(PEER, 5), [])
        self.source.say(PUBLISH, seed_publication(PEER, 5))
        self.source.say(PUBLISH, publication(LIVE[0]), 1)
        self.assertEqual(len(self.other.got), 1)
