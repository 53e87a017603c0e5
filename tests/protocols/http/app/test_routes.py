"""The app API: every route, what it takes, answers and refuses; on the real rules, with fakes."""

import json
from base64 import b64encode
from hashlib import md5
from typing import Any

from gobelieve.interfaces import Conversation, GroupCard, MemberCard, Page
from gobelieve.names import Room, User
from gobelieve.protocols.http.app.groups import MAX_GROUP_ID
from gobelieve.protocols.http.gateway.documents import api_router
from gobelieve.protocols.http.gateway.posting import CONTENT_LIMIT
from gobelieve.protocols.http.site import MAX_BODY_BYTES, LimitedSite
from gobelieve.services.http.api import routes
from gobelieve.services.http.app_api import AppApi, AppBackends
from gobelieve.wire import client, customers
from gobelieve.wire.storage import StoredMessage
from tests.fakes.app import MemoryGroupAdmin, MemorySecrets, MemoryTelling, MemoryUserAdmin
from tests.fakes.backends import MemoryTokenAdmin
from tests.fakes.groups import group
from tests.gateway.support import APP, GroupSave, Save
from tests.protocols.http_case import WITH_KEY, ApiCase
from tests.web import Response, Wire

SECRET = "open sesame"
HASHED = md5(SECRET.encode()).hexdigest()
ALICE, BOB = User(APP, 1), User(APP, 2)


def basic(name: str, password: str) -> dict[str, str]:
    """The header."""
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


