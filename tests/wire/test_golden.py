"""Each message is encoded and decoded, and compared with bytes that our codec did not make."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire import MESSAGES, FrameReader, Message, client, customers, decode, encode_frame
from gobelieve.wire.frames import HEADER_SIZE, RPC_BODY_LIMIT, Frame
from gobelieve.wire.layout import Rest
from gobelieve.wire.route import Delivery, SeedPublish
from tests.wire.golden import GOLDEN

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "client-vectors.json").read_text())

RENAMED = {"platform_id": "platform", "room_id": "room"}
"""Fields that have other names in the vectors."""

TWINS = {"auth_status_ok_v0_seed", "auth_status_fail_v0_seed", "voip_dial_v1"}

TWIN_CLASSES: list[type[Message]] = [
    client.SeedAuthStatus,
    customers.VoipControl,
    SeedPublish,
    Delivery,
]


def one_frame(data: bytes) -> Frame:
    """Return the only frame in these bytes."""
    (frame,) = FrameReader(RPC_BODY_LIMIT).feed(data)
    return frame


def fields_of(vector: dict[str, Any], cls: type[Message]) -> dict[str, Any]:
    """Return the values that the vector has for the fields, as bytes where our fields are bytes."""
    found: dict[str, Any] = {}
    for name, value in vector["fields"].items():
        if name == "content_hex":
            found["content"] = bytes.fromhex(value)
        else:
            found[RENAMED.get(name, name)] = value.encode() if isinstance(value, str) else value
    return found


def class_of(vector: dict[str, Any]) -> type[Message]:
    """Return the class of the message in the vector; two numbers have a second meaning."""
    if vector["name"] not in TWINS:
        return MESSAGES[vector["cmd"]]
    return client.SeedAuthStatus if vector["cmd"] == 3 else customers.VoipControl


class ClientVectorsTests(SynchronousTestCase):
    """The published frames of clients, and of the Go server in both versions."""

    def test_decode(self) -> None:
        """Each vector decodes to the fields that it names, and to no others."""
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
        """The fields of each vector encode to its exact bytes."""
        for vector in VECTORS:
            cls = class_of(vector)
            made = cls(**fields_of(vector, cls)).frame(
                seq=vector["seq"], version=vector["version"], flag=vector["flag"]
            )
            self.assertEqual(made.hex(), vector["hex"], vector["name"])

    def test_the_number_64_is_told_apart(self) -> None:
        """The sender's own ids at the beginning of the body, and its length, decide between the
        messages with number 64."""
        for vector in VECTORS:
            if vector["cmd"] == 64:
                body = one_frame(bytes.fromhex(vector["hex"])).body
                self.assertEqual(
                    customers.is_customer_v2(body, 7, 1), vector["name"] == "customer_v2_v1"
                )
        voip = customers.VoipControl(sender=7, receiver=1, content=bytes(19)).encode()
        self.assertFalse(
            customers.is_customer_v2(voip, 7, 1), "35 bytes are too few for customer v2"
        )


class GoldenTests(SynchronousTestCase):
    """The hand-written frames of `golden`."""

    def test_both_ways(self) -> None:
        """Each frame decodes to its message, and the message encodes to the frame."""
        for text, message in GOLDEN:
            data = bytes.fromhex(text)
            frame = one_frame(data)
            self.assertEqual(len(frame.body), len(data) - HEADER_SIZE, text)
            self.assertEqual(decode(frame), message, message.label)
            self.assertEqual(message.frame(frame.seq, frame.version, frame.flag), data)

    def test_every_declared_message_has_a_frame(self) -> None:
        """Every declared message has its bytes in a vector or in `golden`."""
        shown = {vector["cmd"] for vector in VECTORS} | {message.number for _, message in GOLDEN}
        missing = [cls.label for number, cls in MESSAGES.items() if number not in shown]
        self.assertEqual(missing, [])
        self.assertEqual(shown - set(MESSAGES), set())

    def test_short_bodies(self) -> None:
        """A body cut at any byte raises `BodyError`, or is a shorter message if its last field is
        open."""
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
        """No pattern of bytes makes a decoder raise anything but `BodyError`."""
        for cls in [*MESSAGES.values(), *TWIN_CLASSES]:
            for version in (0, 1, 2, 255):
                for fill in (b"\0", b"\x7f", b"\xff", b"\0\1"):
                    for length in range(70):
                        try:
                            cls.decode((fill * length)[:length], version)
                        except BodyError:
                            continue

    def test_excess_is_dropped(self) -> None:
        """A body that is longer than its layout is accepted, and the excess is dropped, as in the
        Go server."""
        for text, message in GOLDEN:
            if open_end(type(message)) is None:
                body = one_frame(bytes.fromhex(text)).body
                self.assertEqual(type(message).decode(body + b"more"), message, message.label)


def open_end(cls: type[Message]) -> str | None:
    """Return the name of the field that takes the rest of the body, or None."""
    for name, annotation in cls.__annotations__.items():
        if annotation is Rest:
            return name
    return None


class VersionTests(SynchronousTestCase):
    """The differences between the versions of the protocol."""

    im = client.IM(sender=1, receiver=2, timestamp=3, msgid=4, content=b"hi")

    def test_version_0_has_no_timestamp(self) -> None:
        """IM and GROUP_IM have no timestamp in version 0; it reads as 0."""
        body = bytes.fromhex("0000000000000001 0000000000000002 00000004 6869")
        self.assertEqual(self.im.encode(0), body)
        self.assertEqual(client.IM.decode(body, 0).timestamp, 0)
        self.assertEqual(client.GroupIM.decode(body, 0).msgid, 4)

    def test_version_1_has(self) -> None:
        """IM has its timestamp in versions 1 and 2, in both directions."""
        body = bytes.fromhex("0000000000000001 0000000000000002 00000003 00000004 6869")
        for version in (1, 2):
            self.assertEqual(self.im.encode(version), body)
            self.assertEqual(client.IM.decode(body, version), self.im)

    def test_the_status_of_an_ack_came_with_version_2(self) -> None:
        """ACK has a status only in version 2. Older clients read exactly four bytes."""
        ack = client.Ack(seq=9, status=64)
        self.assertEqual([len(ack.encode(v)) for v in (0, 1, 2)], [4, 4, 5])
        self.assertEqual(client.Ack.decode(ack.encode(1), 1).status, 0)
        self.assertEqual(client.Ack.decode(ack.encode(2), 2), ack)

    def test_a_version_from_the_future_reads_as_the_newest(self) -> None:
        """A version above 2, up to 255, is treated as 2."""
        self.assertEqual(client.IM.decode(self.im.encode(2), 200), self.im)
        self.assertEqual(self.im.encode(200), self.im.encode(2))

    def test_values_that_do_not_fit(self) -> None:
        """A value that does not fit raises `BodyError`, and no error of struct."""
        with self.assertRaises(BodyError):
            client.Sync(sync_key=1 << 63).encode()
        with self.assertRaises(BodyError):
            client.AuthToken(platform=1, token=bytes(256), device_id=b"").encode()
        with self.assertRaises(BodyError):
            route_push(65536).encode()

    def test_long_tokens(self) -> None:
        """The lengths in AUTH_TOKEN are unsigned, so 255 bytes are allowed."""
        login = client.AuthToken(platform=2, token=bytes(255), device_id=b"d" * 255)
        self.assertEqual(client.AuthToken.decode(login.encode()), login)

    def test_number_of_a_frame_that_nobody_declared(self) -> None:
        """`decode` raises `KeyError` for an unknown number; links check the allowed commands
        before."""
        with self.assertRaises(KeyError):
            decode(one_frame(encode_frame(99, b"")))


def route_push(count: int) -> Message:
    """Return a PUSH to `count` users."""
    return MESSAGES[134](appid=1, receivers=tuple(range(count)), inner=b"")  # type: ignore[call-arg]
