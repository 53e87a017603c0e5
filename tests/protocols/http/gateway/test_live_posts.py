"""Posts that are not stored: connected clients get them, and nobody else."""

from gobelieve.names import Room
from gobelieve.wire import client
from tests.gateway.support import APP
from tests.protocols.http_case import ApiCase


class LivePostTests(ApiCase):
    """Posts for connected clients."""

    def test_connected_clients_get_them_at_once(self) -> None:
        """The answer does not wait for storage."""
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
        self.assertIn(Room(APP, 5), [sent[1] for sent in self.routing.take()])
