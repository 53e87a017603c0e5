"""A real browser without a window, and a client on TCP."""

import os
import signal
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import unquote, urlencode

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.network.processes import AllInOne
from tests.ports import free_port
from tests.servers import missing
from tests.waits import DEADLINE, ProcessTestCase, within

PAGE = Path(__file__).parent / "browser.html"


class Page(Resource):
    """Serves the page to the browser."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("content-type", "text/html; charset=utf-8")
        return PAGE.read_bytes()


class Reports(Resource):
    """Takes the reports of the page."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.queue: DeferredQueue[str] = DeferredQueue()

    def render_GET(self, request: Request) -> bytes:
        self.queue.put(unquote(request.uri.partition(b"?")[2].decode()))
        return b"thanks"


class Chromium(ProcessProtocol):
    """The process of the browser."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.stderr = b""

    def errReceived(self, data: bytes) -> None:
        self.stderr += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


class ChromiumTests(ProcessTestCase):
    """A page that logs in by WebSocket and by engine.io."""

    skip = missing("chromium")

    async def start(self) -> None:
        """Start the daemon and the web server. Only pages of this server may connect."""
        from twisted.internet import reactor

        core: Any = reactor
        self.reports, root = Reports(), Resource()
        root.putChild(b"page", Page())
        root.putChild(b"report", self.reports)
        pages = await TCP4ServerEndpoint(core, 0, interface="127.0.0.1").listen(Site(root))
        self.addCleanup(pages.stopListening)
        self.origin = f"http://127.0.0.1:{pages.getHost().port}"
        self.engine = free_port()
        values = {
            "im.socket_io_address": f"127.0.0.1:{self.engine}",
            "im.ws_allowed_origins": f'["{self.origin}"]',
            "im.ws_ping_interval": 0.5,
            "im.direct_push": "false",
            "im.sync_self": "false",
        }
        self.server = AllInOne(values)
        self.server.daemon.listens.append(self.engine)
        self.addCleanup(self.server.stop)
        await self.server.start()

    async def browse(self, host: str = "127.0.0.1") -> None:
        """Open the page in the browser."""
        from twisted.internet import reactor

        core: Any = reactor
        profile = tempfile.mkdtemp(prefix="gobelieve-chromium-")
        self.addCleanup(rmtree, profile, ignore_errors=True)
        query = {
            "ws": f"ws://127.0.0.1:{self.server.websocket_port}/ws",
            "ws_token": await self.server.token(1002),
            "eio": f"ws://127.0.0.1:{self.engine}/engine.io/?EIO=3&transport=websocket",
            "eio_token": await self.server.token(1003),
        }
        url = f"{self.origin.replace('127.0.0.1', host)}/page?{urlencode(query)}"
        options = ["headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"]
        options += ["no-first-run", "disable-background-networking", f"user-data-dir={profile}"]
        self.chromium = Chromium()
        # In a session of its own, so that the test can kill all its processes.
        words = ["setsid", "chromium", *(f"--{option}" for option in options), url]
        process = core.spawnProcess(self.chromium, "setsid", words, env=os.environ)
        self.addCleanup(self.end, process.pid)

    async def end(self, pid: int) -> None:
        """Kill the browser and all its processes."""
        os.killpg(pid, signal.SIGKILL)
        await within(DEADLINE, self.chromium.ended, "the end of the browser")

    async def reported(self, count: int) -> set[str]:
        """Return this number of reports of the page."""
        found = [await within(DEADLINE, self.reports.queue.get(), "a report") for _ in range(count)]
        return set(found)

    async def test_messages_between_a_page_and_a_client(self) -> None:
        """Messages pass both ways, by both transports, while the server pings."""
        await self.start()
        alice = await self.server.client(1001)
        self.addCleanup(alice.close)
        await alice.connect()
        await self.browse()
        self.assertEqual(await self.reported(2), {"websocket logged in 0", "engine.io logged in 0"})
        for number in range(3):
            for uid, kind in ((1002, "websocket"), (1003, "engine.io")):
                await alice.send(uid, f"héllo {number}")
                back = await within(DEADLINE, alice.receive(), "the page's answer")
                self.assertEqual(
                    (back.sender, back.content.decode()), (uid, f"{kind} got héllo {number}")
                )
        # A gateway that stops closes WebSockets with a code that the browser understands.
        await self.server.daemon.stop()
        closed = {"websocket closed 1000", "engine.io closed 1000"}
        self.assertEqual(await self.reported(2), closed)

    async def test_a_page_of_another_server_is_kept_out(self) -> None:
        """A page of another origin is refused. The browser names the page's origin."""
        await self.start()
        await self.browse("localhost")
        closed = {"websocket closed 1006", "engine.io closed 1006"}
        self.assertEqual(await self.reported(2), closed)
