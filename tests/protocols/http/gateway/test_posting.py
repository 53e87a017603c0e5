"""Failures of posts: each is answered with its reason."""

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gobelieve.names import AckStatus
from gobelieve.protocols.http.gateway.posting import CONTENT_LIMIT
from gobelieve.wire import client
from tests.protocols.http_case import WITH_KEY, ApiCase
from tests.web import Wire

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


class FailureTests(ApiCase):
    """A post that is not stored is not answered with 200."""

    def test_storage_is_away(self) -> None:
        """The answer is 503 with the reason. The Go server answers 200."""
        for path, body in STORED.items():
            for status, message in (
                (AckStatus.STORAGE_AWAY, "storage away"),
                (AckStatus.STORAGE_FULL, "storage full"),
                (AckStatus.READ_ONLY, "read only"),
            ):
                wire = self.begin_post(path, body)
                save = self.storage.saves.pop()
                save.answer(status, [(0, 0)] * len(save.queues))
                (response,) = wire.responses()
                self.assertEqual((response.code, response.message), (503, message), path)
                self.assertEqual(response.headers["retry-after"], "1")

    def test_content_over_the_limit(self) -> None:
        """The answer is 413, and nothing is stored. Content at the limit is stored."""
        for path in (PEER, "/post_system_message?appid=7&uid=2"):
            response = self.post(path, b"x" * (CONTENT_LIMIT + 1))
            self.assertEqual((response.code, response.message), (413, "message too large"))
        body = {"receiver": 2, "content": "ü" * (CONTENT_LIMIT // 2 + 1)}
        response = self.post("/post_im_message?appid=7&sender=1&class=peer", body)
        self.assertEqual(response.code, 413)
        self.assertEqual(self.storage.saves, [])
        self.begin_post(PEER, b"x" * CONTENT_LIMIT)

    def test_storage_refuses_a_large_message(self) -> None:
        """The answer is 413 as well."""
        wire = self.begin_post(PEER, b"x")
        self.storage.saves[0].answer(AckStatus.TOO_LARGE, [(0, 0), (0, 0)])
        self.assertEqual(wire.responses()[0].code, 413)

    def test_half_a_character(self) -> None:
        """A surrogate in JSON is stored as U+FFFD."""
        body = b'{"receiver":2,"content":"a\\ud800b"}'
        self.begin_post("/post_im_message?appid=7&sender=1&class=peer", body)
        content = client.IM.decode(self.storage.saves[0].body, 1).content
        self.assertEqual(content.decode(), "a\ufffdb")

    def test_the_client_hangs_up(self) -> None:
        """The message is stored, the receiver is notified, and nothing is logged."""
        bob = self.gateway.client(2)
        wire = Wire(self.site)
        wire.send("POST", PEER, b"hi", WITH_KEY)
        wire.channel.connectionLost(Failure(ConnectionLost()))
        self.storage.saves[0].answer(0, [(9, 0), (9, 0)])
        self.assertEqual(bob.messages(), [client.SyncNotify(sync_key=9)])
        self.assertEqual(self.flushLoggedErrors(), [])
