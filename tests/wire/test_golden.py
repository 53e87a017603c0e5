"""Every message against bytes that were not made by our own codec, both ways."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire import MESSAGES, FrameReader, Message, client, decode, encode_frame
from gobelieve.wire.frames import HEADER_SIZE, RPC_BODY_LIMIT, Frame
from gobelieve.wire.layout import Rest
from gobelieve.wire.route import Delivery, SeedPublish
from tests.wire.golden import GOLDEN

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "client-vectors.json").read_text())

RENAMED = {"platform_id": "platform", "room_id": "room"}
"""Fields that the vectors call otherwise."""

TWINS = {"auth_status_ok_v0_seed", "auth_status_fail_v0_seed", "voip_dial_v1"}

TWIN_CLASSES: list[type[Message]] = [
    client.SeedAuthStatus,
    client.VoipControl,
    SeedPublish,
    Delivery,
]


def one_frame(data: bytes) -> Frame:
    """The only frame in these bytes."""
    (frame,) = FrameReader(RPC_BODY_LIMIT).feed(data)
    return frame


def fields_of(vector: dict[str, Any], cls: type[Message]) -> dict[str, Any]:
    """What the vector says of each field, with bytes where we have bytes."""
    found: dict[str, Any] = {}
    for name, value in vector["fields"].items():
        if name == "content_hex":
            found["content"] = bytes.fromhex(value)
        else:
            found[RENAMED.get(name, name)] = value.encode() if isinstance(value, str) else value
    return found


def class_of(vector: dict[str, Any]) -> type[Message]:
    """The class that the vector shows; two numbers have a second meaning."""
    if vector["name"] not in TWINS:
        return MESSAGES[vector["cmd"]]
    return client.SeedAuthStatus if vector["cmd"] == 3 else client.VoipControl


class ClientVectorsTests(SynchronousTestCase):
    """The published frames of clients and of both eras' servers."""

    def test_decode(self) -> None:
        """Each decodes to the fields that the vector names, and to no others."""
        for vector in VECTORS:
            cls = class_of(vector)
            frame = one_frame(bytes.fromhex(vector["hex"]))
            head = (frame.cmd, frame.version, frame.seq, frame.flag)
            self.assertEqual(
                head, tuple(vector[key] for key in ("cmd", "version", "seq", "flag")), vector
            )
            message = cls.decode(frame.body, frame.version)
            wanted = fields_of(vector, cls)
            for name, value in wanted.items():
                self.assertEqual(getattr(message, name), value, f"{vector['name']}: {name}")
            unnamed = set(cls.names) - set(wanted) - {"gap", "status"}
            self.assertEqual(unnamed, set(), vector["name"])

    def test_encode(self) -> None:
        """The fields encode to the very bytes of the vector."""
        for vector in VECTORS:
            cls = class_of(vector)
            made = cls(**fields_of(vector, cls)).frame(
                seq=vector["seq"], version=vector["version"], flag=vector["flag"]
            )
            self.assertEqual(made.hex(), vector["hex"], vector["name"])

    def test_the_number_64_is_told_apart(self) -> None:
        """By the sender's own ids at the head of the body, and by its length."""
        for vector in VECTORS:
            if vector["cmd"] == 64:
                body = one_frame(bytes.fromhex(vector["hex"])).body
                self.assertEqual(
                    client.is_customer_v2(body, 7, 1), vector["name"] == "customer_v2_v1"
                )
        voip = client.VoipControl(sender=7, receiver=1, content=bytes(19)).encode()
        self.assertFalse(client.is_customer_v2(voip, 7, 1), "35 bytes are too few for customer v2")


