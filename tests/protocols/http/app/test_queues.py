"""Operations of the app API that read messages."""

from gobelieve.interfaces import Page
from gobelieve.wire import client, customers
from gobelieve.wire.storage import StoredMessage
from tests.protocols.http.app.app_case import (
    BOB,
    HASHED,
    AppCase,
    basic,
)


class QueueRouteTests(AppCase):
    """Reads of a user's messages."""

    def test_a_user_reads_their_own_messages(self) -> None:
        """The token of the login is the proof; a store narrows the messages of customer service."""
        im = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"im").encode()
        bodies = [(4, im)]
        for store in (8, 9):
            message = customers.Customer(
                customer_appid=7,
                customer_id=2,
                store_id=store,
                seller_id=5,
                timestamp=5,
                content=b"c",
            )
            bodies.append((24, message.encode()))
        messages = [StoredMessage(9 + n, 0, *body) for n, body in enumerate(bodies)]
        self.storage.pages[BOB] = Page(9, 11, False, messages)
        self.gateway.memory.tokens["t-bob"] = BOB
        self.headers = {"authorization": "Bearer t-bob"}
        found = self.ask("GET", "/messages").json["data"]
        self.assertEqual([one["id"] for one in found], [9, 10, 11])
        found = self.ask("GET", "/messages?store=9").json["data"]
        self.assertEqual([one["id"] for one in found], [9, 11])
        for self.headers in ({}, {"authorization": "Bearer nobody"}, basic("7", HASHED)):
            self.refused(401, "unauthorized", "GET", "/messages")

    def test_offline(self) -> None:
        """The count is 1 if there is a new message of another author."""
        wanted = {"data": {"count": 0, "new": 0}}
        self.assertEqual(self.ask("GET", "/messages/offline?uid=2").json, wanted)
        im = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"im").encode()
        self.storage.pages[BOB] = Page(9, 9, False, [StoredMessage(9, 0, 4, im)])
        wanted = {"data": {"count": 1, "new": 1}}
        self.assertEqual(self.ask("GET", "/messages/offline?uid=2").json, wanted)
        self.refused(400, "invalid param", "GET", "/messages/offline")
