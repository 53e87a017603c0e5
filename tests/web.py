"""Requests to an HTTP site, without a network."""

import json
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.web.server import Site


class Response(NamedTuple):
    """The response to one request."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        assert self.headers.get("content-type") == "application/json", self
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Return the message of an error, whose code must be that of the response."""
        meta = self.json["meta"]
        assert meta["code"] == self.code, self
        return str(meta["message"])


class Wire:
    """One connection of a browser to a site."""

    def __init__(self, site: Site) -> None:
        here = IPv4Address("TCP", "127.0.0.1", 9)
        self.transport = StringTransport(here, here)
        self.channel = site.buildProtocol(here)
        if self.channel is None:
            self.transport.abortConnection()
        else:
            self.channel.makeConnection(self.transport)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send a whole request."""
        said = {"host": "127.0.0.1:6666", **(headers or {})}
        if body is not None:
            said.setdefault("content-length", str(len(body)))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {said[name]}" for name in said), "", ""]
        self.channel.dataReceived("\r\n".join(lines).encode() + (body or b""))

    def responses(self) -> list[Response]:
        """Return the responses that came since the last call."""
        data = self.transport.value()
        self.transport.clear()
        found: list[Response] = []
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            pairs = [line.partition(": ")[::2] for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            length = int(headers.get("content-length", len(data)))
            found.append(Response(int(status.split()[1]), headers, data[:length]))
            data = data[length:]
        return found


def ask(
    site: Site,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Send one request and return its response, which must come at once."""
    wire = Wire(site)
    wire.send(method, path, body, {"connection": "close", **(headers or {})})
    (response,) = wire.responses()
    return response
