"""Operations of the app API that write messages."""

from gobelieve.names import Room
from gobelieve.protocols.http.gateway.posting import CONTENT_LIMIT
from gobelieve.wire import client
from tests.fakes.groups import group
from tests.protocols.http.app.app_case import (
    ALICE,
    BOB,
    STORED,
    AppCase,
)


class MessageRouteTests(AppCase):
    """Posts of messages, from users and from the app."""

    def test_peer(self) -> None:
        """The message is stored in the name of the sender."""
        wire = self.begin_ask("/messages/peers", {"sender": 1, "receiver": 2, "content": "grüße"})
        (save,) = self.storage.saves
        im = client.IM.decode(save.body, 1)
        self.assertEqual((save.queues, im.sender), ((BOB, ALICE), 1))
        self.assertEqual(im.content.decode(), "grüße")
        save.answer(0, [(9, 8), (9, 7)])
        self.done(wire)

    def test_system(self) -> None:
        """The message is stored in the queue of its one receiver."""
        wire = self.begin_ask("/messages/systems", {"receiver": 2, "content": "{}"})
        (save,) = self.storage.saves
        self.assertEqual((save.cmd, save.queues), (client.System.number, [BOB]))
        save.answer(0, [(9, 8)])
        self.done(wire)

    def test_to_a_super_group(self) -> None:
        """A super group gets messages and notifications in its own queue."""
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

    def test_groups_that_do_not_exist(self) -> None:
        """A group of another app is not found; one without members is refused."""
        self.gateway.groups.stored |= {8: group(8, 1, appid=8), 9: group(9)}
        for id_ in (8, 99):
            body = {"sender": 1, "receiver": id_, "content": "x"}
            self.refused(404, "group not found", "POST", "/messages/groups", body)
            body = {"group_id": id_, "content": "x"}
            self.refused(404, "group not found", "POST", "/messages/groups/notifications", body)
        body = {"group_id": 9, "content": "x"}
        self.refused(400, "group no member", "POST", "/messages/groups/notifications", body)

    def test_live(self) -> None:
        """A notification and a message in a room reach connected clients, and nothing is stored."""
        alice, bob = self.gateway.client(1), self.gateway.client(2)
        bob.say(client.EnterRoom(room=5))
        self.good("POST", "/messages/notifications", {"receiver": 1, "content": "n"})
        self.good("POST", "/messages/rooms", {"sender": 1, "receiver": 5, "content": "r"})
        self.assertEqual(alice.connection.messages(), [client.Notification(content=b"n")])
        message = client.RoomIM(sender=1, receiver=5, content=b"r")
        self.assertEqual(bob.connection.messages(), [message])
        self.assertIn(Room(7, 5), self.gateway.rooms.rooms())
        self.assertEqual(self.storage.saves, [])

    def test_what_is_not_stored(self) -> None:
        """The content is too large, or storage is away."""
        long = "x" * (CONTENT_LIMIT + 1)
        for path, body in STORED[:2]:
            self.refused(413, "message too large", "POST", path, {**body, "content": long})
            wire = self.begin_ask(path, body)
            save = self.storage.saves.pop()
            save.answer(100, [(0, 0)] * len(save.queues))
            (response,) = wire.responses()
            self.assertEqual((response.code, response.message), (503, "storage away"))