class GoldenTests(SynchronousTestCase):
    """The frames that we wrote by hand."""

    def test_both_ways(self) -> None:
        """Bytes to message and message to bytes."""
        for text, message in GOLDEN:
            data = bytes.fromhex(text)
            frame = one_frame(data)
            self.assertEqual(len(frame.body), len(data) - HEADER_SIZE, text)
            self.assertEqual(decode(frame), message, message.label)
            self.assertEqual(message.frame(frame.seq, frame.version, frame.flag), data)

    def test_every_declared_message_has_a_frame(self) -> None:
        """Whoever declares a message adds its bytes to `golden`."""
        shown = {vector["cmd"] for vector in VECTORS} | {message.number for _, message in GOLDEN}
        missing = [cls.label for number, cls in MESSAGES.items() if number not in shown]
        self.assertEqual(missing, [])
        self.assertEqual(shown - set(MESSAGES), set())

    def test_short_bodies(self) -> None:
        """A body cut at any byte is a `BodyError`, or a shorter message if its end is open."""
        samples = [(message, 0) for _, message in GOLDEN]
        for vector in VECTORS:
            cls = class_of(vector)
            samples.append((cls(**fields_of(vector, cls)), vector["version"]))
        for message, version in samples:
            body = message.encode(version)
            rest = len(getattr(message, open_end(type(message)) or "", b""))
            for length in range(len(body)):
                if length >= len(body) - rest:
                    cut = type(message).decode(body[:length], version)
                    self.assertEqual(cut.encode(version), body[:length])
                else:
                    with self.assertRaises(BodyError, msg=f"{message.label} of {length} bytes"):
                        type(message).decode(body[:length], version)

    def test_arbitrary_bodies(self) -> None:
        """No byte pattern makes a decoder raise anything but `BodyError`."""
        for cls in [*MESSAGES.values(), *TWIN_CLASSES]:
            for version in (0, 1, 2, 255):
                for fill in (b"\0", b"\x7f", b"\xff", b"\0\1"):
                    for length in range(70):
                        try:
                            cls.decode((fill * length)[:length], version)
                        except BodyError:
                            continue

    def test_excess_is_dropped(self) -> None:
        """A longer body than the layout is accepted, as both eras do; the excess is not kept."""
        for text, message in GOLDEN:
            if open_end(type(message)) is None:
                body = one_frame(bytes.fromhex(text)).body
                self.assertEqual(type(message).decode(body + b"more"), message, message.label)


def open_end(cls: type[Message]) -> str | None:
    """The name of the field that takes what is left, if the message has one."""
    for name, annotation in cls.__annotations__.items():
        if annotation is Rest:
            return name
    return None


class VersionTests(SynchronousTestCase):
    """What differs between the versions of the protocol."""

    im = client.IM(sender=1, receiver=2, timestamp=3, msgid=4, content=b"hi")

    def test_version_0_has_no_timestamp(self) -> None:
        """Neither in IM nor in GROUP_IM; it reads as 0."""
        body = bytes.fromhex("0000000000000001 0000000000000002 00000004 6869")
        self.assertEqual(self.im.encode(0), body)
        self.assertEqual(client.IM.decode(body, 0).timestamp, 0)
        self.assertEqual(client.GroupIM.decode(body, 0).msgid, 4)

    def test_version_1_has(self) -> None:
        """In both directions."""
        body = bytes.fromhex("0000000000000001 0000000000000002 00000003 00000004 6869")
        for version in (1, 2):
            self.assertEqual(self.im.encode(version), body)
            self.assertEqual(client.IM.decode(body, version), self.im)

    def test_the_status_of_an_ack_came_with_version_2(self) -> None:
        """Clients of older versions unpack exactly four bytes."""
        ack = client.Ack(seq=9, status=64)
        self.assertEqual([len(ack.encode(v)) for v in (0, 1, 2)], [4, 4, 5])
        self.assertEqual(client.Ack.decode(ack.encode(1), 1).status, 0)
        self.assertEqual(client.Ack.decode(ack.encode(2), 2), ack)

    def test_a_version_from_the_future_reads_as_the_newest(self) -> None:
        """The header has room for 255."""
        self.assertEqual(client.IM.decode(self.im.encode(2), 200), self.im)
        self.assertEqual(self.im.encode(200), self.im.encode(2))

    def test_values_that_do_not_fit(self) -> None:
        """Are a `BodyError`, not a traceback of struct."""
        with self.assertRaises(BodyError):
            client.Sync(sync_key=1 << 63).encode()
        with self.assertRaises(BodyError):
            client.AuthToken(platform=1, token=bytes(256), device_id=b"").encode()
        with self.assertRaises(BodyError):
            route_push(65536).encode()

    def test_long_tokens(self) -> None:
        """The lengths in AUTH_TOKEN are unsigned: 255 bytes are well."""
        login = client.AuthToken(platform=2, token=bytes(255), device_id=b"d" * 255)
        self.assertEqual(client.AuthToken.decode(login.encode()), login)

    def test_number_of_a_frame_that_nobody_declared(self) -> None:
        """`decode` says so by `KeyError`; links ask for the allowed commands before."""
        with self.assertRaises(KeyError):
            decode(one_frame(encode_frame(99, b"")))


def route_push(count: int) -> Message:
    """A push to so many."""
    return MESSAGES[134](appid=1, receivers=tuple(range(count)), inner=b"")  # type: ignore[call-arg]
