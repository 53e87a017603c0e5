"""Posts to groups: what each takes, answers and refuses."""

from gobelieve.names import User
from gobelieve.wire import client
from tests.fakes.groups import group
from tests.gateway.support import APP
from tests.protocols.http_case import ApiCase

ALICE, BOB = User(APP, 1), User(APP, 2)


class GroupPostTests(ApiCase):
    """Messages to groups, and notifications."""

    def test_messages(self) -> None:
        """Messages reach groups of both kinds by both operations."""
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
        """The Go server answers 200, and stores nothing."""
        self.gateway.groups.at_hand[100] = group(100, 1, appid=8)
        for group_id in (99, 100):
            path = f"/post_group_message?appid=7&sender=1&receiver={group_id}"
            response = self.post(path, b"hi")
            self.assertEqual((response.code, response.message), (404, "group not found"))

    def test_groups_are_away(self) -> None:
        """The app can repeat the call when the database is back."""
        self.gateway.groups.away = True
        notice = {"appid": 7, "group_id": 100, "notification": "{}", "members": [1]}
        for path, body in (
            ("/post_group_message?appid=7&sender=1&receiver=100", b"hi"),
            ("/post_group_notification", notice),
        ):
            response = self.post(path, body)
            self.assertEqual((response.code, response.message), (503, "groups away"))

    def test_notification(self) -> None:
        """Members get it, and users that are named; items that are not numbers are ignored."""
        self.gateway.groups.stored[100] = group(100, 1)
        body = {"appid": 7, "group_id": 100, "notification": "{}", "members": [2, "3", None, True]}
        wire = self.begin_post("/post_group_notification", body)
        save = self.storage.saves.pop()
        self.assertEqual((save.cmd, list(save.queues)), (7, [ALICE, BOB]))
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_notification_of_a_super_group(self) -> None:
        """The kind that the gateway knows counts more than the one in the request."""
        self.gateway.groups.stored[111] = group(111, 1, super=True)
        body = {"appid": 7, "group_id": 111, "notification": "{}", "super": False}
        wire = self.begin_post("/post_group_notification", body)
        self.storage.group_saves.pop().answer(0, [(9, 8)])
        self.done(wire)
        body = {"appid": 7, "group_id": 112, "notification": "", "super": True, "members": [3]}
        wire = self.begin_post("/post_group_notification", body)
        self.assertEqual(self.storage.group_saves.pop().group, (APP, 112))

    def test_bad_notifications(self) -> None:
        """The messages are those of the Go server."""
        good = {"appid": 7, "group_id": 100, "notification": "{}", "members": [1]}
        for change, message in (
            ({"members": []}, "group no member"),
            ({"members": None}, "group no member"),
            ({"members": [1.5]}, "invalid json format"),
            ({"super": 1}, "invalid json format"),
            ({"group_id": "100"}, "invalid json format"),
            ({"notification": 1}, "invalid json format"),
        ):
            response = self.post("/post_group_notification", {**good, **change})
            self.assertEqual((response.code, response.message), (400, message), change)
