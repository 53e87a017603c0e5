"""Stored messages as the HTTP API shows them."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import User
from gobelieve.protocols.http.gateway.messages import SCHEMA, shown, wrote
from gobelieve.wire import client, customers
from gobelieve.wire.message import Message
from gobelieve.wire.storage import StoredMessage

BOB = User(7, 2)
CUSTOMER: dict[str, Any] = {"customer_appid": 7, "store_id": 9, "timestamp": 5, "content": b"x"}


def stored(message: Message) -> StoredMessage:
    """Return a message as storage has it."""
    return StoredMessage(32, 1, message.number, message.encode())


class ShownTests(SynchronousTestCase):
    """Messages of users are shown with all their fields."""

    def test_customer_support(self) -> None:
        """The kind that no other test shows."""
        (one,) = shown([stored(customers.CustomerSupport(customer_id=2, seller_id=55, **CUSTOMER))])
        self.assertEqual((one["command"], one["seller_id"], one["content"]), (25, 55, "x"))

    def test_bodies_that_are_too_short(self) -> None:
        """They are left out, since clients cannot read them either."""
        short = [StoredMessage(1, 1, cmd, b"short") for cmd in (4, 7, 8, 21, 24, 25, 64)]
        self.assertEqual(shown(short), [])
        self.assertEqual([wrote(BOB, message) for message in short], [False] * len(short))

    def test_the_schema_names_every_field(self) -> None:
        """The schema has each field that a message can have."""
        kinds = [
            client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b""),
            customers.Customer(customer_id=2, seller_id=55, **CUSTOMER),
            customers.CustomerV2(
                sender_appid=7, sender=2, receiver_appid=8, receiver=3, timestamp=5, content=b""
            ),
        ]
        fields = {field for one in shown(map(stored, kinds)) for field in one}
        self.assertEqual(fields, set(SCHEMA["properties"]))


class WroteTests(SynchronousTestCase):
    """The author of a message is a user."""

    def test_the_author_of_each_kind(self) -> None:
        """Each kind declares its author; system messages have none."""
        for message, mine in (
            (client.IM(sender=2, receiver=3, timestamp=5, msgid=0, content=b""), True),
            (client.IM(sender=3, receiver=2, timestamp=5, msgid=0, content=b""), False),
            (client.GroupIM(sender=2, receiver=9, timestamp=5, msgid=0, content=b""), True),
            (customers.Customer(customer_id=2, seller_id=55, **CUSTOMER), True),
            (customers.Customer(customer_id=3, seller_id=2, **CUSTOMER), False),
            (customers.CustomerSupport(customer_id=3, seller_id=2, **CUSTOMER), True),
            (customers.CustomerSupport(customer_id=2, seller_id=2, **CUSTOMER), False),
            (client.System(content=b"\0" * 40), False),
        ):
            self.assertEqual(wrote(BOB, stored(message)), mine, message)
        for appid, mine in ((7, True), (8, False)):
            later = customers.CustomerV2(
                sender_appid=appid, sender=2, receiver_appid=9, receiver=3, timestamp=5, content=b""
            )
            self.assertEqual(wrote(BOB, stored(later)), mine)
