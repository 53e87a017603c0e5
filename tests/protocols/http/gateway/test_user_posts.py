"""Posts between users: what each takes, answers and refuses."""

from gobelieve.names import User
from gobelieve.wire import client
from tests.gateway.support import APP, KEFU
from tests.protocols.http_case import ApiCase

ALICE, BOB = User(APP, 1), User(APP, 2)
PEER = "/post_peer_message?appid=7&sender=1&receiver=2"
STORED = {
    PEER: b"hi",
    "/post_im_message?appid=7&sender=1&class=peer": {"receiver": 2, "content": "hi"},
    "/post_system_message?appid=7&uid=2": b"{}",
    "/post_system_message": {"appid": 7, "content": "{}", "receivers": [2]},
    "/post_customer_message": {
        "customer_appid": 7,
        "customer_id": 1,
        "store_id": 9,
        "seller_id": 55,
        "content": "help",
    },
}


class UserPostTests(ApiCase):
    """Messages from a user to a user."""

    def test_peer(self) -> None:
        """The body is the content; the answer comes when the message is stored."""
        wire = self.begin_post(PEER, "grüße".encode())
        (save,) = self.storage.saves
        im = client.IM.decode(save.body, 1)
        self.assertEqual((save.cmd, save.device, save.queues), (4, 0, (BOB, ALICE)))
        self.assertEqual((im.sender, im.receiver, im.content.decode()), (1, 2, "grüße"))
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_the_form_of_2018(self) -> None:
        """The sender is in the URL, or in the body if the URL has 0."""
        path = "/post_im_message?appid=7&sender={}&class=peer"
        for sender, body in ((1, {"sender": 9}), (0, {"sender": 1})):
            wire = self.begin_post(path.format(sender), {"receiver": 2, "content": "hi", **body})
            save = self.storage.saves.pop()
            self.assertEqual(client.IM.decode(save.body, 1).sender, 1)
            save.answer(0, [(9, 8), (9, 7)])
            self.done(wire)

    def test_the_errors_of_2018(self) -> None:
        """The messages are those of the Go server."""
        body = {"receiver": 2, "content": "hi"}
        for query, message in (
            ("appid=7&sender=x&class=peer", "invalid json format"),
            ("sender=1&class=peer", "invalid json format"),
            ("appid=7&sender=1&class=x", "invalid message class"),
            ("appid=7&sender=1", "invalid message class"),
        ):
            response = self.post(f"/post_im_message?{query}", body)
            self.assertEqual((response.code, response.message), (400, message), query)
        for bad in (b"", b"{", b"[]", {"receiver": 2}, {"receiver": 2.0, "content": ""}):
            response = self.post("/post_im_message?appid=7&sender=1&class=peer", bad)
            self.assertEqual((response.code, response.message), (400, "invalid json format"))

    def test_customers(self) -> None:
        """Each of the two forms has its own answer."""
        wire = self.begin_post("/post_customer_message", STORED["/post_customer_message"])
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, save.queues), (24, (User(KEFU, 55), ALICE)))
        save.answer(0, [(9, 8), (9, 7)])
        self.assertEqual(wire.responses()[0].body, b'{"data":{"seller_id":55}}')
        later = {"sender_appid": 7, "sender": 1, "receiver_appid": KEFU, "receiver": 55}
        wire = self.begin_post("/post_customer_message", {**later, "content": "help"})
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, save.queues), (64, (User(KEFU, 55), ALICE)))
        save.answer(0, [(9, 8), (9, 7)])
        self.assertEqual(wire.responses()[0].body, b'{"data":{}}')

    def test_customers_without_a_seller(self) -> None:
        """The app of one of the two must be the sellers' app."""
        later = {"sender_appid": 7, "sender": 1, "receiver_appid": 8, "receiver": 5, "content": ""}
        first = STORED["/post_customer_message"]
        assert isinstance(first, dict)
        self.assertEqual(self.post("/post_customer_message", later).message, "invalid appid")
        no_seller = self.post("/post_customer_message", {**first, "seller_id": 0})
        self.assertEqual(no_seller.message, "invalid seller")
        self.begin(kefu_appid=0)
        self.assertEqual(self.post("/post_customer_message", first).message, "invalid seller")
        zero = {**later, "receiver_appid": 0}
        self.assertEqual(self.post("/post_customer_message", zero).message, "invalid appid")
        self.assertEqual(self.storage.saves, [])
