"""``gobelieve group`` and ``gobelieve app``, on the file of the all-in-one daemon."""

from pathlib import Path

from twisted.internet import reactor  # noqa: TID253

from gobelieve.backends.app_secrets import SqliteSecrets
from gobelieve.backends.sqlite.groups import SqliteGroups
from gobelieve.backends.sqlite.service import FILE_NAME, SqliteService
from tests.cli import commands


class GroupTests(commands.Command):
    """``gobelieve group`` and ``gobelieve app``, with a new folder for each test."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "data"
        self.where = ["--app", "7", "--data", str(self.folder)]

    async def good(self, *arguments: str) -> str:
        """Run a command, check that it succeeds, and return its output."""
        code, out, err = await self.gobelieve(*arguments, *self.where)
        self.assertEqual((code, err), (0, ""), arguments)
        return out

    def db(self) -> SqliteService:
        service = SqliteService(self.folder / FILE_NAME, reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def test_a_group_s_id_is_printed_alone_and_gateways_have_it(self) -> None:
        out = await self.good("group", "create", "--name", "安", "--super", "3", "1", "2", "1")
        group = await SqliteGroups(self.db()).load(int(out))
        assert group is not None
        self.assertEqual((group.appid, group.super, sorted(group.members)), (7, True, [1, 2, 3]))
        shown = await self.good("group", "show", out.strip())
        self.assertTrue(shown.startswith("name: 安\nnotice: \nmaster: 3\nsuper: yes\nmember: 1 "))

    async def test_members_come_and_go(self) -> None:
        group = (await self.good("group", "create", "1", "2")).strip()
        self.assertEqual(await self.good("group", "add", group, "3", "4"), "")
        self.assertEqual(await self.good("group", "remove", group, "1", "4"), "")
        shown = await self.good("group", "show", group)
        self.assertEqual([line.split()[1] for line in shown.splitlines()[4:]], ["2", "3"])

    async def test_a_group_that_is_not_there_is_one_clear_line(self) -> None:
        group = (await self.good("group", "create", "1")).strip()
        for words in (("show", "99"), ("add", "99", "1"), ("remove", "99", "1")):
            code, out, err = await self.gobelieve("group", *words, *self.where)
            self.assertEqual(
                (code, out, err), (1, "", "gobelieve: the app 7 has no group 99\n"), words
            )
        self.where[1] = "8"
        code, _, err = await self.gobelieve("group", "show", group, *self.where)
        self.assertEqual((code, err), (1, f"gobelieve: the app 8 has no group {group}\n"))

    async def test_without_a_folder_there_is_nothing_to_show(self) -> None:
        code, _, err = await self.gobelieve("group", "show", "1", *self.where)
        self.assertEqual(code, 1)
        self.assertIn(f"there is no {self.folder}/gobelieve.db", err)

    async def test_the_secret_of_an_app_is_printed_alone_and_replaces_the_older_one(self) -> None:
        secrets = [(await self.good("app", "create", "--name", "demo")).strip() for _ in range(2)]
        self.assertEqual(await SqliteSecrets(self.db()).of(7), secrets[1:])
        self.assertNotEqual(*secrets)
