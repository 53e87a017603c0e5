"""Bad bytes on every port: their connection is cut off, and no other connection notices.

Meanwhile, clients exchange messages through the daemon under attack.
"""

import base64
import os
import struct
from collections.abc import Iterable
from random import Random
from typing import Any

from gobelieve.errors import BodyError
from gobelieve.protocols.storage.listener import StorageListener
from gobelieve.routing.router import RULES
from gobelieve.wire import MESSAGES, client, encode_frame, route, sent_by, storage
from gobelieve.wire.frames import CLIENT_BODY_LIMIT, HEADER, LINK_BODY_LIMIT, PUSH, RPC_BODY_LIMIT
from gobelieve.wire.message import Sender
from gobelieve.wire.publication import Publication
from tests.faults.support import Bare, FaultTestCase, bare, descriptors, pong_in_time
from tests.network.processes import Cluster, Daemon
from tests.servers import missing
from tests.waits import DEADLINE, together, until, within

SEED = 20180401
CLIENT_COMMANDS = sent_by(Sender.CLIENT)
AT_ONCE = 40


def bad_headers(limit: int) -> list[bytes]:
    """Yield headers with lengths that no frame can have, and commands that are allowed everywhere
    or nowhere."""
    lengths = (limit + 1, 0x7FFFFFFF, -1, -limit, -0x80000000)
    return [HEADER.pack(length, 1, 13, 1, 0, 0) for length in lengths]


def shortest(number: int, version: int) -> int:
    """Return the smallest length of a message's body in bytes."""
    for length in range(200):
        try:
            MESSAGES[number].decode(bytes(length), version)
        except BodyError:
            continue
        return length
    raise AssertionError(number)


class BadBytesTestCase(FaultTestCase):
    """A cluster of two gateways, with traffic between them and inside one."""

    skip = missing("redis-server")

    async def begin(self, **options: Any) -> Cluster:
        """Start two gateways, traffic inside the first, and traffic to the second."""
        self.random = Random(SEED)
        cluster = await self.cluster(gateways=2, **options)
        self.clients = [cluster.client(1001), cluster.client(1002)]
        self.clients += [cluster.client(1003), cluster.client(1004, gateway=1)]
        self.near = await self.traffic(*self.clients[:2])
        self.far = await self.traffic(*self.clients[2:])
        self.open = {daemon: descriptors(daemon) for daemon in cluster.daemons}
        return cluster

    async def finish(self, daemon: Daemon) -> None:
        """Check that the traffic continues, that no client was cut off, and that no descriptor
        stays open."""
        await together([self.near.more(), self.far.more()])
        await pong_in_time(*self.clients)
        await until(
            lambda: descriptors(daemon) <= self.open[daemon],
            "the descriptors of bad connections are closed",
        )
        await together([self.near.stop(), self.far.stop()])

    async def cut_off(self, port: int, attacks: Iterable[bytes]) -> None:
        """Check that each of these bytes, on its own connection, ends that connection."""

        async def one(data: bytes) -> None:
            guest = await bare(port)
            guest.write(data)
            await guest.closed()

        attacks = list(attacks)
        for start in range(0, len(attacks), AT_ONCE):
            await together(one(data) for data in attacks[start : start + AT_ONCE])

    async def come_and_go(self, port: int) -> None:
        """Open a thousand connections that send nothing and close at once."""
        for _ in range(10):
            guests = await together(bare(port) for _ in range(100))
            for guest in guests:
                guest.hang_up()

    def noise(self, count: int, size: int) -> list[bytes]:
        """Return random bytes that do not begin with a possible length."""
        return [b"\x80" + self.random.randbytes(size) for _ in range(count)]


