"""``gobelieve storage verify``, ``dump`` and ``repair``: what they print, and their exit code."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from gobelieve.storage.format.records import pack_message
from tests.cli.directories import CASES, ROOT, VECTORS, StorageCommand, shell
from tests.storage.support import im


class VerifyTests(StorageCommand):
    """``gobelieve storage verify`` prints findings and a summary."""

    def test_what_is_sound(self) -> None:
        """For a sound directory it prints a summary, and the exit code is 0."""
        result = self.storage("verify", self.root)
        summary = (
            f"blocks: 1\nbytes: {self.end}\nrecords: 5\n"
            "  IM (4): 1\n  GROUP_IM (8): 1\n  GROUP_ENTRY (247): 1\n  USER_ENTRY (248): 2\n"
            "messages: 2\nqueues: 3\nfindings: 0\n"
        )
        self.assertEqual(result, (0, summary, ""))

    def test_what_the_go_server_wrote(self) -> None:
        """Directories of both versions of the Go server are verified in place and not changed."""
        for case in CASES:
            before = self.files(VECTORS / case)
            code, out, err = self.storage("verify", str(VECTORS / case))
            self.assertEqual((code, err), (0, ""))
            self.assertIn("messages: 25\nqueues: 5\nfindings: 0\n", out)
            self.assertEqual(self.files(VECTORS / case), before)

    def test_what_is_not(self) -> None:
        """It prints one line per finding, and the exit code is 1."""
        self.add(b"IMIM")
        code, out, err = self.storage("verify", self.root)
        line = f"{self.block}:{self.end}: torn end, 4 bytes: too short for a record\n"
        self.assertTrue(out.startswith(line), out)
        self.assertIn("findings: 1\n", out)
        self.assertEqual((code, err), (1, f"gobelieve: {self.root}: 1 finding\n"))

    def test_in_use(self) -> None:
        """It says that a directory is in use. Its unfinished end is not a finding."""
        self.hold()
        self.add(b"IMIM")
        code, out, err = self.storage("verify", self.root)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("findings: 0\nin use: ", out)
        self.assertIn("4 bytes at the end are not complete yet\n", out)

    def test_no_directory(self) -> None:
        """For a missing directory it prints one clear line."""
        nowhere = self.mktemp()
        for action in ("verify", "dump", "repair"):
            result = self.storage(action, nowhere)
            self.assertEqual(result, (1, "", f"gobelieve: {nowhere}: No such file or directory\n"))
        result = self.storage("verify", str(self.block))
        self.assertEqual(result, (1, "", f"gobelieve: {self.block}: Not a directory\n"))
        os.mkdir(nowhere)
        result = self.storage("verify", nowhere)
        self.assertEqual(result, (1, "", f"gobelieve: {nowhere}: there is no message_N in it\n"))


class DumpTests(StorageCommand):
    """``gobelieve storage dump`` prints records."""

    def lines(self, *arguments: str) -> list[str]:
        """Return the printed lines of a successful run."""
        code, out, err = self.storage("dump", self.root, *arguments)
        self.assertEqual((code, err), (0, ""))
        return out.splitlines()

    def test_all_records(self) -> None:
        """It prints one readable line per record."""
        first, entry, *_ = lines = self.lines()
        self.assertEqual(len(lines), 5)
        self.assertEqual(
            first,
            "32 cmd 4 IM time 2023-11-14T22:13:20Z sender 101 receiver 102 content '你好'",
        )
        self.assertIn(" USER_ENTRY appid 7 user 102 seq 1 message 32 device 11 prev 0 ", entry)

    def test_one_queue(self) -> None:
        """It prints the queue of a user or a group. A line break in a text is escaped."""
        (line,) = self.lines("--queue", "7:102")
        self.assertRegex(line, r"^32 entry \d+ seq 1 device 11 cmd 4 IM time ")
        (line,) = self.lines("--group", "7:500")
        self.assertIn(r"sender 101 receiver 500 content 'all\n'", line)
        self.assertEqual(self.lines("--group", "7:102"), [])
        self.assertEqual(self.lines("--queue", "7:102", "--after", "32"), [])

    def test_after_and_limit(self) -> None:
        """``--after`` and ``--limit`` print a part."""
        lines = self.lines()
        self.assertEqual(self.lines("--after", "32"), lines[1:])
        self.assertEqual(self.lines("--after", "32", "--limit", "2"), lines[1:3])
        self.assertEqual(self.lines("--limit", "0"), [])

    def test_json(self) -> None:
        """``--json`` prints one object per line, with all fields."""
        found = [json.loads(line) for line in self.lines("--json")]
        self.assertEqual(
            found[0],
            {
                "id": 32,
                "cmd": 4,
                "name": "IM",
                "time": 1_700_000_000,
                "sender": 101,
                "receiver": 102,
                "content": "你好",
            },
        )
        (one,) = self.lines("--json", "--group", "7:500")
        self.assertEqual(json.loads(one)["device"], 11)

    def test_what_is_no_text(self) -> None:
        """Content that is not text is printed as Base64."""
        self.add(pack_message(4, im(1, 2, "") + b"\xff\xfe"))
        self.add(pack_message(199, b"\xff"))
        self.add(pack_message(4, b"\xffshort"))
        lines = [json.loads(line) for line in self.lines("--json")][5:]
        for line, content in zip(lines, (b"\xff\xfe", b"\xff", b"\xffshort"), strict=True):
            self.assertEqual(base64.b64decode(line["content_base64"]), content)
        self.assertEqual(lines[1]["name"], "UNKNOWN")

    def test_headers(self) -> None:
        """``--headers`` prints no content."""
        lines = self.lines("--headers")
        self.assertEqual(lines[0], "32 cmd 4 IM version 2 flag 0 length 30")
        self.assertNotIn("content", "".join(lines))

    def test_damage(self) -> None:
        """Damage is printed at its place."""
        self.add(b"IMIM")
        self.assertEqual((self.lines())[-1], f"{self.end} damage too short for a record length 4")

    def test_what_the_go_server_wrote(self) -> None:
        """The messages are those that the Go server's own daemons answer."""
        for case in CASES:
            self.root = str(VECTORS / case)
            for read in json.loads((VECTORS / f"{case}.expected.json").read_text())["reads"]:
                if read["op"] != "sync":
                    continue
                args = read["args"]
                owner, after = f"{args['appid']}:{args['uid']}", str(args["last_id"])
                found = [
                    json.loads(line)
                    for line in self.lines("--json", "--queue", owner, "--after", after)
                ]
                expected = read["result"]["newest_first"][::-1]
                ids = {message["msgid"] for message in expected}
                # Later daemons leave out some kinds, which are in the files all the same.
                found = [one for one in found if one["id"] in ids]
                self.assertEqual(len(found), len(expected))
                for one, message in zip(found, expected, strict=True):
                    self.assertEqual(
                        (one["device"], one["cmd"], one["content"], one.get("time")),
                        (
                            message["device_id"],
                            message["cmd"],
                            message["content"],
                            message["timestamp"],
                        ),
                    )
                    if one["cmd"] in (4, 8):
                        parties = (message["sender"], message["receiver"])
                        self.assertEqual((one["sender"], one["receiver"]), parties)

    def test_wrong_usage(self) -> None:
        """Wrong options are refused before anything is read."""
        for bad in (
            ["--queue", "7"],
            ["--queue", "a:b"],
            ["--group", f"7:{1 << 63}"],
            ["--after", "-1"],
            ["--limit", "x"],
        ):
            done = shell("storage", "dump", self.root, *bad)
            self.assertEqual(done.returncode, 2)

    def test_a_reader_that_has_enough(self) -> None:
        """A reader that ends early, such as ``head``, causes no error and no traceback."""
        for _ in range(3000):
            self.add(pack_message(4, im(1, 2, "x" * 100)))
        command = f"{sys.executable} -m gobelieve.cli storage dump {self.root} | head -n 1"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.count("\n"), 1)


