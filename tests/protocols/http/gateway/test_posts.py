"""The posts of the HTTP API: what each takes, answers and refuses."""

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gobelieve.names import AckStatus, Room, User
from gobelieve.protocols.http.gateway.parameters import CONTENT_LIMIT
from gobelieve.wire import client
from tests.fakes.groups import group
from tests.gateway.support import APP, KEFU
from tests.protocols.http_case import WITH_KEY, ApiCase
from tests.web import Wire

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


class UserTests(ApiCase):
    """Between users."""

    def test_peer(self) -> None:
        """The body is the content; the answer comes when it is stored."""
        wire = self.begin_post(PEER, "grüße".encode())
        (save,) = self.storage.saves
        im = client.IM.decode(save.body, 1)
        self.assertEqual((save.cmd, save.device, save.queues), (4, 0, (BOB, ALICE)))
        self.assertEqual((im.sender, im.receiver, im.content.decode()), (1, 2, "grüße"))
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_the_form_of_2018(self) -> None:
        """The sender is in the URL, or in the body where that says 0."""
        path = "/post_im_message?appid=7&sender={}&class=peer"
        for sender, body in ((1, {"sender": 9}), (0, {"sender": 1})):
            wire = self.begin_post(path.format(sender), {"receiver": 2, "content": "hi", **body})
            save = self.storage.saves.pop()
            self.assertEqual(client.IM.decode(save.body, 1).sender, 1)
            save.answer(0, [(9, 8), (9, 7)])
            self.done(wire)

    def test_the_errors_of_2018(self) -> None:
        """Upstream's words."""
        body = {"receiver": 2, "content": "hi"}
        for query, said in (
            ("appid=7&sender=x&class=peer", "invalid json format"),
            ("sender=1&class=peer", "invalid json format"),
            ("appid=7&sender=1&class=x", "invalid message class"),
            ("appid=7&sender=1", "invalid message class"),
        ):
            response = self.post(f"/post_im_message?{query}", body)
            self.assertEqual((response.code, response.message), (400, said), query)
        for bad in (b"", b"{", b"[]", {"receiver": 2}, {"receiver": 2.0, "content": ""}):
            response = self.post("/post_im_message?appid=7&sender=1&class=peer", bad)
            self.assertEqual((response.code, response.message), (400, "invalid json format"))

    def test_customers(self) -> None:
        """Both forms, each with its answer."""
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

    def test_customers_of_nobody(self) -> None:
        """One of the two is the sellers' app, and there is one."""
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


class SystemTests(ApiCase):
    """System messages."""

    def test_both_forms(self) -> None:
        """One receiver in the URL, or several in the body; each once."""
        wire = self.begin_post("/post_system_message?appid=7&uid=2", b"text")
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, save.body, save.queues), (21, b"text", [BOB]))
        save.answer(0, [(9, 8)])
        self.done(wire)
        body = {"appid": 7, "content": "text", "receivers": [2, 1, 2]}
        wire = self.begin_post("/post_system_message", body)
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, save.body, save.queues), (21, b"text", [BOB, ALICE]))
        save.answer(0, [(9, 8), (9, 8)])
        self.done(wire)

    def test_some_do_not_get_it(self) -> None:
        """They are named, so that it can be sent to them again."""
        body = {"appid": 7, "content": "{}", "receivers": [1, 2]}
        wire = self.begin_post("/post_system_message", body)
        self.storage.saves[0].answer(AckStatus.STORAGE_AWAY, [(9, 8), (0, 0)])
        (response,) = wire.responses()
        self.assertEqual((response.code, response.message), (503, "storage away"))
        self.assertEqual(response.json["data"], {"not_stored": [2]})

    def test_errors(self) -> None:
        """Upstream's words."""
        for path, body, said in (
            ("/post_system_message?uid=2", b"text", "invalid json format"),
            ("/post_system_message?appid=x&uid=2", b"{}", "invalid query param"),
            ("/post_system_message", b"{}", "invalid json format"),
            (
                "/post_system_message",
                {"appid": 7, "content": "", "receivers": ["1"]},
                "invalid json format",
            ),
        ):
            response = self.post(path, body)
            self.assertEqual((response.code, response.message), (400, said), path)
        self.assertEqual(self.storage.saves, [])
        nobody = self.post("/post_system_message", {"appid": 7, "content": "", "receivers": []})
        self.assertEqual(nobody.code, 200)


