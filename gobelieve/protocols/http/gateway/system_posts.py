"""System messages of the app, which are stored and pushed."""

from gobelieve.event_loop.waiting import called_back
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.protocols.http.declarations.bodies import JsonBody, TextOrJson
from gobelieve.protocols.http.declarations.fields import Field, Fields
from gobelieve.protocols.http.declarations.parameters import OptionalParameter, Parameters
from gobelieve.protocols.http.declarations.routes import Access, Call, Operation, Route
from gobelieve.protocols.http.declarations.shapes import ListOf, Text
from gobelieve.protocols.http.errors import not_done
from gobelieve.protocols.http.gateway.parameters import ID
from gobelieve.protocols.http.gateway.posting import CONTENT, STORED, encoded, fitting

MAX_RECEIVERS = 10_000
"""Receivers of one system message."""


class Receiver(Parameters):
    """The receiver of a system message whose content is the body."""

    appid = OptionalParameter("appid", ID, "The app, if the body is text.")
    uid = OptionalParameter("uid", ID, "The receiver, if the body is text.")


class SystemMessage(Fields):
    """A system message, and its receivers."""

    appid = Field(ID)
    content = Field(Text())
    receivers = Field(ListOf(ID, MAX_RECEIVERS))


SYSTEM = Operation(
    "POST",
    "/post_system_message",
    "A system message, which is stored and pushed to phones.",
    Receiver,
    TextOrJson(("appid", "uid"), CONTENT, JsonBody(SystemMessage)),
    errors=STORED,
    description="In the form of 2018, `appid` and `uid` are in the URL and the body is the "
    "content; otherwise all is JSON. With several receivers, `data.not_stored` of a 503 lists "
    "those who did not get it. Phones show it if the content is JSON with `push`.",
)


class SystemPosts:
    """Answers posts of system messages."""

    def __init__(self, messages: AppServerMessages) -> None:
        self._messages = messages

    def routes(self, access: Access[None]) -> list[Route]:
        """Return the routes for callers that have access."""
        return [SYSTEM.route(access, self._system)]

    async def _system(self, call: Call[Receiver, bytes | SystemMessage]) -> None:
        if isinstance(call.body, bytes):
            appid, uid = call.parameters.appid, call.parameters.uid
            assert appid is not None and uid is not None, "text comes with both parameters"
            receivers, content = [uid], fitting(call.body)
        else:
            appid, content = call.body.appid, encoded(call.body.content)
            receivers = list(dict.fromkeys(call.body.receivers))
        status, missing = await called_back(self._messages.system, appid, receivers, content)
        if status:
            raise not_done(status, data={"not_stored": list(missing)})