class RepairTests(StorageCommand):
    """``gobelieve storage repair`` cuts off torn ends."""

    def test_nothing_to_do(self) -> None:
        """Without damage it does nothing and prints no finding."""
        for more in ([], ["--yes"]):
            before = self.files(self.root)
            self.assertEqual(self.storage("repair", self.root, *more), (0, "", ""))
            self.assertEqual(self.files(self.root), before)

    def test_a_torn_end(self) -> None:
        """It first prints what it would cut off, and cuts it off with ``--yes``."""
        self.add(b"IMIM\0")
        before = self.files(self.root)
        code, out, err = self.storage("repair", self.root)
        self.assertEqual((code, err), (0, "nothing was changed; --yes does it\n"))
        self.assertIn(f"5 bytes from {self.end} on would be moved", out)
        self.assertEqual(self.files(self.root), before)
        code, out, err = self.storage("repair", self.root, "--yes")
        self.assertEqual((code, err), (0, ""))
        aside = Path(self.root, f"torn_0_{self.end}")
        self.assertIn(f"5 bytes from {self.end} on were moved to {aside}\n", out)
        self.assertEqual(aside.read_bytes(), b"IMIM\0")
        self.assertEqual(self.block.stat().st_size, self.end)
        self.assertEqual((self.storage("verify", self.root))[0], 0)

    def test_damage_in_the_middle(self) -> None:
        """Damage in the middle stays, and the error says so."""
        with open(self.block, "r+b") as file:
            file.seek(60)
            file.write(b"?")
        before = self.blocks(self.root)
        code, out, err = self.storage("repair", self.root, "--yes")
        self.assertEqual(code, 1)
        self.assertIn(f"{self.block}:32: the checksum", out)
        self.assertIn("stays", err)
        self.assertEqual(self.blocks(self.root), before)

    def test_in_use(self) -> None:
        """A directory in use is refused."""
        self.hold()
        for more in ([], ["--yes"]):
            result = self.storage("repair", self.root, *more)
            what = f"gobelieve: {self.root} is in use: stop its daemon first\n"
            self.assertEqual(result, (1, "", what))
