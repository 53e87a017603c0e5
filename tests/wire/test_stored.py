"""Facts about stored kinds, compared with numbers that only this test has."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.names import User
from gobelieve.wire import bodies, client, customers
from gobelieve.wire.layout import I32, I64, Rest, Short
from gobelieve.wire.message import GROWN, LIVE, MESSAGES, STORED, Message, Sender, message, since
from gobelieve.wire.stored import Party, Push, Stored
from tests.wire.scratch import scratch_kinds

APP, KEFU = 7, 1453
IM = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi")
CUSTOMER = customers.Customer(
    customer_appid=APP, customer_id=1, store_id=9, seller_id=55, timestamp=5, content=b"hi"
)
SUPPORT = customers.CustomerSupport(
    customer_appid=APP, customer_id=1, store_id=9, seller_id=55, timestamp=5, content=b"hi"
)
V2 = customers.CustomerV2(
    sender_appid=APP, sender=1, receiver_appid=KEFU, receiver=55, timestamp=5, content=b"hi"
)


class TableTests(SynchronousTestCase):
    """The tables that the declarations fill."""

    def test_these_kinds_are_stored(self) -> None:
        """A kind that is missing here would be acked and never delivered."""
        self.assertEqual(set(STORED), {4, 7, 8, 21, 24, 25, 64})

    def test_these_kinds_are_acked(self) -> None:
        """ROOM_IM is acked without being stored."""
        acked = {number for number, cls in MESSAGES.items() if cls.acked}
        self.assertEqual(acked, {4, 8, 20, 24, 25, 64})

    def test_these_kinds_are_live(self) -> None:
        """Number 64 is a stored kind and a live one."""
        self.assertEqual(set(LIVE), {10, 17, 20, 36, 64})
        self.assertIs(LIVE[64], customers.VoipControl)

    def test_system_messages_are_not_in_the_history(self) -> None:
        """All stored kinds but SYSTEM are in the history."""
        left_out = {cmd for cmd, kind in STORED.items() if not kind.facts.in_history}
        self.assertEqual(left_out, {21})

    def test_these_kinds_may_go_unstored(self) -> None:
        """The Go server publishes two kinds of customer service with UNPERSISTENT."""
        self.assertEqual({cmd for cmd, kind in STORED.items() if kind.facts.unpersistent}, {24, 25})

    def test_these_kinds_are_pushed(self) -> None:
        """The push workers of the Go server read these lists."""
        pushed = {
            cmd: kind.facts.pushed_as.queue for cmd, kind in STORED.items() if kind.facts.pushed_as
        }
        self.assertEqual(
            pushed,
            {
                4: "push_queue",
                8: "group_push_queue",
                21: "system_push_queue",
                24: "customer_push_queue",
                25: "customer_push_queue",
                64: "customer_push_queue_v2",
            },
        )

    def test_version_0_lacks_the_timestamp_of_two_kinds(self) -> None:
        """The timestamp is at offset 16 of both kinds."""
        self.assertEqual(GROWN, {4: slice(16, 20), 8: slice(16, 20)})


class BodyTests(SynchronousTestCase):
    """Answers about one body."""

    def test_the_author_of_each_kind(self) -> None:
        """A seller writes CUSTOMER_SUPPORT; nobody writes what the app's server sends."""
        notice, system = client.GroupNotification(content=b"{}"), client.System(content=b"{}")
        authors = ((IM, 1), (CUSTOMER, 1), (SUPPORT, 55), (V2, 1), (notice, 0), (system, 0))
        for sent, uid in authors:
            self.assertEqual(STORED[sent.number].author(sent.encode()), uid, sent)

    def test_the_app_of_an_author(self) -> None:
        """A body that names the app of its author must name the right one."""
        for sent, user, expected in (
            (IM, User(APP, 1), True),
            (IM, User(APP, 2), False),
            (CUSTOMER, User(APP, 1), True),
            (CUSTOMER, User(KEFU, 1), False),
            (CUSTOMER, User(KEFU, 55), False),
            (SUPPORT, User(KEFU, 55), True),
            (SUPPORT, User(APP, 1), False),
            (V2, User(APP, 1), True),
            (V2, User(KEFU, 1), False),
        ):
            found = STORED[sent.number].is_author(user, sent.encode())
            self.assertEqual(found, expected, (sent, user))

    def test_a_customer_with_the_uid_of_the_seller_is_not_the_author(self) -> None:
        """CUSTOMER_SUPPORT does not name the app of the seller."""
        body = customers.CustomerSupport(
            customer_appid=APP, customer_id=55, store_id=9, seller_id=55, timestamp=5, content=b""
        ).encode()
        self.assertFalse(STORED[25].is_author(User(APP, 55), body))
        self.assertTrue(STORED[25].is_author(User(KEFU, 55), body))

    def test_the_time_of_each_kind(self) -> None:
        """Messages from the app's server have no time."""
        for sent in (IM, CUSTOMER, SUPPORT, V2):
            self.assertEqual(STORED[sent.number].time(sent.encode()), 5)
        self.assertIsNone(STORED[21].time(b"x" * 100))
        self.assertIsNone(STORED[4].time(b"x" * 19))

    def test_the_content_of_each_kind(self) -> None:
        """The content is the last field of the body."""
        for sent in (IM, CUSTOMER, SUPPORT, V2, client.System(content=b"hi")):
            self.assertEqual(STORED[sent.number].content(sent.encode()), b"hi")

    def test_a_body_that_is_too_short(self) -> None:
        """A body that is too short has no author and no content."""
        self.assertFalse(STORED[4].is_author(User(APP, 1), IM.encode()[:23]))
        with self.assertRaises(BodyError):
            STORED[4].author(IM.encode()[:23])
        with self.assertRaises(BodyError):
            STORED[4].content(IM.encode()[:23])


