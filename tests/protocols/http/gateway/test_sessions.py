"""Operations on a user's sessions at this gateway."""

from gobelieve.names import AckStatus
from gobelieve.wire import client
from tests.protocols.http_case import ApiCase

QUERY = "?appid=7&uid=2"


class SessionTests(ApiCase):
    """The operations ``/online``, ``/kick`` and ``/speak_forbidden``."""

    def test_online(self) -> None:
        """The sessions of the user at this gateway are listed."""
        nobody = self.get(f"/online{QUERY}")
        self.assertEqual(nobody.body, b'{"data":{"online":false,"sessions":[]}}')
        bob = self.gateway.client(2, version=2)
        bob.say(client.EnterRoom(room=5))
        self.assertEqual(
            self.get(f"/online{QUERY}").json,
            {
                "data": {
                    "online": True,
                    "sessions": [
                        {"device": 1, "platform": 2, "version": 2, "forbidden": False, "rooms": [5]}
                    ],
                }
            },
        )

    def test_kick(self) -> None:
        """All sessions of a user end, or those of a device or a platform; other users stay."""
        phone, tablet = self.gateway.client(2), self.gateway.client(2, device="t", platform=1)
        browser = self.gateway.client(2, platform=3)
        alice = self.gateway.client(1)

        def ended() -> list[bool]:
            every = (phone, tablet, browser, alice)
            return [one.connection.ended is not None for one in every]

        self.assertEqual(self.post(f"/kick{QUERY}&device=9").json, {"data": {"kicked": 0}})
        self.assertEqual(self.post(f"/kick{QUERY}&platform=1").json, {"data": {"kicked": 1}})
        self.assertEqual(ended(), [False, True, False, False])
        tablet.hang_up()
        self.assertEqual(self.post(f"/kick{QUERY}&device=0").json, {"data": {"kicked": 1}})
        browser.hang_up()
        self.assertEqual(self.post(f"/kick{QUERY}").json, {"data": {"kicked": 1}})
        self.assertEqual(ended(), [True, True, True, False])
        self.assertEqual(self.gateway.counters["kicked"], 3)

    def test_speak_forbidden(self) -> None:
        """The user's messages in rooms are refused at once, until that is allowed again."""
        bob = self.gateway.client(2, version=2)
        bob.say(client.EnterRoom(room=5))
        for forbidden, status in ((1, AckStatus.FORBIDDEN), (0, 0)):
            response = self.post(f"/speak_forbidden{QUERY}&forbidden={forbidden}")
            self.assertEqual((response.code, response.body), (200, b""))
            seq = bob.say(client.RoomIM(sender=2, receiver=5, content=b"x"))
            self.assertEqual(bob.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual(self.post(f"/speak_forbidden{QUERY}&forbidden=2").code, 400)
