"""The README's programs and commands work."""

import re
import shutil
import sys

from twisted.internet.utils import getProcessOutputAndValue

from tests.network.processes import ROOT, AllInOne
from tests.servers import missing
from tests.waits import ProcessTestCase

README = (ROOT / "README.md").read_text("utf-8")


class ReadmeTests(ProcessTestCase):
    """Programs and commands as a reader copies them."""

    async def run_program(self, name: str, port: int, *arguments: str) -> str:
        """Run a program of the README with this port, and return its output."""
        match = re.search(rf"`{name}`.*?```python\n(.*?)```", README, re.S)
        assert match is not None, f"the README has no {name}"
        text = match[1]
        self.assertIn("127.0.0.1:23000", text)
        program = text.replace(":23000", f":{port}")
        return await self.output(sys.executable, "-c", program, *arguments)

    async def output(self, *command: str) -> str:
        """Run a command, check that it succeeds without errors, and return its output."""
        out, err, code = await getProcessOutputAndValue(
            command[0], command[1:], env={"PYTHONPATH": str(ROOT)}
        )
        self.assertEqual((code, err), (0, b""), out)
        text: str = out.decode()
        return text

    async def token(self, server: AllInOne, uid: int) -> str:
        """Create a token by the README's command, while the server runs."""
        arguments = ["token", "create", "--app", "7", "--uid", str(uid)]
        return (await self.command(server, *arguments)).strip()

    async def command(self, server: AllInOne, *arguments: str) -> str:
        """Run the README's command while the server runs, and return its output."""
        command = [sys.executable, "-m", "gobelieve.cli", *arguments]
        return await self.output(*command, "--data", str(server.data))

    async def test_the_first_conversation_survives_a_restart(self) -> None:
        """The README's programs work unchanged, except for the port. The messages survive a
        restart."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        alice, bob = await self.token(server, 1001), await self.token(server, 1002)
        output = '1001 {"text": "hello"}\n'
        self.assertEqual(await self.run_program("hello.py", server.port, alice, bob), output)
        await server.daemon.restart()
        self.assertEqual(await self.run_program("history.py", server.port, bob), output)

    async def test_a_group_and_its_members(self) -> None:
        """The README's curl commands make a group, and its members exchange messages."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        alice, bob = await self.token(server, 1001), await self.token(server, 1002)
        await self.run_program("hello.py", server.port, alice, bob)
        secret = (await self.command(server, "app", "create", "--app", "7")).strip()
        curl = re.search(
            r"curl (-u) 7:\$secret http://127.0.0.1:6666(\S+) \\\n +(-d) '(.*)'", README
        )
        assert curl is not None
        option, path, data, body = curl.groups()
        url = f"http://127.0.0.1:{server.http_port}{path}"
        words = (option, f"7:{secret}", url, data, body)
        printed = await self.output(shutil.which("curl") or "curl", "--silent", *words)
        self.assertEqual(printed, '{"data":{"group_id":1}}')
        *before, last = (
            await self.run_program("group.py", server.port, alice, bob, "1")
        ).splitlines()
        self.assertEqual(last, '1001 {"text": "hello, all of us"}')
        self.assertRegex(before[-1], r'\A{"create":{"group_id":1,"master":1001,')
        other = await self.command(server, "group", "create", "--app", "7", "1001", "1002")
        self.assertEqual(other, "2\n")

    test_a_group_and_its_members.skip = missing("curl")  # type: ignore[attr-defined]

    async def test_the_daemon_says_where_it_listens_and_how_to_make_a_token(self) -> None:
        """The daemon prints its ports and the command for a token, as in the README."""
        server = AllInOne()
        self.addCleanup(server.stop)
        await server.start()
        for line in (
            f"TCP clients:       127.0.0.1:{server.port}",
            f"WebSocket clients: ws://127.0.0.1:{server.websocket_port}/ws",
            f"status:            http://127.0.0.1:{server.http_port}/summary",
            f"HTTP API:          http://127.0.0.1:{server.http_port}/docs",
            "gobelieve token create --app 7 --uid 1001 --data ",
        ):
            self.assertIn(line, server.daemon.log)

    def test_the_named_files_exist(self) -> None:
        """Links and folders in the README exist."""
        for link in re.findall(r"\]\(([^)h][^)]*)\)", README):
            self.assertTrue((ROOT / link).exists(), link)
