"""The HTTP API of a gateway: all of its routes, and what tells of them."""

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from gobelieve import __version__
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.protocols.http.docs import page
from gobelieve.protocols.http.openapi import document
from gobelieve.protocols.http.router import Router
from gobelieve.protocols.http.routes import JSON, Access, Answer, Call, Page, Parameter, Route
from gobelieve.protocols.http.shapes import Anything, Integer
from gobelieve.protocols.http.status.pages import Figures

LARGE_ROOM = 1000
"""Rooms are named in the summary from so many sessions on."""

ABOUT = """\
What an app's server asks of a gateway. All calls run at the gateway that gets them; what they \
cause reaches users at other gateways.

The parameters are in the URL. An answer is 200 without a body, or `{"data":...}`; what was not \
done is answered `{"meta":{"code":400,"message":"..."}}`, often with a `detail`. Numbers in JSON \
are integers. A request is sent with `Authorization: Bearer KEY`; below `/api` with the id of an \
app and its secret, as `Authorization: Basic`.

Messages are contents in the form that apps read: JSON, by convention."""


class About:
    """The routes that tell of the gateway itself. `figures`: those of the summary."""

    log = Logger("gobelieve.http")

    def __init__(self, figures: Figures, sessions: Sessions, rooms: Rooms, access: Access) -> None:
        self._figures = figures
        self._sessions = sessions
        self._rooms = rooms
        self._access = access

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(
                "/summary",
                ("GET",),
                "Figures.",
                self._summary,
                None,
                parameters=(
                    Parameter("appid", Integer(), "Figures of this app too.", required=False),
                ),
                gives=Anything({"type": "object"}),
                wraps=False,
            ),
            Route(
                "/stack",
                ("GET", "POST"),
                "Write into the log what the daemon is doing.",
                self._stack,
                self._access,
            ),
        ]

    async def _summary(self, call: Call) -> Answer:
        figures = dict(self._figures())
        appid = call.query["appid"]
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

    async def _stack(self, call: Call) -> Answer:
        for thread, frame in sys._current_frames().items():
            lines = "".join(traceback.format_stack(frame))
            self.log.info("thread {thread}:\n{lines}", thread=thread, lines=lines)
        return None


class Documents:
    """The routes that tell of all routes."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}

    def routes(self) -> list[Route]:
        """Both."""
        json_, html = "/openapi.json", "/docs"
        return [
            self._route(json_, "This document.", JSON),
            self._route(html, "This document, for people.", "text/html; charset=utf-8"),
        ]

    def _route(self, path: str, what: str, kind: str) -> Route:
        async def answer(call: Call) -> Answer:
            return self._pages[path]

        return Route(path, ("GET",), what, answer, None, gives=kind.partition(";")[0])

    def tell_of(self, routes: Sequence[Route]) -> None:
        """These are all."""
        made: dict[str, Any] = document(routes, __version__, ABOUT)
        self._pages["/openapi.json"] = Page(JSON, json.dumps(made).encode())
        self._pages["/docs"] = Page("text/html; charset=utf-8", page(made))


def api_router(routes: Sequence[Route]) -> Router:
    """A router for these, with the documents of them."""
    documents = Documents()
    every = [*routes, *documents.routes()]
    documents.tell_of(every)
    return Router(every)
