"""Operations on the gateway itself: its figures, and what it is doing."""

import sys
import traceback
from collections.abc import Mapping

from twisted.logger import Logger

from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.protocols.http.declarations.answers import PlainJson
from gobelieve.protocols.http.declarations.parameters import OptionalParameter, Parameters
from gobelieve.protocols.http.declarations.routes import Access, Call, OpenToAll, Operation, Route
from gobelieve.protocols.http.declarations.shapes import Integer
from gobelieve.protocols.http.status.pages import Figures

LARGE_ROOM = 1000
"""Sessions from which on a room is named in the summary."""


class OfApp(Parameters):
    """The app whose figures are shown besides."""

    appid = OptionalParameter("appid", Integer(), "Adds the figures of this app.")


SUMMARY = Operation(
    "GET", "/summary", "The figures of the gateway.", OfApp, answer=PlainJson({"type": "object"})
)
STACK = Operation("GET POST", "/stack", "Write the stack of each thread into the log.")


class Diagnostics:
    """Answers requests about the gateway itself."""

    log = Logger("gobelieve.http")

    def __init__(self, figures: Figures, sessions: Sessions, rooms: Rooms) -> None:
        self._figures = figures
        self._sessions = sessions
        self._rooms = rooms

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes. The summary is open to all, the rest to callers that have access."""
        return [SUMMARY.route(OpenToAll(), self._summary), STACK.route(access, self._stack)]

    async def _summary(self, call: Call[OfApp]) -> Mapping[str, object]:
        figures = dict(self._figures())
        appid = call.parameters.appid
        if appid:
            figures[f"app_{appid}"] = self._app(appid)
        return figures

    def _app(self, appid: int) -> Mapping[str, object]:
        users = [user for user in self._sessions.users() if user.appid == appid]
        sizes = {
            room.room_id: len(self._rooms.of(room))
            for room in self._rooms.rooms()
            if room.appid == appid
        }
        return {
            "client_count": sum(len(self._sessions.of(user)) for user in users),
            "clientset_count": len(users),
            "room_client_count": sum(sizes.values()),
            "room_count": len(sizes),
            "room_stat": {str(id_): size for id_, size in sizes.items() if size >= LARGE_ROOM},
        }

    async def _stack(self, call: Call) -> None:
        for thread, frame in sys._current_frames().items():
            lines = "".join(traceback.format_stack(frame))
            self.log.info("thread {thread}:\n{lines}", thread=thread, lines=lines)
