"""Runs commands inside the test, and has the tests for every store of tokens."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

from twisted.trial.unittest import TestCase

from gobelieve.cli.main import parser, run
from gobelieve.event_loop.reactor import installed_reactor
from gobelieve.interfaces import Identity
from gobelieve.names import User
from tests.waits import DEADLINE


class Command(TestCase):
    """Runs command lines inside the test."""

    timeout = DEADLINE

    async def gobelieve(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command line and return exit code, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = await run(parser().parse_args(arguments), installed_reactor())
        return code, out.getvalue(), err.getvalue()


class TokenCommands(Command):
    """``gobelieve token``, for every store."""

    where: list[str]
    """The option that names the store."""

    async def find(self, token: str) -> Identity | None:
        """Look the token up as a gateway does."""
        raise NotImplementedError

    async def test_a_token_is_printed_alone_and_logs_in(self) -> None:
        code, out, err = await self.gobelieve(
            "token", "create", "--app", "7", "--uid", "1001", "--name", "Ann", *self.where
        )
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, re.compile(r"\A[A-Za-z0-9]{30}\n\Z"))
        self.assertEqual(await self.find(out.strip()), Identity(User(7, 1001), False, False))

    async def test_all_tokens_differ(self) -> None:
        create = ("token", "create", "--app", "7", "--uid", "1001", *self.where)
        outs = {(await self.gobelieve(*create))[1] for _ in range(5)}
        self.assertEqual(len(outs), 5)

    async def test_show_prints_a_line_for_each_detail(self) -> None:
        create = ("token", "create", "--app", "7", "--uid", "1001", "--name", "Ann", *self.where)
        token = (await self.gobelieve(*create))[1].strip()
        self.assertEqual(
            await self.gobelieve("token", "show", token, *self.where),
            (0, "appid: 7\nuid: 1001\nname: Ann\nforbidden: no\nnotification_on: no\n", ""),
        )

    async def test_a_revoked_token_logs_nobody_in(self) -> None:
        create = ("token", "create", "--app", "7", "--uid", "1001", *self.where)
        token = (await self.gobelieve(*create))[1].strip()
        self.assertEqual(await self.gobelieve("token", "revoke", token, *self.where), (0, "", ""))
        self.assertIsNone(await self.find(token))
        nobody = (1, "", "gobelieve: this token logs nobody in\n")
        self.assertEqual(await self.gobelieve("token", "show", token, *self.where), nobody)
        self.assertEqual(await self.gobelieve("token", "revoke", token, *self.where), nobody)