class ClientPortTests(BadBytesTestCase):
    """The port for apps."""

    async def logged_in(self, cluster: Cluster, version: int = 2) -> Bare:
        """Return a bare client that is logged in."""
        guest = await bare(cluster.port())
        self.addCleanup(guest.hang_up)
        self.assertEqual(await guest.log_in(cluster.token(1005), version), 0)
        return guest

    async def outcome(self, guest: Bare, frame: bytes) -> str:
        """Return whether a frame is ignored or ends the connection."""
        known = len(guest.frames)
        guest.write(frame + client.Ping().frame(99))
        await guest.until(
            lambda: any(f.cmd == client.Pong.number for f in guest.frames[known:]) or guest.is_gone,
            "a PONG, or the end of the connection",
        )
        return "closed" if guest.is_gone else "passed over"

    async def test_frames_byte_by_byte_and_half_frames(self) -> None:
        """Frames may arrive byte by byte. Half a frame waits, and disturbs no other connection."""
        cluster = await self.begin()
        halves = []
        whole = client.IM(sender=1005, receiver=1006, msgid=1, content=b"byte by byte").frame(7)
        for cut in (1, 4, 11, 12, 13, len(whole) - 1):
            guest = await self.logged_in(cluster)
            for index in range(cut):
                guest.write(whole[index : index + 1])
                await guest.turn()
            halves.append((guest, whole[cut:]))
        await together([self.near.more(), self.far.more()])
        for guest, rest in halves[:3]:
            ack = await guest.request(rest, client.Ack.number)
            self.assertEqual(client.Ack.decode(ack.body), client.Ack(seq=7, status=0))
        for guest, _ in halves:
            guest.hang_up()
        received = await self.everything(cluster.port(), 1006, cluster.token(1006))
        self.assertEqual(received, [b"byte by byte"] * 3)
        await self.finish(cluster.im[0])

    async def test_lengths_and_commands_that_no_client_may_send(self) -> None:
        """Forbidden lengths and commands end the connection, before and after the login."""
        cluster = await self.begin()
        others = [number for number in range(256) if number not in CLIENT_COMMANDS]
        frames = bad_headers(CLIENT_BODY_LIMIT)
        frames += [encode_frame(number, b"", 1, 1) for number in others]
        frames += [encode_frame(number, bytes(100), 1, 1) for number in others]
        await self.cut_off(cluster.port(), frames)
        for frame in (*bad_headers(CLIENT_BODY_LIMIT), encode_frame(storage.Save.number, b"")):
            guest = await self.logged_in(cluster)
            guest.write(frame)
            await guest.closed()
        await self.cut_off(cluster.port(), self.noise(20, 100_000))
        await self.cut_off(cluster.port(), self.noise(2, 10_000_000))
        await self.finish(cluster.im[0])

    async def test_bodies_that_are_too_short_for_their_message(self) -> None:
        """A body that is too short ends the connection. Retired commands, and those of servers, are
        ignored."""
        cluster = await self.begin()
        closed = set()
        for number in sorted(CLIENT_COMMANDS):
            for version in (0, 1, 2):
                for length in {0, max(0, shortest(number, version) - 1)}:
                    guest = await self.logged_in(cluster, version)
                    frame = encode_frame(number, bytes(length), 1, version)
                    if await self.outcome(guest, frame) == "closed":
                        self.assertLess(length, shortest(number, version), MESSAGES[number].label)
                        closed.add(MESSAGES[number].label)
                    guest.hang_up()
        wanted = {"IM", "RT", "INPUTING", "SYNC", "SYNC_KEY", "UNREAD_COUNT"}
        self.assertEqual(wanted - closed, set())
        tokens = [b"", b"\x02", b"\x02\xff", b"\x02\x05abc", b"\x02\x01a\x09x"]
        number = client.AuthToken.number
        await self.cut_off(cluster.port(), [encode_frame(number, body) for body in tokens])
        await self.finish(cluster.im[0])

    async def test_random_bodies(self) -> None:
        """Random bodies of every message, in any length and version and with any flag, harm no
        other client."""
        cluster = await self.begin()
        guest = await self.logged_in(cluster)
        for _ in range(600):
            number = self.random.choice(sorted(CLIENT_COMMANDS))
            body = self.random.randbytes(self.random.choice((1, 7, 8, 15, 16, 20, 24, 40, 300)))
            if self.random.random() < 0.5:
                body = struct.pack(">q", 1005) + body
            version, flag = self.random.randrange(256), self.random.randrange(256)
            if await self.outcome(guest, encode_frame(number, body, -5, version, flag)) == "closed":
                guest = await self.logged_in(cluster, self.random.randrange(3))
        guest.hang_up()
        await self.finish(cluster.im[0])

    async def test_a_thousand_short_connections_and_some_silent_ones(self) -> None:
        """A thousand short connections, and some silent ones, hold up no other client."""
        cluster = await self.begin()
        silent = await together(bare(cluster.port()) for _ in range(20))
        await self.come_and_go(cluster.port())
        await together([self.near.more(), self.far.more()])
        for guest in silent:
            await guest.alive()
            guest.hang_up()
        await self.finish(cluster.im[0])

    async def test_a_connection_without_a_login_is_closed(self) -> None:
        """After `auth_timeout` a connection without a login is closed, whatever it sent."""
        cluster = await self.begin(im={"auth_timeout": 1})
        guests = [await bare(cluster.port()) for _ in range(3)]
        guests += [await bare(cluster.websocket_port()) for _ in range(2)]
        guests[0].write(client.AuthToken(platform=2, token=b"half", device_id=b"").frame(1)[:15])
        guests[1].write(client.Ping().frame(1))
        guests[3].write(handshake())
        for guest in guests:
            await guest.closed()
        await self.finish(cluster.im[0])


