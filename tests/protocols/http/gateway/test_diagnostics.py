"""Operations on the gateway itself: figures, and stacks of threads."""

from gobelieve.protocols.http.gateway import diagnostics
from gobelieve.wire import client
from tests.protocols.http_case import ApiCase


class DiagnosticsTests(ApiCase):
    """The operations ``/summary`` and ``/stack``."""

    def test_summary(self) -> None:
        """The figures of an app are added on request; its large rooms are named."""
        self.patch(diagnostics, "LARGE_ROOM", 2)
        self.gateway.client(1, appid=8)
        for uid, room in ((1, 5), (2, 5), (2, 6)):
            self.gateway.client(uid).say(client.EnterRoom(room=room))
        self.assertEqual(self.get("/summary").json, {"figure": 1})
        self.assertEqual(self.get("/summary?appid=0").json, {"figure": 1})
        app = {
            "client_count": 3,
            "clientset_count": 2,
            "room_client_count": 3,
            "room_count": 2,
            "room_stat": {"5": 2},
        }
        self.assertEqual(self.get("/summary?appid=7").json, {"figure": 1, "app_7": app})
        other = self.get("/summary?appid=9").json["app_9"]
        self.assertEqual((other["client_count"], other["room_stat"]), (0, {}))
        self.assertEqual(self.get("/summary?appid=x").code, 400)

    def test_stack(self) -> None:
        """The log shows where each thread is; the answer is empty."""
        lines: list[str] = []
        self.patch(
            diagnostics.Diagnostics,
            "log",
            type("Log", (), {"info": lambda _, format, **f: lines.append(f["lines"])})(),
        )
        response = self.post("/stack")
        self.assertEqual((response.code, response.body), (200, b""))
        self.assertIn("test_diagnostics", "".join(lines))
