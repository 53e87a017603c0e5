"""Operations of the app API on groups and their members."""

import json
from typing import Any

from gobelieve.interfaces import Conversation, GroupCard, MemberCard
from gobelieve.protocols.http.app.groups import MAX_GROUP_ID
from gobelieve.wire import client
from tests.fakes.groups import group
from tests.protocols.http.app.app_case import (
    BOB,
    EVERY,
    HASHED,
    AppCase,
    basic,
)
from tests.web import Wire


class GroupRouteTests(AppCase):
    """Groups and members. The tests of the changes look at announcements and their order."""

    NEW: dict[str, Any] = {"master": 1, "name": "g", "super": False, "members": [1, 2]}

    def create(self, **more: Any) -> int:
        response = self.ask("POST", "/groups", {**self.NEW, **more})
        self.assertEqual(response.code, 200, response)
        made: int = response.json["data"]["group_id"]
        return made

    def members(self, group_id: int) -> list[int]:
        return list(self.admin.members[group_id])

    def test_create(self) -> None:
        """Members may be objects; each is in the group once."""
        people = [1, {"uid": 2, "name": "Bob", "avatar": "b", "more": 1}, 2, 1]
        made = self.create(members=people, super=1)
        self.assertEqual(self.admin.cards[made], GroupCard(made, 7, 1, True, "g", ""))
        self.assertEqual(self.members(made), [1, 2])
        self.assertEqual(self.create(group_id=5000), 5000)
        self.assertEqual(self.create(group_id=5000), 5000)
        body = {**self.NEW, "name": "other", "group_id": 5000}
        self.refused(409, "group exists", "POST", "/groups", body)

    def test_invalid_new_groups(self) -> None:
        """A field is missing, invalid or too long."""
        bad: Any
        for bad in ({"members": []},):
            self.refused(400, "invalid param", "POST", "/groups", {**self.NEW, **bad})
        for bad in (
            {"members": None},
            {"members": [0]},
            {"members": ["1"]},
            {"members": [{}]},
            {"master": 0},
            {"name": 5},
            {"group_id": 0},
            # The database counts on from the largest id, for all apps.
            {"group_id": MAX_GROUP_ID + 1},
            {"name": "x" * 256},
            {"members": [{"uid": 1, "name": "x" * 256}]},
            {"members": [{"uid": 1, "avatar": "x" * 2001}]},
        ):
            self.refused(400, "invalid json format", "POST", "/groups", {**self.NEW, **bad})
        self.assertEqual(self.admin.cards, {})

    def test_show(self) -> None:
        """The answer is the group as the database has it."""
        made = self.create()
        self.admin.members[made][2] = MemberCard(2, "Bobby", 1_600_000_000, True)
        found = self.ask("GET", f"/groups/{made}").json["data"]
        self.assertEqual(
            (found["name"], found["master"], found["super"], found["notice"]), ("g", 1, False, "")
        )
        bob = {"uid": 2, "nickname": "Bobby", "timestamp": 1_600_000_000, "mute": True}
        self.assertEqual(found["members"][1], bob)

    def test_changes(self) -> None:
        """Each operation changes what its name says."""
        made = self.create()
        path = f"/groups/{made}"
        self.good("PATCH", path, {"name": "new"})
        self.good("PATCH", path, {"notice": "read"})
        self.good("POST", f"{path}/upgrade")
        self.assertEqual(self.admin.cards[made], GroupCard(made, 7, 1, True, "new", "read"))
        self.good("POST", f"{path}/members", [3, {"uid": 4, "name": "Dan"}])
        self.good("POST", f"{path}/members", {"members": [5], "inviter": {"uid": 1}})
        self.assertEqual(self.members(made), [1, 2, 3, 4, 5])
        self.good("DELETE", f"{path}/members", [3, 4])
        self.good("DELETE", f"{path}/members/5")
        self.assertEqual(self.members(made), [1, 2])
        self.good("PATCH", f"{path}/members/2", {"nickname": "Bobby"})
        self.good("PATCH", f"{path}/members/2", {"mute": True})
        self.assertEqual(self.admin.members[made][2][1:], ("Bobby", 1_700_000_000, True))
        self.good("PATCH", f"{path}/members/2", {"do_not_disturb": True})
        self.assertEqual(self.users.silent, {(BOB, Conversation(0, made))})
        self.good("DELETE", path)
        self.assertEqual(self.admin.cards, {})

    def test_invalid_changes(self) -> None:
        """Two settings at once, none, texts that are too long, too many members."""
        path = f"/groups/{self.create()}"
        bad: Any
        for method, end, bad in (
            ("PATCH", "", {}),
            ("PATCH", "", {"name": "x", "notice": "y"}),
            ("PATCH", "/members/2", {}),
            ("PATCH", "/members/2", {"mute": 1, "nickname": "x"}),
        ):
            self.refused(400, "invalid param", method, path + end, bad)
        too_many = list(range(1, 1002))
        for method, bad in (("POST", too_many), ("DELETE", too_many), ("POST", {"inviter": 1})):
            self.refused(400, "invalid json format", method, path + "/members", bad)
        long = "x" * 256
        for end, bad in (("", {"notice": long}), ("/members/2", {"nickname": long})):
            self.refused(400, "invalid json format", "PATCH", path + end, bad)

    def test_groups_and_members_that_do_not_exist(self) -> None:
        """For an app, the groups of other apps do not exist."""
        mine = self.create()
        self.headers = basic("8", "eight")
        for group_id in (99, mine):
            path = f"/groups/{group_id}"
            for method, end, body in (
                ("GET", "", None),
                ("PATCH", "", {"name": "x"}),
                ("POST", "/upgrade", None),
                ("POST", "/members", [3]),
                ("DELETE", "/members", [1]),
                ("DELETE", "/members/1", None),
                ("PATCH", "/members/1", {"mute": True}),
            ):
                self.refused(404, "group not found", method, path + end, body)
        self.refused(404, "group not found", "DELETE", f"/groups/{mine}")
        self.headers = basic("7", HASHED)
        path = f"/groups/{mine}/members/9"
        self.refused(404, "member not found", "PATCH", path, {"mute": True})
        self.assertEqual(self.members(mine), [1, 2])

    def test_a_site_without_groups(self) -> None:
        """The detail names the setting that is missing."""
        self.open(with_groups=False)
        for method, path, body in EVERY:
            if "/groups" in path:
                found = self.refused(404, "group not found", method, path, body)
                self.assertIn("mysqldb_datasource", found["meta"]["detail"])

    def test_half_done(self) -> None:
        """The answer tells that the change is stored, and how to repeat it."""
        self.telling.failing = {"announcer"}
        found = self.refused(503, "service unavailable", "POST", "/groups", self.NEW)
        self.assertIn("was not announced", found["meta"]["detail"])
        self.telling.failing = set()
        self.assertEqual(self.create(**found["data"]), found["data"]["group_id"])
        self.admin.away = True
        found = self.refused(503, "service unavailable", "POST", "/groups", self.NEW)
        self.assertNotIn("data", found)

    def test_members_are_notified_in_their_queues(self) -> None:
        """The answer comes when the notifications are stored."""
        self.gateway.groups.at_hand[100] = group(100, 1, 2)
        self.admin.cards[100] = GroupCard(100, 7, 1, False, "g", "")
        self.admin.members[100] = {}
        wire = Wire(self.site)
        wire.send("POST", "/api/groups/100/members", b"[3]", self.headers)
        self.assertEqual(wire.responses(), [], "not before it is stored")
        self.store()
        self.done(wire)
        uids = {user.uid for save in self.stored for user in save.queues}  # type: ignore[union-attr]
        self.assertEqual(uids, {1, 2, 3})
        self.assertEqual({save.cmd for save in self.stored}, {client.GroupNotification.number})
        notification = json.loads(self.stored[0].body)["add_member"]
        self.assertEqual((notification["member_id"], notification["group_name"]), (3, "g"))