class AppCase(ApiCase):
    """The server of app 7, whose secret it knows."""

    headers = basic("7", HASHED)

    def begin(self, **config: Any) -> None:
        """With these settings."""
        super().begin(**config)
        self.admin, self.telling = MemoryGroupAdmin(), MemoryTelling()
        self.users = MemoryUserAdmin(self.gateway.memory)
        self.secrets = MemorySecrets({7: ["other", SECRET], 8: ["eight"]})
        self.stored: list[Save | GroupSave] = []
        self.open()

    def open(self, with_groups: bool = True) -> None:
        """The server."""
        backends = AppBackends(
            secrets=self.secrets,
            users=self.users,
            tokens=MemoryTokenAdmin(self.gateway.memory),
            groups=self.admin if with_groups else None,
            announcer=self.telling,
        )
        whole, settings = self.gateway.gateway, self.gateway.settings
        self.app = AppApi(
            settings,
            gateway=whole,
            logins=self.gateway.tokens,
            backends=backends,
            time=self.gateway.clock,
        )
        self.routes = routes(settings, whole, self.storage, dict, self.app)
        self.site = LimitedSite(api_router(self.routes), self.gateway.clock)

    def ask(self, method: str, path: str, body: Any = None) -> Response:
        """What comes back at once."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        wire = Wire(self.site)
        wire.send(method, "/api" + path, content, {"connection": "close", **self.headers})
        self.store()
        (response,) = wire.responses()
        return response

    def store(self) -> None:
        """Storage has all it was asked for."""
        self.gateway.clock.advance(0)
        while self.storage.saves or self.storage.group_saves:
            save: Save | GroupSave
            if self.storage.saves:
                save = self.storage.saves.pop(0)
                save.answer(0, [(9, 8)] * len(save.queues))
            else:
                save = self.storage.group_saves.pop(0)
                save.answer(0, [(9, 8)])
            self.stored.append(save)
            self.gateway.clock.advance(0)

    def begin_ask(self, path: str, body: Any) -> Wire:
        """For what does not come at once."""
        wire = Wire(self.site)
        wire.send("POST", "/api" + path, json.dumps(body).encode(), self.headers)
        self.assertEqual(wire.responses(), [], "it waits for storage")
        return wire

    def good(self, method: str, path: str, body: Any = None) -> None:
        """200 and nothing more."""
        response = self.ask(method, path, body)
        self.assertEqual((response.code, response.body), (200, b""), (path, body))

    def refused(self, code: int, message: str, method: str, path: str, body: Any = None) -> Any:
        """The answer to what is not done."""
        response = self.ask(method, path, body)
        self.assertEqual((response.code, response.message), (code, message), (path, body))
        return response.json


EVERY: list[tuple[str, str, Any]] = [
    ("POST", "/auth/grant", {"uid": 1, "user_name": "Ann"}),
    ("POST", "/auth/revoke", {"uid": 1}),
    ("POST", "/users/1", {"name": "Ann"}),
    ("PATCH", "/users/1", {"mute": True}),
    ("POST", "/groups", {"master": 1, "name": "g", "super": False, "members": [1, 2]}),
    ("GET", "/groups/1", None),
    ("PATCH", "/groups/1", {"name": "h"}),
    ("POST", "/groups/1/upgrade", None),
    ("POST", "/groups/1/members", [3]),
    ("DELETE", "/groups/1/members", [3]),
    ("DELETE", "/groups/1/members/3", None),
    ("PATCH", "/groups/1/members/2", {"nickname": "Bobby"}),
    ("DELETE", "/groups/1", None),
    ("POST", "/messages/notifications", {"receiver": 1, "content": "x"}),
    ("POST", "/messages/rooms", {"sender": 1, "receiver": 5, "content": "x"}),
    ("POST", "/messages/dequeue", None),
    ("GET", "/messages/offline?uid=1", None),
]
STORED: list[tuple[str, Any]] = [
    ("/messages/peers", {"sender": 1, "receiver": 2, "content": "x"}),
    ("/messages/systems", {"receiver": 2, "content": "x"}),
    ("/messages/groups", {"sender": 1, "receiver": 100, "content": "x"}),
    ("/messages/groups/notifications", {"group_id": 100, "content": "x"}),
]


class AccessTests(AppCase):
    """Who may use it."""

    def test_with_the_secret_of_the_app(self) -> None:
        """Its MD5, as upstream's clients send it, or the secret itself; one of several."""
        for self.headers in (
            basic("7", HASHED),
            basic("7", HASHED.upper()),
            basic("7", SECRET),
            basic("7", "other"),
            basic("8", "eight"),
        ):
            self.good("POST", "/messages/dequeue")

    def test_nobody_else(self) -> None:
        """On no route; nothing is done, and what is wrong is not said."""
        for self.headers in (
            {},
            basic("7", "wrong"),
            basic("7", ""),
            basic("7", "eight"),
            basic("9", SECRET),
            basic("x", SECRET),
            basic("7_0", SECRET),
            basic("7" * 30, SECRET),
            {"authorization": "Basic !!!"},
            {"authorization": "Basic " + b64encode(b"7").decode()},
            {"authorization": f"Bearer {SECRET}"},
            {"authorization": basic("7", HASHED)["authorization"].replace("Basic", "Digest")},
        ):
            for method, path, body in [*EVERY, *(("POST", *one) for one in STORED)]:
                self.refused(401, "unauthorized", method, path, body)
        self.assertEqual((self.admin.cards, self.users.granted), ({}, {}))
        self.assertEqual(self.storage.saves, [])
        response = self.ask("POST", "/messages/dequeue")
        self.assertEqual(response.headers["www-authenticate"], 'Basic realm="app"')

    def test_the_key_of_the_other_api_is_none(self) -> None:
        """It belongs to no app."""
        self.headers = WITH_KEY
        self.refused(401, "unauthorized", "POST", "/messages/dequeue")

    def test_when_secrets_cannot_be_read(self) -> None:
        """That is not the app's fault."""
        self.secrets.away = True
        self.refused(503, "service unavailable", "POST", "/messages/dequeue")

    def test_every_route_is_good(self) -> None:
        """In this order; and all are tried here."""
        self.gateway.groups.stored[100] = group(100, 1, 2)
        for method, path, body in EVERY:
            response = self.ask(method, path, body)
            self.assertEqual(response.code, 200, (method, path, response))
        for path, body in STORED:
            self.good("POST", path, body)
        tried = {
            (method, path.partition("?")[0].replace("/1/", "/{}/"))
            for method, path, _ in [*EVERY, *(("POST", *one) for one in STORED)]
        }
        there = {
            (method, route.path)
            for route in self.routes
            for method in route.methods
            if route.path.startswith("/api")
        }
        self.assertEqual(len(tried), len(there) - 1, "all but GET /messages, which is a user's")

    def test_too_long_and_not_json(self) -> None:
        """On every route that takes a body."""
        for method, path, body in [*EVERY, *(("POST", *one) for one in STORED)]:
            if body is None:
                continue
            self.refused(413, "request too large", method, path, b"x" * (MAX_BODY_BYTES + 1))
            for bad in (b"", b"{", b"7", b'"x"', b"[[]]", b'{"uid":"1"}', b'{"master":1.5}'):
                response = self.ask(method, path, bad)
                self.assertEqual(response.code, 400, (path, bad))

    def test_paths_and_methods(self) -> None:
        """What is none of them."""
        self.assertEqual(self.ask("GET", "/nothing").code, 404)
        self.assertEqual(self.ask("GET", "/groups").code, 405)
        for path in ("/groups/x", "/groups/0", "/groups/-1", f"/groups/{1 << 63}"):
            self.refused(400, "invalid param", "DELETE", path)
        self.refused(400, "invalid param", "POST", "/users/x", {"name": "x"})

    def test_escaped_paths(self) -> None:
        """Are the paths that they stand for, with the secret of the app as well."""
        self.good("POST", "/m%65ssages/dequeue")
        self.good("PATCH", "/users/%31", {"name": "Ann"})
        self.assertEqual(self.gateway.memory.names, {ALICE: "Ann"})
        for escaped in ("%zz", "%ff", "1%2Fupgrade", "%2531"):
            self.refused(400, "invalid param", "DELETE", f"/groups/{escaped}")
        self.headers = {}
        for path in ("/m%65ssages/dequeue", "/groups/%31/upgrade", "/groups/%zz/upgrade"):
            self.refused(401, "unauthorized", "POST", path)


