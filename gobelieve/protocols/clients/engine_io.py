"""The browsers of 2018: engine.io, protocol 3, on WebSocket.

The client opens ``/engine.io/?EIO=3&transport=websocket``, and the server tells the parameters of
the session in a packet ``open``. From then on each side sends packets, one a message. A packet is
its type and its data: a byte and bytes in a binary message, a digit and text in a text message, or
``b``, the digit, and bytes in base64 in a text message. The types are::

    0 open   1 close   2 ping   3 pong   4 message   5 upgrade   6 noop

A frame is the data of one ``message``. The client pings, and the server answers with the same data;
since that is all a client of 2018 says while its user is silent, it counts as a sign of life. A
``message`` of text is none of ours and ends the connection, as does what is no packet.

The transport ``polling`` is not offered: who asks for it is told so in engine.io's words.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable

from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IReactorTime

from gobelieve.interfaces import Turn
from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.protocols.clients.websocket import (
    MAKES_NO_SENSE,
    MAX_MESSAGE_BYTES,
    NOT_ACCEPTABLE,
    BrowserConnection,
    BrowserFactory,
    WebSocketSettings,
)

PATHS = ("/engine.io/", "/engine.io")
PING_INTERVAL, PING_TIMEOUT = 25.0, 60.0
"""Seconds: how often a client is to ping, and how long it waits for an answer."""
MAX_TEXT_BYTES = 2 + (MAX_MESSAGE_BYTES + 2) // 3 * 4
"""``b4`` and the longest frame in base64."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)
BINARY_MESSAGE = bytes((MESSAGE,))

REFUSALS = {
    400: '{"code":3,"message":"Bad request"}',
    405: '{"code":2,"message":"Bad handshake method"}',
    426: '{"code":0,"message":"Transport unknown"}',
}
"""What engine.io says; the statuses are ours."""


class EngineConnection(BrowserConnection):
    """One client at ``/engine.io/``."""

    factory: "EngineFactory"
    _sid = ""
    _in_text = False

    # --- called by autobahn

    def onConnect(self, request: ConnectionRequest) -> tuple[None, dict[str, str]]:
        if request.path not in PATHS:
            raise ConnectionDeny(404, f"there is nothing but {PATHS[0]}")
        asked = request.params
        if asked.get("transport") != ["websocket"] or asked.get("EIO", ["3"]) != ["3"]:
            raise ConnectionDeny(400, "this is protocol 3 on websocket")
        if "sid" in asked:
            raise ConnectionDeny(400, "no session has this id: polling is not offered")
        # Where the client cannot read binary messages.
        self._in_text = "b64" in asked
        self._sid = self.factory.new_sid()
        return None, {"Set-Cookie": f"io={self._sid}; Path={PATHS[0]}; HttpOnly; SameSite=Strict"}

    def onOpen(self) -> None:
        settings = {
            "sid": self._sid,
            "upgrades": [],
            "pingInterval": round(PING_INTERVAL * 1000),
            "pingTimeout": round(PING_TIMEOUT * 1000),
        }
        self._say(OPEN, json.dumps(settings, separators=(",", ":")).encode())
        super().onOpen()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.session is None or self.state != self.STATE_OPEN:
            return
        if isBinary:
            self._packet(payload[0] if payload else -1, payload[1:], True)
        elif payload[:1] != b"b":
            self._packet(_digit(payload[:1]), payload[1:], False)
        else:
            try:
                data = b64decode(payload[2:], validate=True)
            except ValueError:
                self.refuse(MAKES_NO_SENSE, "what should be base64 is not")
            else:
                self._packet(_digit(payload[1:2]), data, True)

    def sendHttpErrorResponse(
        self, code: int, reason: str, responseHeaders: list[tuple[str, str]] | None = None
    ) -> None:
        """In engine.io's words, so that its client tells its user why."""
        status = 400 if code == 426 else code
        body = REFUSALS.get(code, "")
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *(responseHeaders or []),
        ]
        if self.factory.for_anybody:
            # Without credentials: it is the same for everybody, and nothing that is secret.
            headers.append(("Access-Control-Allow-Origin", "*"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.sendData(f"HTTP/1.1 {status} Refused\r\n{head}\r\n{body}".encode())

    # --- for the session

    def send(self, frame: bytes) -> None:
        """Send one frame as one packet; without effect once it is closing."""
        if self.state != self.STATE_OPEN:
            return
        if self._in_text:
            self.sendMessage(b"b4" + b64encode(frame))
        else:
            self.sendMessage(BINARY_MESSAGE + frame, isBinary=True)

    # --- packets

    def _packet(self, kind: int, data: bytes, is_binary: bool) -> None:
        if kind == MESSAGE:
            if is_binary:
                self.frame_received(data)
            else:
                self.refuse(NOT_ACCEPTABLE, "a message of text")
        elif kind == PING:
            self._alive()
            # A ping's data is text, or it is no answer that could be read.
            self._say(PONG, b"" if is_binary else data)
        elif kind in (PONG, UPGRADE, NOOP):
            self._alive()
        elif kind == CLOSE:
            self.close()
        else:
            self.refuse(MAKES_NO_SENSE, "what is no packet")

    def _alive(self) -> None:
        if self.session is not None:
            self.session.seen = self.factory.registry.timeouts.tick

    def _say(self, kind: int, data: bytes) -> None:
        self.sendMessage(b"%d%s" % (kind, data))


def _digit(text: bytes) -> int:
    return int(text) if text.isdigit() else -1


class EngineFactory(BrowserFactory):
    """Clients at ``/engine.io/``. `new_sid` makes the 20 characters that name a session."""

    connection = EngineConnection

    def __init__(
        self,
        turn: Turn,
        registry: ClientRegistry,
        reactor: IReactorTime,
        settings: WebSocketSettings,
        transport_name: str,
        new_sid: Callable[[], str],
    ) -> None:
        super().__init__(turn, registry, reactor, settings, transport_name, MAX_TEXT_BYTES)
        self.new_sid = new_sid
        self.for_anybody = "*" in settings.origins
