"""The link's golden frames, which were not made by our codec."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.routing.pushes.payloads import inner_frame
from gobelieve.wire import FrameReader, decode, encode_frame
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, LINK_BODY_LIMIT, Frame
from gobelieve.wire.message import MESSAGES, Message
from gobelieve.wire.publication import Publication, peek
from gobelieve.wire.route import PUBLICATIONS, PUSH, Publish, Push, SeedPublish
from tests.routing.support import Setting

VECTORS: dict[str, dict[str, Any]] = {
    vector["name"]: vector
    for vector in json.loads(
        (Path(__file__).parents[1] / "vectors" / "route-vectors.json").read_text()
    )["vectors"]
}
BAD = {"seed_bad_resubscribe", "bad_negative_inner_length", "bad_outer_too_long"}
HEADER_KEYS = {"cmd", "seq", "version", "flag", "cmd_name"}


def one_frame(name: str) -> Frame:
    """The frame of a vector."""
    (frame,) = FrameReader(LINK_BODY_LIMIT).feed(bytes.fromhex(VECTORS[name]["hex"]))
    return frame


def inner_bytes(fields: dict[str, Any]) -> bytes:
    """The inner frame that a vector describes, by our codec."""
    cls = MESSAGES[fields["cmd"]]
    values = {key: value for key, value in fields.items() if key not in HEADER_KEYS}
    if "notification" in values:
        values["content"] = values.pop("notification")
    if "content" in values:
        values["content"] = values["content"].encode()
    body = cls(**values).encode(fields["version"])
    return encode_frame(cls.number, body, fields["seq"], fields["version"], fields.get("flag", 0))


def described(vector: dict[str, Any]) -> Message:
    """The message that a vector describes."""
    fields = dict(vector["fields"])
    cmd = vector["outer"]["cmd"]
    if "inner" in fields:
        fields["inner"] = inner_bytes(fields["inner"])
    if cmd == PUSH:
        return Push(**fields | {"receivers": tuple(fields["receivers"])})
    if cmd in PUBLICATIONS:
        if vector["era"].startswith("seed"):
            return SeedPublish(**fields)
        fields["timestamp"] = fields.pop("timestamp_ns")
        return Publish(**fields)
    return MESSAGES[cmd](**fields)


class VectorTests(SynchronousTestCase):
    """Recorded frames, read and written."""

    def test_written(self) -> None:
        """Each vector's message is written as its bytes."""
        for name, vector in VECTORS.items():
            if name not in BAD:
                outer = vector["outer"]
                frame = encode_frame(outer["cmd"], described(vector).encode(0), outer["seq"])
                self.assertEqual(frame.hex(), vector["hex"], name)

    def test_read(self) -> None:
        """Each vector's bytes are read as its message."""
        for name, vector in VECTORS.items():
            if name in BAD:
                continue
            frame = one_frame(name)
            self.assertEqual(
                (frame.cmd, frame.seq), (vector["outer"]["cmd"], vector["outer"]["seq"])
            )
            fields = vector["fields"]
            if frame.cmd in PUBLICATIONS:
                publication, head = Publication.read(frame.body, 0), peek(frame.body, 0)
                self.assertEqual(publication[:3], head[:3], name)
                self.assertEqual(
                    publication,
                    (
                        fields["appid"],
                        fields["receiver"],
                        fields["msgid"],
                        0,
                        fields.get("timestamp_ns", 0),
                        inner_bytes(fields["inner"]),
                    ),
                    name,
                )
                self.assertEqual(head[3], fields["inner"]["cmd"], name)
                self.assertEqual(head[4], fields["inner"].get("flag", 0), name)
                decode(inner_frame(publication.inner))
            else:
                self.assertEqual(decode(frame), described(vector), name)

    def test_taken(self) -> None:
        """The router has a rule for each vector, and the rule does not raise."""
        for name in VECTORS.keys() - BAD:
            frame = one_frame(name)
            setting = Setting()
            setting.link().send_frame(frame.cmd, frame.body, frame.version)
            self.assertEqual(setting.counters["unknown_commands"], 0, name)

    def test_refused(self) -> None:
        """The seed's wrong resubscription and a negative length are errors."""
        for name in ("seed_bad_resubscribe", "bad_negative_inner_length"):
            frame = one_frame(name)
            with self.assertRaises(BodyError):
                Setting().link().send_frame(frame.cmd, frame.body, frame.version)

    def test_too_long_for_upstream(self) -> None:
        """A frame that upstream's limit forbids; our own link allows up to 1 MiB."""
        data = bytes.fromhex(VECTORS["bad_outer_too_long"]["hex"])
        reader = FrameReader(CLIENT_BODY_LIMIT)
        reader.feed(data)
        self.assertIsNotNone(reader.error)
        ours = FrameReader(LINK_BODY_LIMIT)
        self.assertEqual(ours.feed(data), [])
        self.assertIsNone(ours.error)
