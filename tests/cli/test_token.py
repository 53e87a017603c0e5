"""``gobelieve token`` on both stores, inside the test."""

import io
from contextlib import redirect_stderr
from pathlib import Path

from twisted.internet import reactor  # noqa: TID253
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.redis.keys import RedisService, RedisTokens
from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService, SqliteTokens
from gobelieve.cli.main import parser
from gobelieve.cli.stores import redis_url
from gobelieve.config import RedisConfig
from gobelieve.interfaces import Identity
from tests.cli import commands
from tests.ports import free_port
from tests.servers import missing, shared_redis


class DataFolderTests(commands.TokenCommands):
    """Tokens in the folder of ``--data``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "data"
        self.where = ["--data", str(self.folder)]

    def put_a_file_in_the_way(self) -> None:
        self.folder.parent.write_text("a file")

    async def find(self, token: str) -> Identity | None:
        service = SqliteService(self.folder / FILE_NAME, reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return await SqliteTokens(service).find(token)

    async def test_without_a_folder_there_is_nothing_to_show_or_revoke(self) -> None:
        for action in ("show", "revoke"):
            code, out, err = await self.gobelieve("token", action, "t", *self.where)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(f"there is no {self.folder}/gobelieve.db", err)
        self.assertFalse(self.folder.exists())

    async def test_a_folder_that_cannot_be_made_is_one_clear_line(self) -> None:
        self.put_a_file_in_the_way()
        code, out, err = await self.gobelieve(
            "token", "create", "--app", "7", "--uid", "1", *self.where
        )
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, f"gobelieve: {self.folder}: Not a directory\n")

    async def test_a_broken_file_is_one_clear_line(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / FILE_NAME).write_bytes(b"not a database at all" * 100)
        code, _, err = await self.gobelieve("token", "show", "t", *self.where)
        self.assertEqual(code, 1)
        self.assertRegex(err, r"\Agobelieve: .*gobelieve.db: file is not a database\n\Z")


class RedisTests(commands.TokenCommands):
    """Tokens in the Redis of ``--redis``."""

    skip = missing("redis-server")

    def setUp(self) -> None:
        self.address = shared_redis().address
        self.where = ["--redis", f"redis://{self.address}/2"]

    async def find(self, token: str) -> Identity | None:
        service = RedisService(RedisConfig(self.address, db=2), reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return await RedisTokens(service).find(token)

    async def test_a_redis_that_is_away_is_one_clear_line(self) -> None:
        url = f"redis://:secret@127.0.0.1:{free_port()}"
        code, out, err = await self.gobelieve("token", "show", "t", "--redis", url)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(
            err, r"\Agobelieve: Redis at 127.0.0.1:\d+ is unreachable: .*refused.*\n\Z"
        )


class ArgumentTests(SynchronousTestCase):
    """Arguments that are refused before anything is done."""

    def refused(self, *arguments: str) -> str:
        err = io.StringIO()
        with redirect_stderr(err), self.assertRaises(SystemExit) as end:
            parser().parse_args(arguments)
        self.assertEqual(end.exception.code, 2)
        return err.getvalue()

    def test_ids_are_numbers_of_1_and_up(self) -> None:
        for bad in ("0", "-1", "x", "", "1.5", "\u0661", str(1 << 63)):
            error = self.refused("token", "create", f"--app={bad}", "--uid=1")
            self.assertIn("--app", error)
            self.refused("token", "create", "--app=1", f"--uid={bad}")

    def test_app_and_uid_are_required(self) -> None:
        self.assertIn("--uid", self.refused("token", "create", "--app=1"))

    def test_only_one_store_can_be_named(self) -> None:
        self.refused("token", "show", "t", "--data", "var", "--redis", "redis://h")

    def test_a_command_is_required(self) -> None:
        for arguments in ([], ["token"], ["tokens"], ["token", "nothing"]):
            self.refused(*arguments)

    def test_redis_urls(self) -> None:
        for url, config in {
            "redis://h": RedisConfig("h:6379"),
            "redis://h:7000/": RedisConfig("h:7000"),
            "redis://:p%40ss@h:7000/3": RedisConfig("h:7000", "p@ss", 3),
            "redis://[::1]:7000": RedisConfig("[::1]:7000"),
        }.items():
            self.assertEqual(redis_url(url), config)

    def test_a_bad_redis_url_is_refused_without_showing_its_password(self) -> None:
        for url in (
            "h:6379",
            "http://:pw@h",
            "redis://",
            "redis://:pw@h:port",
            "redis://:pw@h:99999",
            "redis://user:pw@h",
            "redis://:pw@h/x",
            "redis://:pw@h/-1",
            "redis://:pw@h/0?x=1",
        ):
            error = self.refused("token", "show", "t", "--redis", url)
            self.assertNotIn("pw", error)
            self.assertIn("redis://[:password@]host[:port][/db]", error)