class GroupTests(ApiCase):
    """Groups."""

    def test_messages(self) -> None:
        """To both kinds, by both forms."""
        groups = self.gateway.groups.at_hand
        groups[100], groups[111] = group(100, 1, 2), group(111, 1, super=True)
        for path, body in (
            ("/post_group_message?appid=7&sender=9&receiver={}", lambda id_: b"hi"),
            (
                "/post_im_message?appid=7&sender=9&class=group",
                lambda id_: {"receiver": id_, "content": "hi"},
            ),
        ):
            wire = self.begin_post(path.format(100), body(100))
            save = self.storage.saves.pop()
            self.assertEqual((save.cmd, list(save.queues)), (8, [ALICE, BOB]))
            save.answer(0, [(9, 8), (9, 7)])
            self.done(wire)
            wire = self.begin_post(path.format(111), body(111))
            group_save = self.storage.group_saves.pop()
            im = client.GroupIM.decode(group_save.body, 1)
            self.assertEqual((im.sender, im.receiver, im.content), (9, 111, b"hi"))
            group_save.answer(0, [(9, 8)])
            self.done(wire)

    def test_no_such_group(self) -> None:
        """Upstream says 200, and stores nothing."""
        self.gateway.groups.at_hand[100] = group(100, 1, appid=8)
        for group_id in (99, 100):
            path = f"/post_group_message?appid=7&sender=1&receiver={group_id}"
            response = self.post(path, b"hi")
            self.assertEqual((response.code, response.message), (404, "group not found"))

    def test_groups_are_away(self) -> None:
        """A message is not refused for good because a database does not answer."""
        self.gateway.groups.away = True
        notice = {"appid": 7, "group_id": 100, "notification": "{}", "members": [1]}
        for path, body in (
            ("/post_group_message?appid=7&sender=1&receiver=100", b"hi"),
            ("/post_group_notification", notice),
        ):
            response = self.post(path, body)
            self.assertEqual((response.code, response.message), (503, "groups away"))

    def test_notification(self) -> None:
        """For members, and for numbers that are named; what is no number does not count."""
        self.gateway.groups.stored[100] = group(100, 1)
        body = {"appid": 7, "group_id": 100, "notification": "{}", "members": [2, "3", None, True]}
        wire = self.begin_post("/post_group_notification", body)
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, list(save.queues)), (7, [ALICE, BOB]))
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_notification_of_a_super_group(self) -> None:
        """What the group is counts more than what the caller says."""
        self.gateway.groups.stored[111] = group(111, 1, super=True)
        body = {"appid": 7, "group_id": 111, "notification": "{}", "super": False}
        wire = self.begin_post("/post_group_notification", body)
        self.storage.group_saves.pop().answer(0, [(9, 8)])
        self.done(wire)
        body = {"appid": 7, "group_id": 112, "notification": "", "super": True, "members": [3]}
        wire = self.begin_post("/post_group_notification", body)
        self.assertEqual(self.storage.group_saves.pop().group, (APP, 112))

    def test_bad_notifications(self) -> None:
        """Upstream's words."""
        good = {"appid": 7, "group_id": 100, "notification": "{}", "members": [1]}
        for change, said in (
            ({"members": []}, "group no member"),
            ({"members": None}, "group no member"),
            ({"members": [1.5]}, "invalid json format"),
            ({"super": 1}, "invalid json format"),
            ({"group_id": "100"}, "invalid json format"),
            ({"notification": 1}, "invalid json format"),
        ):
            response = self.post("/post_group_notification", {**good, **change})
            self.assertEqual((response.code, response.message), (400, said), change)


class LiveTests(ApiCase):
    """What is not stored."""

    def test_kinds(self) -> None:
        """Are answered at once."""
        bob = self.gateway.client(2)
        bob.say(client.EnterRoom(room=5))
        for path in (
            "/post_notification?appid=7&uid=2",
            "/post_realtime_message?appid=7&sender=1&receiver=2",
            "/post_room_message?appid=7&uid=1&room=5",
        ):
            response = self.post(path, b"text")
            self.assertEqual((response.code, response.body), (200, b""), path)
        self.assertEqual(
            bob.messages(),
            [
                client.Notification(content=b"text"),
                client.RT(sender=1, receiver=2, content=b"text"),
                client.RoomIM(sender=1, receiver=5, content=b"text"),
            ],
        )
        self.assertIn(Room(APP, 5), [told[1] for told in self.routing.take()])


class FailureTests(ApiCase):
    """What is not stored is not said to be."""

    def test_storage_is_away(self) -> None:
        """503 with the reason, for each kind; upstream says 200."""
        for path, body in STORED.items():
            for status, said in (
                (AckStatus.STORAGE_AWAY, "storage away"),
                (AckStatus.STORAGE_FULL, "storage full"),
                (AckStatus.READ_ONLY, "read only"),
            ):
                wire = self.begin_post(path, body)
                save = self.storage.saves.pop()
                save.answer(status, [(0, 0)] * len(save.queues))
                (response,) = wire.responses()
                self.assertEqual((response.code, response.message), (503, said), path)
                self.assertEqual(response.headers["retry-after"], "1")

    def test_too_long(self) -> None:
        """413 before anything is stored; the longest that fits is stored."""
        for path in (PEER, "/post_system_message?appid=7&uid=2"):
            response = self.post(path, b"x" * (CONTENT_LIMIT + 1))
            self.assertEqual((response.code, response.message), (413, "message too large"))
        body = {"receiver": 2, "content": "ü" * (CONTENT_LIMIT // 2 + 1)}
        response = self.post("/post_im_message?appid=7&sender=1&class=peer", body)
        self.assertEqual(response.code, 413)
        self.assertEqual(self.storage.saves, [])
        self.begin_post(PEER, b"x" * CONTENT_LIMIT)

    def test_storage_says_too_large(self) -> None:
        """The same."""
        wire = self.begin_post(PEER, b"x")
        self.storage.saves[0].answer(AckStatus.TOO_LARGE, [(0, 0), (0, 0)])
        self.assertEqual(wire.responses()[0].code, 413)

    def test_half_a_character(self) -> None:
        """JSON can say one by an escape; it is stored as the character for such things."""
        body = b'{"receiver":2,"content":"a\\ud800b"}'
        self.begin_post("/post_im_message?appid=7&sender=1&class=peer", body)
        content = client.IM.decode(self.storage.saves[0].body, 1).content
        self.assertEqual(content.decode(), "a\ufffdb")

    def test_the_client_hangs_up(self) -> None:
        """The message is stored and told all the same, and nothing is complained of."""
        bob = self.gateway.client(2)
        wire = Wire(self.site)
        wire.send("POST", PEER, b"hi", WITH_KEY)
        wire.channel.connectionLost(Failure(ConnectionLost()))
        self.storage.saves[0].answer(0, [(9, 0), (9, 0)])
        self.assertEqual(bob.messages(), [client.SyncNotify(sync_key=9)])
        self.assertEqual(self.flushLoggedErrors(), [])