class UserTests(AppCase):
    """Tokens and settings."""

    def grant(self, uid: int, **more: Any) -> str:
        response = self.ask("POST", "/auth/grant", {"uid": uid, **more})
        self.assertEqual(response.code, 200)
        token: str = response.json["data"]["token"]
        return token

    def test_grant(self) -> None:
        """The same again while it is good; it logs in."""
        token = self.grant(1, user_name="安", platform_id=2)
        self.assertRegex(token, r"\A[A-Za-z0-9]{30}\Z")
        self.assertEqual(self.grant(1), token)
        self.assertNotEqual(self.grant(2), token)
        self.assertEqual(self.gateway.memory.tokens[token], ALICE)
        self.assertEqual(self.gateway.memory.names, {ALICE: "安"})
        bad: Any
        for bad in ({}, {"uid": 0}, {"uid": -1}, {"uid": 1, "user_name": 5}):
            self.refused(400, "invalid json format", "POST", "/auth/grant", bad)

    def test_revoke_a_user(self) -> None:
        """The token is no good any more, and all connections end, at all gateways."""
        token = self.grant(1)
        phone, other = self.gateway.client(1), self.gateway.client(2)
        self.good("POST", "/auth/revoke", {"uid": 1})
        self.assertNotIn(token, self.gateway.memory.tokens)
        self.assertEqual((phone.connection.ended, other.connection.ended), ("closed", None))
        self.assertEqual(self.users.told, [ALICE])
        self.assertNotEqual(self.grant(1), token)

    def test_revoke_a_token(self) -> None:
        """Only this app's."""
        self.gateway.memory.tokens |= {"t-1": ALICE, "t-2": ALICE, "t-8": User(8, 1)}
        self.good("POST", "/auth/revoke", {"token": "t-1"})
        self.assertEqual(sorted(self.gateway.memory.tokens), ["t-2", "t-8"])
        for token in ("t-1", "t-8", ""):
            self.refused(404, "token not found", "POST", "/auth/revoke", {"token": token})
        for bad in ({}, {"uid": 1, "token": "t-2"}):
            self.refused(400, "invalid param", "POST", "/auth/revoke", bad)

    def test_another_gateway_ends_sessions(self) -> None:
        """What makes no sense is left out."""
        phone, other = self.gateway.client(1), self.gateway.client(1, appid=8)
        ended_sessions = self.gateway.ended_sessions
        for content in (b"", b"7", b"7,x", b"7,1,1", b"7,1\n", b"x" * 1000, b"7,2"):
            ended_sessions.announced(content)
        self.assertIsNone(phone.connection.ended)
        ended_sessions.announced(b"7,1")
        self.assertEqual((phone.connection.ended, other.connection.ended), ("closed", None))
        largest = self.gateway.client((1 << 63) - 1)
        ended_sessions.announced(b"7,%d" % ((1 << 63) - 1))
        self.assertEqual(largest.connection.ended, "closed")

    def test_settings(self) -> None:
        """One at a time, by either method."""
        memory = self.gateway.memory
        for method in ("POST", "PATCH"):
            self.good(method, "/users/1", {"name": "Ann"})
            self.assertEqual(memory.names, {ALICE: "Ann"})
            for yes, no in ((True, False), (1, 0)):
                self.good(method, "/users/1", {"forbidden": yes})
                self.good(method, "/users/1", {"mute": no})
                self.assertEqual((memory.forbidden, memory.notification_on), ({ALICE}, {ALICE}))
                self.good(method, "/users/1", {"forbidden": no})
                self.good(method, "/users/1", {"mute": yes})
                self.assertEqual((memory.forbidden, memory.notification_on), (set(), set()))
            for on in (1, 0):
                self.good(method, "/users/1", {"do_not_disturb": {"peer_uid": 2, "on": on}})
                silent = {(ALICE, Conversation(2, 0))} if on else set()
                self.assertEqual(self.users.silent, silent)

    def test_forbidden_counts_at_once(self) -> None:
        """For who is connected here; others hear of it from Redis."""
        alice = self.gateway.client(1)
        for forbidden in (True, False):
            self.good("PATCH", "/users/1", {"forbidden": forbidden})
            self.assertIs(alice.session.forbidden, forbidden)

    def test_not_exactly_one_setting(self) -> None:
        """And settings that are none."""
        bad: Any
        for bad in ({}, {"avatar": "x"}, {"name": "x", "mute": 1}):
            self.refused(400, "invalid param", "PATCH", "/users/1", bad)
        for bad in ({"forbidden": 2}, {"mute": "yes"}, {"do_not_disturb": {"peer_uid": 2}}):
            self.refused(400, "invalid json format", "PATCH", "/users/1", bad)

    def test_when_the_store_is_away(self) -> None:
        """It is said."""
        self.gateway.memory.away = True
        self.refused(503, "service unavailable", "POST", "/auth/grant", {"uid": 1})
        self.refused(503, "service unavailable", "POST", "/auth/revoke", {"uid": 1})
        self.refused(503, "service unavailable", "PATCH", "/users/1", {"mute": 1})

    def test_where_tokens_are_signed_none_is_granted(self) -> None:
        """It would log nobody in."""
        self.begin(auth_method="jwt", jwt_signing_key="k" * 32)
        for path in ("/auth/grant", "/auth/revoke"):
            self.refused(501, "not implemented", "POST", path, {"uid": 1})


