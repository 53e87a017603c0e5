"""A storage daemon and its older clients (port 3333), on sockets."""

from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from gobelieve.wire.client import IM
from gobelieve.wire.frames import RPC_BODY_LIMIT, Frame, FrameReader, encode_frame
from gobelieve.wire.message import Message
from gobelieve.wire.older.message_list import unpack_list
from gobelieve.wire.older.storage_clients import (
    Dequeue,
    LoadHistory,
    LoadLatest,
    Result,
    SaveAndEnqueue,
    SaveAndEnqueueGroup,
)
from gobelieve.wire.storage import Fetch, FetchGroup, Page, StoredMessage, unpack_messages
from tests.network.processes import APPID, Daemon, sample, settings
from tests.ports import free_port
from tests.waits import ProcessTestCase

ALICE, BOB, GROUP = 1001, 1002, 500
MANY = 2000


def hello(text: bytes) -> bytes:
    """Return the body of a message from Alice to Bob."""
    return IM(sender=ALICE, receiver=BOB, timestamp=1_700_000_000, msgid=1, content=text).encode()


def saving(body: bytes, uid: int = BOB) -> SaveAndEnqueue:
    """Return a request to store this body for a user."""
    inner = encode_frame(4, body, 5, 1)
    return SaveAndEnqueue(inner=inner, appid=APPID, receiver=uid, device_id=33)


class Peer(Protocol):
    """A client of either port, which sends and receives frames."""

    transport: Any

    def __init__(self) -> None:
        self.frames: DeferredQueue[Frame] = DeferredQueue()
        self.lost: Deferred[None] = Deferred()
        self._reader = FrameReader(RPC_BODY_LIMIT)

    def dataReceived(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            self.frames.put(frame)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)

    def send(self, *requests: Message) -> None:
        """Send all requests in one write."""
        self.transport.write(b"".join(request.frame(9, 0) for request in requests))

    async def result(self) -> bytes:
        """Return the content of the next answer, which must be a success."""
        frame = await self.frames.get()
        assert (frame.cmd, frame.seq, frame.version) == (204, 0, 0), frame
        answer = Result.decode(frame.body)
        assert answer.status == 0, answer
        return answer.content

    async def saved(self) -> int:
        """Return the id in the answer to a save."""
        return int.from_bytes(await self.result(), "big")

    async def listed(self, request: LoadLatest | LoadHistory) -> list[StoredMessage]:
        """Send a request and return the messages in its answer."""
        self.send(request)
        return list(unpack_list(await self.result()))

    async def page(self, ask: Fetch | FetchGroup) -> list[StoredMessage]:
        """Send a request to the RPC port and return the messages in its answer."""
        self.send(ask)
        frame = await self.frames.get()
        return list(unpack_messages(Page.decode(frame.body).messages))


class StorageClientTests(ProcessTestCase):
    """A gobelieve-ims that listens on both ports."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.rpc, self.port = free_port(), free_port()
        self.daemon = Daemon("gobelieve-ims", listens=[self.rpc, self.port])
        own = {
            "rpc_listen": f"127.0.0.1:{self.rpc}",
            "listen": f"127.0.0.1:{self.port}",
            "storage_root": self.daemon.folder / "storage",
        }
        self.daemon.arguments = [*sample("ims"), *settings(own)]
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.check)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    async def connect(self, port: int) -> Peer:
        """Return a connection to a port."""
        from twisted.internet import reactor

        peer: Peer = await connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", port), Peer())
        self.addCleanup(self.disconnect, peer)
        return peer

    async def disconnect(self, peer: Peer) -> None:
        """Close a connection and wait for its end."""
        peer.transport.loseConnection()
        if not peer.lost.called:
            await peer.lost

    async def test_killed_after_the_answer(self) -> None:
        """After SIGKILL, all answered saves are there, by this port and by the RPC port."""
        client = await self.connect(self.port)
        inner = encode_frame(8, hello(b"group"), 5, 1)
        to_group = SaveAndEnqueueGroup(inner=inner, appid=APPID, receiver=GROUP, device_id=33)
        client.send(saving(hello(b"one")), saving(hello(b"two")), to_group)
        first, second, third = [await client.saved() for _ in range(3)]
        await self.daemon.restart(kill=True)

        wanted = [
            StoredMessage(first, 33, 4, hello(b"one")),
            StoredMessage(second, 33, 4, hello(b"two")),
        ]
        client, rpc = await self.connect(self.port), await self.connect(self.rpc)
        latest = LoadLatest(appid=APPID, uid=BOB, limit=10)
        self.assertEqual(await client.listed(latest), wanted[::-1])
        history = LoadHistory(appid=APPID, uid=BOB, msgid=first)
        self.assertEqual(await client.listed(history), wanted[1:])
        fetch = Fetch(appid=APPID, uid=BOB, after=0, limit=0)
        self.assertEqual(await rpc.page(fetch), wanted)
        of_group = FetchGroup(appid=APPID, group_id=GROUP, after=0, joined=0, limit=0)
        wanted = [StoredMessage(third, 33, 8, hello(b"group"))]
        self.assertEqual(await rpc.page(of_group), wanted)

    async def test_a_long_history(self) -> None:
        """A history longer than a page comes in parts: each message once and in order."""
        client = await self.connect(self.port)
        bodies = [hello(b"%5d" % number + bytes(600)) for number in range(MANY)]
        client.send(*[saving(body) for body in bodies])
        sent = [(await client.saved(), body) for body in bodies]
        found: list[StoredMessage] = []
        lengths = []
        after = 0
        while part := await client.listed(LoadHistory(appid=APPID, uid=BOB, msgid=after)):
            found += part[::-1]
            lengths.append(len(part))
            after = part[0].msgid
        self.assertEqual([(one.msgid, one.body) for one in found], sent)
        self.assertGreater(len(lengths), 1)

    async def test_a_client_that_does_not_read(self) -> None:
        """Storage stops reading from a client that does not read, and serves others. Later that
        client gets every answer."""
        client, slow = await self.connect(self.port), await self.connect(self.port)
        client.send(*[saving(hello(bytes(30000))) for _ in range(30)])
        for _ in range(30):
            await client.saved()
        slow.transport.pauseProducing()
        asked = LoadHistory(appid=APPID, uid=BOB, msgid=0)
        slow.send(*[asked] * 30)
        for _ in range(3):
            self.assertEqual(len(await client.listed(asked)), 30)
        dequeue = Dequeue(appid=APPID, receiver=BOB, msgid=1, device_id=3)
        slow.send(dequeue)
        slow.transport.resumeProducing()
        for _ in range(30):
            self.assertEqual(len(list(unpack_list(await slow.result()))), 30)
        self.assertEqual(await slow.result(), b"")

    async def test_nonsense(self) -> None:
        """Malformed bytes end the connection. The daemon logs one line, and serves others."""
        client = await self.connect(self.port)
        # The length that ended the Go server's daemon.
        client.transport.write(encode_frame(200, b"\xff\xff" + bytes(40)))
        await client.lost
        await self.daemon.logged("is cut off")
        client = await self.connect(self.port)
        client.send(saving(hello(b"one")))
        self.assertEqual(await client.saved(), 32)
        self.assertEqual(self.daemon.log.count("is cut off"), 1)

    async def test_stop(self) -> None:
        """On SIGTERM the connections end, and then the daemon."""
        client = await self.connect(self.port)
        client.send(saving(hello(b"one")))
        self.assertEqual(await client.saved(), 32)
        await self.daemon.stop()
        await client.lost
