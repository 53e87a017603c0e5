"""Every stored kind, and one that is declared here, from the sender's ack to the reader's sync.

The storage, the gateway, the HTTP API and the dump are the real ones.
"""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.cli.main import parser
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.rules.table import gather, receives
from gobelieve.gateway.sessions.session import Session
from gobelieve.names import User
from gobelieve.protocols.http.gateway.documents import api_router
from gobelieve.protocols.http.site import LimitedSite
from gobelieve.services.http.api import routes
from gobelieve.storage.local import LocalStorage
from gobelieve.storage.storage import Storage
from gobelieve.wire import client, customers
from gobelieve.wire.frames import SELF, Frame
from gobelieve.wire.layout import I64, Rest
from gobelieve.wire.message import Message, Sender, message
from gobelieve.wire.stored import Party, Stored
from tests.fakes.groups import group
from tests.fakes.storage import Waiting
from tests.fakes.world import FakeTurn, world
from tests.gateway.support import APP, KEFU, TestClient, TestGateway
from tests.protocols.http_case import KEY, WITH_KEY
from tests.web import ask
from tests.wire.scratch import scratch_kinds

WEB = 3
PEER = client.IM(sender=1, receiver=2, timestamp=0, msgid=0, content=b"hi")
V2 = customers.CustomerV2(
    sender_appid=APP, sender=1, receiver_appid=KEFU, receiver=5, timestamp=0, content=b"hi"
)
CUSTOMER: dict[str, Any] = {
    "customer_appid": APP, "store_id": 9, "seller_id": 5, "timestamp": 0, "content": b"hi",
}  # fmt: skip


