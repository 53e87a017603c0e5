"""``gobelieve storage dump``: print the records of the files, one per line, as text or JSON."""

import argparse
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from gobelieve.cli.arguments import whole_number
from gobelieve.errors import WireError
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import QUEUE_KINDS, Record, delivered_body
from gobelieve.storage.tools.contents import DamagedBytes, Item, queue, records
from gobelieve.wire.message import MESSAGES, STORED
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from gobelieve.wire.stored import APP_SERVER

_KINDS = {
    **dict.fromkeys((254, 250, 249, 248), "USER_ENTRY"),
    **dict.fromkeys((252, 247), "GROUP_ENTRY"),
    **dict.fromkeys((255, 253), "OLD_ACK"),
}
LARGEST = (1 << 63) - 1
Fields = dict[str, Any]


def add(actions: Any) -> None:
    about = "show the records, or the messages of one queue"
    action = actions.add_parser("dump", help=about, description=about.capitalize() + ".")
    action.add_argument("directory", metavar="DIR")
    owner_options = action.add_mutually_exclusive_group()
    owner_options.add_argument(
        "--queue", metavar="APPID:UID", type=_owner, help="only this user's queue"
    )
    owner_options.add_argument(
        "--group", metavar="APPID:GID", type=_owner, help="only this super group's"
    )
    action.add_argument(
        "--after", metavar="ID", type=whole_number, default=0, help="only after this id"
    )
    action.add_argument("--limit", metavar="N", type=whole_number, help="at most N")
    action.add_argument("--json", action="store_true", help="one JSON object per line")
    action.add_argument(
        "--headers",
        action="store_true",
        help="print the lengths of messages, not their content",
    )
    action.set_defaults(blocking=dump)


def dump(parsed: argparse.Namespace) -> None:
    """Print one line per record or message."""
    with ReadOnlyFolder(parsed.directory) as folder:
        write = _json if parsed.json else _line
        try:
            for item in islice(_items(folder, parsed), parsed.limit):
                print(write(_fields(item, parsed.headers)))
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of the pipe has ended. Python still flushes stdout at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def kind_name(cmd: int) -> str:
    """Return the name of the records of this cmd."""
    if cmd in _KINDS:
        return _KINDS[cmd]
    # 64 is CUSTOMER_V2 in storage. The other message of this number is never stored.
    return MESSAGES[cmd].label if cmd in MESSAGES else "UNKNOWN"


def _items(folder: ReadOnlyFolder, parsed: argparse.Namespace) -> Iterator[Item | DamagedBytes]:
    owner = parsed.queue or parsed.group
    if owner is None:
        return records(folder, parsed.after)
    appid, id_ = owner
    return queue(folder, USERS if parsed.queue else SUPER_GROUPS, appid, id_, parsed.after)


def _fields(item: Item | DamagedBytes, headers: bool) -> Fields:
    """Return the printed fields of an item, in order."""
    if isinstance(item, DamagedBytes):
        return {"id": item.id, "damage": item.what, "length": item.length}
    record, entry = item.record, item.entry
    if entry is not None and record is not None and record.cmd in QUEUE_KINDS:
        fields: Fields = {"id": item.id, "cmd": record.cmd, "name": kind_name(record.cmd)}
        owner = "user" if entry.kind == USERS else "group"
        fields |= {"appid": entry.appid, owner: entry.owner, "seq": entry.seq}
        fields |= {"message": entry.msgid, "device": entry.device, "prev": entry.prev}
        fields |= {"prev_peer": entry.prev_peer, "prev_batch": entry.prev_batch}
        return fields
    if entry is None:
        fields = {"id": item.id}
    else:
        fields = {"id": entry.msgid, "entry": item.id, "seq": entry.seq, "device": entry.device}
    if record is None:
        return {**fields, "damage": "the message is missing or damaged"}
    fields |= {"cmd": record.cmd, "name": kind_name(record.cmd)}
    return {**fields, **(_head_fields(record) if headers else _message_fields(record))}


def _head_fields(record: Record) -> Fields:
    return {"version": record.version, "flag": record.flag, "length": len(record.body)}


def _message_fields(record: Record) -> Fields:
    """Return the sender, the receiver, the time and the content of a message."""
    fields, content = _parsed(record)
    try:
        return {**fields, "content": content.decode()}
    except UnicodeDecodeError:
        return {**fields, "content_base64": b64encode(content).decode()}


def _parsed(record: Record) -> tuple[Fields, bytes]:
    """Return the fields and the content of a message.

    A message of an unknown kind, or one that is too short for its kind, is content alone.
    """
    kind, body = STORED.get(record.cmd), delivered_body(record)
    if kind is None:
        return {}, record.body
    try:
        message = MESSAGES[record.cmd].decode(body)
    except WireError:
        return {}, record.body
    fields: Fields = {}
    time = kind.time(body)
    if time:
        fields["time"] = time
    parties = {"sender": kind.facts.author, "receiver": kind.facts.addressee}
    for key, party in parties.items():
        if party is not None and party is not APP_SERVER:
            fields[key] = getattr(message, party.uid)
    return fields, kind.content(body)


def _json(fields: Fields) -> str:
    return json.dumps(fields)


def _line(fields: Fields) -> str:
    """Return one line of words. Content is quoted, so that it cannot control the terminal."""
    words = []
    for key, value in fields.items():
        if key == "time":
            value = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        elif key == "content":
            value = repr(value)
        words.append(str(value) if key in ("id", "name") else f"{key} {value}")
    text = " ".join(words)
    coding = sys.stdout.encoding or "utf-8"
    return text.encode(coding, "backslashreplace").decode(coding)


def _owner(text: str) -> tuple[int, int]:
    appid, colon, owner = text.partition(":")
    with suppress(ValueError):
        found = int(appid), int(owner)
        if colon and all(-LARGEST <= number <= LARGEST for number in found):
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is not of the form APPID:ID")
