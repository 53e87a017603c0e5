"""The browsers of 2018: engine.io, protocol 3, on WebSocket.

The client opens ``/engine.io/?EIO=3&transport=websocket``. The server sends the parameters of the
session in a packet ``open``. From then on each side sends packets, one per WebSocket message.

A packet has a type and data. It has three forms:

- a binary message: a byte and bytes
- a text message: a digit and text
- a text message: ``b``, a digit, and bytes in base64

The types are::

    0 open   1 close   2 ping   3 pong   4 message   5 upgrade   6 noop

A frame is the data of one ``message``. The client pings, and the server answers with the same data.
A client of 2018 sends nothing else while its user is silent, so a ping counts as activity. A
``message`` of text ends the connection, and so does a malformed packet.

The transport ``polling`` is not offered. A client that requests it gets an error of engine.io.
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
"""Seconds between two pings of a client, and seconds that it waits for an answer."""
MAX_TEXT_BYTES = 2 + (MAX_MESSAGE_BYTES + 2) // 3 * 4
"""The longest message in bytes: ``b4`` and the longest frame in base64."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)
BINARY_MESSAGE = bytes((MESSAGE,))

REFUSALS = {
    400: '{"code":3,"message":"Bad request"}',
    405: '{"code":2,"message":"Bad handshake method"}',
    426: '{"code":0,"message":"Transport unknown"}',
}
"""The errors of engine.io, and HTTP statuses that we chose for them."""


class EngineConnection(BrowserConnection):
    """The connection of one client at ``/engine.io/``."""

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
        # The client asks for it if it cannot read binary messages.
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
        """Send an error of engine.io, so that its client shows the reason."""
        status = 400 if code == 426 else code
        body = REFUSALS.get(code, "")
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *(responseHeaders or []),
        ]
        if self.factory.for_anybody:
            # Any page may read the answer, since it contains no secret.
            headers.append(("Access-Control-Allow-Origin", "*"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.sendData(f"HTTP/1.1 {status} Refused\r\n{head}\r\n{body}".encode())

    # --- for the session

    def send(self, frame: bytes) -> None:
        """Send one frame as one packet. A connection that is closing sends nothing."""
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
            # Other data than text could not be sent back in a pong.
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
    """The clients at ``/engine.io/``. `new_sid` returns the 20 characters that name a session."""

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