class GroupTests(AppCase):
    """Groups. What is told, and in which order, is tested with the changes themselves."""

    NEW: dict[str, Any] = {"master": 1, "name": "g", "super": False, "members": [1, 2]}

    def create(self, **more: Any) -> int:
        response = self.ask("POST", "/groups", {**self.NEW, **more})
        self.assertEqual(response.code, 200, response)
        made: int = response.json["data"]["group_id"]
        return made

    def members(self, group_id: int) -> list[int]:
        return list(self.admin.members[group_id])

    def test_create(self) -> None:
        """Members may be objects, and are each in it once."""
        people = [1, {"uid": 2, "name": "Bob", "avatar": "b", "more": 1}, 2, 1]
        made = self.create(members=people, super=1)
        self.assertEqual(self.admin.cards[made], GroupCard(made, 7, 1, True, "g", ""))
        self.assertEqual(self.members(made), [1, 2])
        self.assertEqual(self.create(group_id=5000), 5000)
        self.assertEqual(self.create(group_id=5000), 5000)
        body = {**self.NEW, "name": "other", "group_id": 5000}
        self.refused(409, "group exists", "POST", "/groups", body)

    def test_not_a_new_group(self) -> None:
        """What is missing or too long."""
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
        """As it is written."""
        made = self.create()
        self.admin.members[made][2] = MemberCard(2, "Bobby", 1_600_000_000, True)
        found = self.ask("GET", f"/groups/{made}").json["data"]
        self.assertEqual(
            (found["name"], found["master"], found["super"], found["notice"]), ("g", 1, False, "")
        )
        bob = {"uid": 2, "nickname": "Bobby", "timestamp": 1_600_000_000, "mute": True}
        self.assertEqual(found["members"][1], bob)

    def test_changes(self) -> None:
        """Each does what it says."""
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

    def test_not_a_change(self) -> None:
        """Two at once, none, too long, too many."""
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

    def test_what_is_not_there(self) -> None:
        """Another app's group is not."""
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
        """Says why."""
        self.open(with_groups=False)
        for method, path, body in EVERY:
            if "/groups" in path:
                found = self.refused(404, "group not found", method, path, body)
                self.assertIn("mysqldb_datasource", found["meta"]["detail"])

    def test_half_done(self) -> None:
        """The answer says so, and how to order it again."""
        self.telling.failing = {"announcer"}
        found = self.refused(503, "service unavailable", "POST", "/groups", self.NEW)
        self.assertIn("was not announced", found["meta"]["detail"])
        self.telling.failing = set()
        self.assertEqual(self.create(**found["data"]), found["data"]["group_id"])
        self.admin.away = True
        found = self.refused(503, "service unavailable", "POST", "/groups", self.NEW)
        self.assertNotIn("data", found)

    def test_members_are_notified_in_their_queues(self) -> None:
        """What a change says goes through the posts; it is answered when it is stored."""
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
        told = json.loads(self.stored[0].body)["add_member"]
        self.assertEqual((told["member_id"], told["group_name"]), (3, "g"))