def at_once(work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
    """Run the work of a thread at once, in this thread."""
    work()
    done(None)


class RealStorageCase(SynchronousTestCase):
    """A gateway on a storage in a scratch directory."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.root = self.mktemp()
        self.storage = Storage(self.root, world=world(turn=self.turn), in_thread=at_once)
        self.storage.open()
        self.local = LocalStorage(self.storage)
        self.gateway = TestGateway(storage=self.local, http_api_keys=(KEY,))
        everything = routes(
            self.gateway.settings, self.gateway.gateway, self.local, lambda: {"figure": 1}
        )
        self.site = LimitedSite(api_router(everything), self.gateway.clock)

    def say(self, sender: TestClient, sent: Message) -> list[Message]:
        """Send a message, let storage write it, and return what the sender receives."""
        sender.say(sent)
        self.turn.end()
        return sender.messages()

    def synced(self, reader: TestClient) -> list[tuple[Message, bool]]:
        """Return all messages of the reader's queue, each with True if it is marked SELF."""
        reader.say(client.Sync(sync_key=0))
        begin, *told, end = reader.told()
        self.assertEqual((begin.message.label, end.message.label), ("SYNC_BEGIN", "SYNC_END"))
        return [(one.message, one.flag == SELF) for one in told]

    def shown(self, user: User) -> list[Any]:
        """Return the user's queue as the HTTP API shows it."""
        path = f"/load_latest_message?appid={user.appid}&uid={user.uid}&limit=10"
        data = json.loads(ask(self.site, "GET", path, None, WITH_KEY).body)["data"]
        assert isinstance(data, list)
        return data

    def dumped(self, user: User) -> list[Any]:
        """Return the user's queue as ``gobelieve storage dump`` prints it."""
        queue = f"{user.appid}:{user.uid}"
        arguments = parser().parse_args(["storage", "dump", self.root, "--json", "--queue", queue])
        out = io.StringIO()
        with redirect_stdout(out):
            arguments.blocking(arguments)
        return [json.loads(line) for line in out.getvalue().splitlines()]


class StoredKindCase(RealStorageCase):
    """Sends a message to be stored and reads it wherever messages are read."""

    def check(self, sent: Message, author: User, reader: User) -> None:
        """Send it as the author; read it as both, and as the author on another device."""
        phone = self.gateway.client(author.uid, appid=author.appid, device="phone")
        tablet = self.gateway.client(author.uid, appid=author.appid, device="tablet")
        other = self.gateway.client(reader.uid, appid=reader.appid, device="phone")
        ack = self.say(phone, sent)[-1]
        self.assertEqual((ack.label, getattr(ack, "status", 0)), ("ACK", 0))
        for one in (tablet, other):
            self.assertEqual([m.label for m in one.messages()], ["SYNC_NOTIFY"])
        for one, own in ((phone, True), (tablet, False), (other, False)):
            ((message, is_self),) = self.synced(one)
            self.assertEqual((message.number, is_self), (sent.number, own))
            self.assertEqual(getattr(message, "content", None), b"hi")
        for user in (author, reader):
            ((shown,), (dumped,)) = self.shown(user), self.dumped(user)
            self.assertEqual((shown["command"], shown["content"]), (sent.number, "hi"))
            self.assertEqual(
                (dumped["cmd"], dumped["name"], dumped["sender"], dumped["receiver"]),
                (sent.number, sent.label, author.uid, reader.uid),
            )
            self.assertEqual(dumped["content"], "hi")


class StoredKindTests(StoredKindCase):
    """Each kind that clients send to one user, and what the app's server sends."""

    def test_im(self) -> None:
        """A message between two users of an app comes back everywhere."""
        self.check(PEER, User(APP, 1), User(APP, 2))

    def test_customer(self) -> None:
        """A message from a customer to a seller comes back everywhere."""
        self.check(customers.Customer(customer_id=1, **CUSTOMER), User(APP, 1), User(KEFU, 5))

    def test_customer_support(self) -> None:
        """A message from a seller to a customer comes back everywhere."""
        self.check(
            customers.CustomerSupport(customer_id=1, **CUSTOMER), User(KEFU, 5), User(APP, 1)
        )

    def test_customer_support_to_a_customer_with_the_uid_of_the_seller(self) -> None:
        """Seller and customer have the same uid and device number; only the seller is the
        author."""
        self.check(
            customers.CustomerSupport(customer_id=5, **CUSTOMER), User(KEFU, 5), User(APP, 5)
        )

    def test_customer_v2(self) -> None:
        """A message from a customer to a seller in the later form comes back everywhere."""
        self.check(V2, User(APP, 1), User(KEFU, 5))

    def test_group_im(self) -> None:
        """A message to an ordinary group is in the queue of each member."""
        self.gateway.groups.at_hand = {100: group(100, 1, 2)}
        sent = client.GroupIM(sender=1, receiver=100, timestamp=0, msgid=9, content=b"hi")
        phone, tablet = (self.gateway.client(1, device=device) for device in ("phone", "tablet"))
        bob = self.gateway.client(2, device="phone")
        self.assertEqual(self.say(phone, sent)[-1].label, "ACK")
        for one, own in ((phone, True), (tablet, False), (bob, False)):
            one.messages()
            self.assertEqual([(m.label, own) for m, own in self.synced(one)], [("GROUP_IM", own)])
        for uid in (1, 2):
            ((shown,), (dumped,)) = self.shown(User(APP, uid)), self.dumped(User(APP, uid))
            self.assertEqual((shown["sender"], shown["receiver"], shown["content"]), (1, 100, "hi"))
            self.assertEqual((dumped["sender"], dumped["receiver"]), (1, 100))

    def test_group_im_to_a_super_group(self) -> None:
        """A message to a super group is in the group's one queue."""
        self.gateway.groups.at_hand = {200: group(200, 1, 2, super=True)}
        sent = client.GroupIM(sender=1, receiver=200, timestamp=0, msgid=9, content=b"hi")
        phone, tablet = (self.gateway.client(1, device=device) for device in ("phone", "tablet"))
        bob = self.gateway.client(2, device="phone")
        self.assertEqual(self.say(phone, sent)[-1].label, "ACK")
        for one, flag in ((phone, SELF), (tablet, 0), (bob, 0)):
            one.messages()
            one.say(client.SyncGroup(group_id=200, sync_key=0))
            _, got, _ = one.told()
            self.assertEqual((got.message.label, got.flag), ("GROUP_IM", flag))

    def test_what_the_app_server_sends(self) -> None:
        """A system message and a notification are synced and dumped; the HTTP API hides them."""
        bob = self.gateway.client(2)
        app_server_messages = self.gateway.app_server_messages
        app_server_messages.system(APP, [2], b"{}", lambda status, missing: None)
        self.turn.end()
        self.local.save(7, b"{}", 0, (User(APP, 2),), Waiting())
        self.turn.end()
        bob.messages()
        self.assertEqual(
            [(m.label, own) for m, own in self.synced(bob)],
            [("SYSTEM", False), ("GROUP_NOTIFICATION", False)],
        )
        self.assertEqual(self.shown(User(APP, 2)), [])
        self.assertEqual([one["cmd"] for one in self.dumped(User(APP, 2))], [21, 7])


class BrowserTests(RealStorageCase):
    """Browsers have the device number 0, which stands for no device."""

    def test_what_is_posted_in_the_name_of_a_browser_user_is_not_marked_as_their_own(self) -> None:
        """A browser would not show a posted message that is marked as its own."""
        tab = self.gateway.client(1, platform=WEB)
        self.gateway.app_server_messages.peer(APP, 1, 2, b"hi", lambda status: None)
        self.turn.end()
        tab.messages()
        self.assertEqual([own for _, own in self.synced(tab)], [False])

    def test_what_one_browser_sent_is_not_marked_as_the_own_of_another(self) -> None:
        """Two browsers have the same device number, and still receive each other's messages."""
        first, second = (self.gateway.client(1, platform=WEB) for _ in range(2))
        self.say(first, PEER)
        second.messages()
        self.assertEqual([own for _, own in self.synced(second)], [False])

    def test_what_is_posted_in_the_name_of_a_phone_user_is_not_marked_as_their_own(self) -> None:
        """A posted message is from no device."""
        phone = self.gateway.client(1)
        self.gateway.app_server_messages.peer(APP, 1, 2, b"hi", lambda status: None)
        self.turn.end()
        phone.messages()
        self.assertEqual([own for _, own in self.synced(phone)], [False])


class NewKindTests(StoredKindCase):
    """A kind that only its class, its rule and this test know works like the others."""

    def test_a_new_kind(self) -> None:
        """A new kind is saved, acked, notified, synced, shown over HTTP and dumped."""
        with scratch_kinds():
            facts = Stored(author=Party("writer"), addressee=Party("reader"), content="content")

            @message(70, "NOTE", senders=Sender.CLIENT | Sender.SERVER, acked=True, stored=facts)
            class Note(Message):
                """A note from a user to a user."""

                writer: I64
                reader: I64
                content: Rest

            gateway = self.gateway
            peer_delivery = PeerDelivery(
                saver=self.local,
                delivery=gateway.delivery,
                routing=gateway.routing,
                saves_in_flight=gateway.saves_in_flight,
                counters=gateway.counters,
            )

            class Notes:
                """The rule for NOTE."""

                @receives(Note)
                def note(self, session: Session, frame: Frame) -> None:
                    """Store it, deliver it, ack it."""
                    note = Note.decode(frame.body)
                    to = User(session.user.appid, note.reader)
                    peer_delivery.send(session, frame.seq, to, frame.cmd, frame.body, 0)

            gateway.add_rules(gather(Notes()))
            self.check(Note(writer=1, reader=2, content=b"hi"), User(APP, 1), User(APP, 2))
