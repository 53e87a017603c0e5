"""System messages: what the operation takes, answers and refuses."""

from gobelieve.names import AckStatus, User
from tests.gateway.support import APP
from tests.protocols.http_case import ApiCase

ALICE, BOB = User(APP, 1), User(APP, 2)


class SystemPostTests(ApiCase):
    """System messages: ``/post_system_message``."""

    def test_both_forms(self) -> None:
        """One receiver is in the URL, or several are in the body, each counted once."""
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

    def test_some_receivers_do_not_get_it(self) -> None:
        """The answer names them, so that the app can repeat the call for them."""
        body = {"appid": 7, "content": "{}", "receivers": [1, 2]}
        wire = self.begin_post("/post_system_message", body)
        self.storage.saves[0].answer(AckStatus.STORAGE_AWAY, [(9, 8), (0, 0)])
        (response,) = wire.responses()
        self.assertEqual((response.code, response.message), (503, "storage away"))
        self.assertEqual(response.json["data"], {"not_stored": [2]})

    def test_errors(self) -> None:
        """The messages are those of the Go server."""
        for path, body, message in (
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
            self.assertEqual((response.code, response.message), (400, message), path)
        self.assertEqual(self.storage.saves, [])
        nobody = self.post("/post_system_message", {"appid": 7, "content": "", "receivers": []})
        self.assertEqual(nobody.code, 200)