class MessageTests(AppCase):
    """Messages."""

    def test_peer(self) -> None:
        """In the name of a user."""
        wire = self.begin_ask("/messages/peers", {"sender": 1, "receiver": 2, "content": "grüße"})
        (save,) = self.storage.saves
        said = client.IM.decode(save.body, 1)
        self.assertEqual((save.queues, said.sender), ((BOB, ALICE), 1))
        self.assertEqual(said.content.decode(), "grüße")
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_system(self) -> None:
        """To one."""
        wire = self.begin_ask("/messages/systems", {"receiver": 2, "content": "{}"})
        (save,) = self.storage.saves
        self.assertEqual((save.cmd, save.queues), (client.System.number, [BOB]))
        save.answer(0, [(9, 8)])
        self.done(wire)

    def test_to_a_super_group(self) -> None:
        """A message, and a notification."""
        self.gateway.groups.stored[100] = group(100, 1, 2, super=True)
        for path, body, cmd in (
            ("/messages/groups", {"sender": 1, "receiver": 100, "content": "x"}, 8),
            ("/messages/groups/notifications", {"group_id": 100, "content": "x"}, 7),
        ):
            wire = self.begin_ask(path, body)
            save = self.storage.group_saves.pop()
            self.assertEqual((save.cmd, save.group), (cmd, (7, 100)))
            save.answer(0, [(9, 8)])
            self.done(wire)

    def test_groups_that_are_none(self) -> None:
        """Another app's, and one without members."""
        self.gateway.groups.stored |= {8: group(8, 1, appid=8), 9: group(9)}
        for id_ in (8, 99):
            body = {"sender": 1, "receiver": id_, "content": "x"}
            self.refused(404, "group not found", "POST", "/messages/groups", body)
            body = {"group_id": id_, "content": "x"}
            self.refused(404, "group not found", "POST", "/messages/groups/notifications", body)
        body = {"group_id": 9, "content": "x"}
        self.refused(400, "group no member", "POST", "/messages/groups/notifications", body)

    def test_live(self) -> None:
        """A notification, and what is said in a room; nothing is stored."""
        alice, bob = self.gateway.client(1), self.gateway.client(2)
        bob.say(client.EnterRoom(room=5))
        self.good("POST", "/messages/notifications", {"receiver": 1, "content": "n"})
        self.good("POST", "/messages/rooms", {"sender": 1, "receiver": 5, "content": "r"})
        self.assertEqual(alice.connection.messages(), [client.Notification(content=b"n")])
        said = client.RoomIM(sender=1, receiver=5, content=b"r")
        self.assertEqual(bob.connection.messages(), [said])
        self.assertIn(Room(7, 5), self.gateway.rooms.rooms())
        self.assertEqual(self.storage.saves, [])

    def test_what_is_not_stored(self) -> None:
        """Too large, or storage is away."""
        long = "x" * (CONTENT_LIMIT + 1)
        for path, body in STORED[:2]:
            self.refused(413, "message too large", "POST", path, {**body, "content": long})
            wire = self.begin_ask(path, body)
            save = self.storage.saves.pop()
            save.answer(100, [(0, 0)] * len(save.queues))
            (response,) = wire.responses()
            self.assertEqual((response.code, response.message), (503, "storage away"))

    def test_a_user_s_own_messages(self) -> None:
        """With the token of the login; of customer service only one store's."""
        im = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"im").encode()
        bodies = [(4, im)]
        for store in (8, 9):
            said = customers.Customer(
                customer_appid=7,
                customer_id=2,
                store_id=store,
                seller_id=5,
                timestamp=5,
                content=b"c",
            )
            bodies.append((24, said.encode()))
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
        """Whether there is something new that another one wrote."""
        wanted = {"data": {"count": 0, "new": 0}}
        self.assertEqual(self.ask("GET", "/messages/offline?uid=2").json, wanted)
        im = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"im").encode()
        self.storage.pages[BOB] = Page(9, 9, False, [StoredMessage(9, 0, 4, im)])
        wanted = {"data": {"count": 1, "new": 1}}
        self.assertEqual(self.ask("GET", "/messages/offline?uid=2").json, wanted)
        self.refused(400, "invalid param", "GET", "/messages/offline")
