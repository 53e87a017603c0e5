"""Stored messages as the HTTP API shows them."""

from collections.abc import Iterable
from typing import Any

from gobelieve.errors import BodyError
from gobelieve.names import User
from gobelieve.wire.go_json import text
from gobelieve.wire.message import MESSAGES, STORED
from gobelieve.wire.storage import StoredMessage

Shown = dict[str, Any]


def _fields(cmd: int) -> list[str]:
    """Return the names of the fields that are shown of this kind, without the content.

    `msgid`, a number of the client's own, is not shown.
    """
    return [name for name in MESSAGES[cmd].names if name not in ("msgid", _content(cmd))]


def _content(cmd: int) -> str:
    return STORED[cmd].facts.content


def _schema() -> dict[str, Any]:
    """Return the schema of a message, from the declarations of all kinds that are shown."""
    commands = sorted(cmd for cmd, kind in STORED.items() if kind.shown)
    id_ = {"type": "integer", "format": "int64"}
    properties: dict[str, Any] = {
        "command": {
            "enum": commands,
            "description": ", ".join(f"{cmd}: {STORED[cmd].label}" for cmd in commands) + ".",
        },
        "content": {"type": "string"},
        "id": id_,
        "timestamp": {"type": "integer", "description": "In seconds since 1970."},
    }
    for name in dict.fromkeys(name for cmd in commands for name in _fields(cmd)):
        kinds = [str(cmd) for cmd in commands if name in _fields(cmd)]
        properties.setdefault(name, {**id_, "description": f"Only in {', '.join(kinds)}."})
    return {
        "type": "object",
        "required": ["command", "content", "id", "timestamp"],
        "properties": properties,
    }


SCHEMA = _schema()


def shown(messages: Iterable[StoredMessage]) -> list[Shown]:
    """Return the messages that users wrote. System messages and notifications are left out."""
    found: list[Shown] = []
    for msgid, _, cmd, body in messages:
        kind = STORED.get(cmd)
        if kind is None or not kind.shown:
            continue
        try:
            message = MESSAGES[cmd].decode(body)
        except BodyError:
            continue  # clients cannot decode it either
        fields = {name: getattr(message, name) for name in _fields(cmd)}
        found.append({"command": cmd, "content": text(kind.content(body)), "id": msgid, **fields})
    return found


def wrote(user: User, message: StoredMessage) -> bool:
    """Return whether the user wrote the message."""
    kind = STORED.get(message.cmd)
    return kind is not None and kind.is_author(user, message.body)