class DeclarationTests(SynchronousTestCase):
    """An incomplete declaration fails when it is imported."""

    def test_a_stored_kind_without_an_author(self) -> None:
        """A stored kind needs an author, since nobody could tell whose message it is."""
        with self.assertRaisesRegex(TypeError, "author"):
            Stored()  # type: ignore[call-arg]

    def test_a_field_that_the_layout_does_not_have(self) -> None:
        """The error names the message and the field; the tables stay as they were."""
        for stored, name in (
            (Stored(author=Party("writer")), "writer"),
            (Stored(author=Party("sender", "app")), "app"),
            (Stored(author=Party("sender"), addressee=Party("receiver")), "receiver"),
            (Stored(author=Party("sender"), content="text"), "text"),
            (Stored(author=Party("sender"), time="when"), "when"),
            (Stored(author=Party("sender"), pushed_as=Push("list", store="shop")), "shop"),
        ):
            with self.assertRaisesRegex(TypeError, f"NOTE has no field {name} at a fixed place"):

                @message(70, "NOTE", senders=Sender.CLIENT, stored=stored)
                class Note(Message):
                    sender: I64
                    content: Rest

            self.assertNotIn(70, MESSAGES)
            self.assertNotIn(70, STORED)

    def test_a_field_behind_one_of_variable_length(self) -> None:
        """A field after one of variable length has no fixed place, so it cannot be the author."""
        with self.assertRaisesRegex(TypeError, "NOTE has no field sender at a fixed place"):

            @message(70, "NOTE", senders=Sender.CLIENT, stored=Stored(author=Party("sender")))
            class Note(Message):
                title: Short
                sender: I64
                content: Rest

    def test_a_field_that_came_later(self) -> None:
        """Bodies with a field that came later are converted to version 0 and back."""
        with scratch_kinds():

            @message(70, "NOTE", senders=Sender.CLIENT, stored=Stored(author=Party("sender")))
            class Note(Message):
                sender: I64
                color: I32 = since(1, default=0)
                content: Rest

            note = Note(sender=1, color=3, content=b"hi")
            self.assertEqual(bodies.for_version_0(70, note.encode()), note.encode(0))
            self.assertEqual(
                bodies.from_version_0(70, note.encode(0)), Note(sender=1, content=b"hi").encode()
            )
        self.assertEqual(set(GROWN), {4, 8})