class WebPortTests(BadBytesTestCase):
    """The ports for browsers and for the status pages."""

    async def shaken(self, cluster: Cluster) -> Bare:
        """Return a WebSocket connection after its handshake."""
        guest = await bare(cluster.websocket_port())
        self.addCleanup(guest.hang_up)
        guest.write(handshake())
        await guest.until(lambda: b"\r\n\r\n" in guest.data, "the answer to the handshake")
        self.assertIn(b" 101 ", guest.data)
        return guest

    async def test_bytes_that_are_no_websocket_and_messages_that_are_no_frame(self) -> None:
        """Bytes that are no WebSocket, and messages that are no frame, end the connection."""
        cluster = await self.begin()
        port = cluster.websocket_port()
        requests = [
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"\x00\xff\xfe\r\n\r\n",
            b"GET /ws HTTP/1.1\r\n\r\n",
            b"GET /ws HTTP/9.9\r\nHost: \xff\r\n\r\n",
            b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            handshake("/other"),
            handshake().replace(b"Version: 13", b"Version: 99"),
            handshake().replace(b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: !"),
        ]
        await self.cut_off(port, requests)
        ping = client.Ping().frame(1)
        messages = [
            masked(1, b"text"),
            masked(1, b"\xff\xfe"),
            masked(2, b""),
            masked(2, b"short"),
            masked(2, ping[:-1]),
            masked(2, ping + b"more"),
            masked(2, ping + ping),
            masked(2, bytes(40_000)),
            masked(2, encode_frame(storage.Save.number, b"")),
            masked(2, encode_frame(client.AuthToken.number, b"\x02")),
            *(masked(2, header) for header in bad_headers(CLIENT_BODY_LIMIT)),
            masked(3, b"a reserved opcode"),
            bytes((0x82, len(ping))) + ping,
            bytes((0x82, 0xFF)) + b"\xff" * 8,
            bytes((0x09, 0x80)) + bytes(4),
            bytes((0x80, 0x80)) + bytes(4),
            *(self.random.randbytes(5000) for _ in range(10)),
        ]
        for data in messages:
            guest = await self.shaken(cluster)
            guest.write(data + masked(8, b""))
            await guest.closed()
        guest = await self.shaken(cluster)
        for byte in masked(2, ping):
            guest.write(bytes((byte,)))
            await guest.turn()
        known = len(guest.data)
        await guest.until(lambda: len(guest.data) > known, "a PONG")
        guest.hang_up()
        await self.come_and_go(port)
        await self.finish(cluster.im[0])

    async def test_bytes_that_are_no_http(self) -> None:
        """Bytes that are no HTTP get no answer, and end the connection."""
        cluster = await self.begin()
        port = cluster.http_port()
        await self.cut_off(port, [b"\x00\r\n\r\n", b"GET\r\n\r\n", b"X / HTTP/1.0\r\n\r\n"])
        await self.cut_off(port, [b"GET /%ff%00 HTTP/1.0\r\n\r\n", b"GET " + b"/" * 100_000])
        await self.come_and_go(port)
        await self.finish(cluster.im[0])


class StoragePortTests(BadBytesTestCase):
    """The port of storage for gateways."""

    async def test_bad_requests(self) -> None:
        """A bad request ends its own connection. The links of the gateways stay."""
        cluster = await self.begin()
        port = cluster.ims[0].listens[0]
        allowed = StorageListener.allowed
        others = [number for number in range(256) if number not in allowed]
        frames = bad_headers(RPC_BODY_LIMIT)
        frames += [encode_frame(number, b"") for number in others]
        for number in allowed - {storage.Save.number}:
            length = shortest(number, 0)
            frames += [
                encode_frame(number, bytes(cut)) for cut in range(max(0, length - 1), length)
            ]
        item = storage.pack_save(1, 4, storage.USERS, (7, 1), b"body")
        saves = [item[:cut] for cut in (1, 17, 18, 30, len(item) - 1)]
        saves += [item[:10] + b"\xff\xff\xff\xff" + item[14:], item[:14] + b"\xff" * 4 + item[18:]]
        saves += [storage.pack_save(1, 4, kind, (7, 1), b"body") for kind in (2, 255)]
        saves += [storage.pack_save(1, 4, storage.USERS, (), b"body")]
        frames += [encode_frame(storage.Save.number, body) for body in saves]
        await self.cut_off(port, frames)
        await self.cut_off(port, self.noise(20, 100_000))
        await self.come_and_go(port)
        silent = await bare(port)
        half = await bare(port)
        half.write(HEADER.pack(RPC_BODY_LIMIT, 1, storage.Save.number, 0, 0, 0) + bytes(100_000))
        await together([self.near.more(), self.far.more()])
        silent.hang_up()
        half.hang_up()
        await self.finish(cluster.ims[0])
        self.assertNotIn("is gone", cluster.im[0].log)

    async def test_random_saves_are_stored_as_they_are(self) -> None:
        """Random bodies and commands are stored as they are. A client's sync still ends."""
        cluster = await self.begin()
        asker = await bare(cluster.ims[0].listens[0])
        queues = (7, 1005)
        devices, commands = (0, 1, -(2**63)), (4, 8, 7, 21, 24, 25, 64, 0, 255)
        bodies = [b"", b"x", bytes(8), bytes(19), bytes(40), bytes(CLIENT_BODY_LIMIT)]
        items = [
            storage.pack_save(device, cmd, storage.USERS, queues, body)
            for device in devices
            for cmd in commands
            for body in bodies
        ]
        items.append(storage.pack_save(1, 4, storage.USERS, queues, bytes(CLIENT_BODY_LIMIT + 1)))
        answer = await asker.request(encode_frame(storage.Save.number, b"".join(items), 5), 231)
        self.assertEqual((answer.seq, answer.body[-1]), (5, 101))
        asker.hang_up()
        for version in (0, 1, 2):
            guest = await bare(cluster.port())
            self.addCleanup(guest.hang_up)
            self.assertEqual(await guest.log_in(cluster.token(1005), version), 0)
            known = len(guest.frames)
            await guest.request(client.Sync(sync_key=1).frame(2, version), client.SyncEnd.number)
            await guest.alive()
            # Unknown commands are left out. SYNC_BEGIN, SYNC_END and PONG come as well.
            known_to_clients = len(devices) * (len(commands) - 2) * len(bodies)
            self.assertEqual(len(guest.frames) - known, known_to_clients + 3)
            guest.hang_up()
        await self.finish(cluster.ims[0])


class RouterPortTests(BadBytesTestCase):
    """The port of the router for gateways."""

    async def test_bad_gateways(self) -> None:
        """A bad frame ends its own connection. The links of the gateways stay."""
        cluster = await self.begin()
        port = cluster.imr[0].listens[0]
        others = [number for number in range(256) if number not in RULES]
        frames = bad_headers(LINK_BODY_LIMIT)
        frames += [encode_frame(number, b"x") for number in others]
        for number in RULES:
            for version in (0, 1):
                # Only MARK has no body that could be too short.
                short = max(0, shortest(number, version) - 1)
                wrong = {0, short} if shortest(number, version) else ()
                frames += [encode_frame(number, bytes(n), 1, version) for n in wrong]
        await self.cut_off(port, frames)
        await self.cut_off(port, self.noise(20, 100_000))
        await self.come_and_go(port)
        harmless = await bare(port)
        harmless.write(b"".join(encode_frame(number, b"") for number in others))
        half = await bare(port)
        half.write(HEADER.pack(LINK_BODY_LIMIT, 1, route.PUBLISH, 1, 0, 0) + bytes(100_000))
        await together([self.near.more(), self.far.more()])
        self.assertFalse(harmless.is_gone)
        harmless.hang_up()
        half.hang_up()
        await self.finish(cluster.imr[0])
        for im in cluster.im:
            self.assertNotIn("is gone", im.log)

    async def test_nonsense_in_a_good_envelope(self) -> None:
        """Nonsense in a good envelope, for connected users, ends no gateway's link."""
        cluster = await self.begin()
        port = cluster.imr[0].listens[0]
        receivers = [await bare(cluster.port(gateway)) for gateway in (0, 0, 1)]
        for version, (uid, receiver) in enumerate(zip((1005, 1006, 1007), receivers, strict=True)):
            self.addCleanup(receiver.hang_up)
            self.assertEqual(await receiver.log_in(cluster.token(uid), version), 0)
        await within(DEADLINE, self.publish_nonsense(port, receivers), "publications")
        for receiver in receivers:
            await receiver.alive()
            receiver.hang_up()
        await together([self.near.more(), self.far.more()])
        await self.finish(cluster.imr[0])
        for im in cluster.im:
            self.assertNotIn("is gone", im.log)

    async def publish_nonsense(self, port: int, receivers: list[Bare]) -> None:
        """Publish nonsense until each receiver has got some of it.

        The router cuts off the connection. It loses the publications that are written after that,
        and their number depends on the router's load.
        """
        guest = await bare(port)
        sent = 0
        while sent < 2000 or any(len(receiver.frames) <= 50 for receiver in receivers):
            guest.write(self.publication())
            sent += 1
            await guest.turn()
            if guest.is_gone:
                guest = await bare(port)
        guest.hang_up()

    def publication(self) -> bytes:
        """Return a publication for a user who is connected, or a push for one who is not."""
        random = self.random
        cmd = random.choice((4, 8, 17, 29, 33, 64, 3, 13, random.randrange(256)))
        body = random.randbytes(random.choice((0, 4, 8, 16, 24, 40, 500)))
        inner = encode_frame(
            cmd, body, 0, random.choice((0, 1, 2, 255)), random.choice((0, PUSH, 255))
        )
        version = random.randrange(2)
        if random.random() < 0.2:
            kind = route.WidePush if version else route.Push
            push = kind(appid=7, receivers=(1005, 3001, -5), inner=inner)
            return encode_frame(route.PUSH, push.encode(), 1, version)
        key, prev = (random.choice((0, 1, -1, 2**63 - 1, -(2**63))) for _ in range(2))
        publication = Publication(7, random.choice((1005, 1006, 1007)), key, prev, 0, inner)
        outer = random.choice((route.PUBLISH, route.PUBLISH, *route.PUBLICATIONS))
        return encode_frame(outer, publication.body(version), 1, version)


def handshake(path: str = "/ws") -> bytes:
    """Return the first bytes of a browser."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(opcode: int, data: bytes) -> bytes:
    """Return one WebSocket message, masked by zeros."""
    if len(data) < 126:
        length = bytes((0x80 | len(data),))
    elif len(data) < 65536:
        length = b"\xfe" + struct.pack(">H", len(data))
    else:
        length = b"\xff" + struct.pack(">Q", len(data))
    return bytes((0x80 | opcode,)) + length + bytes(4) + data
