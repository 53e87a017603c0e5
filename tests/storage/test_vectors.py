"""Directories that the Go server wrote: every read of them gives what the Go server gave."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Page
from gobelieve.names import User
from gobelieve.storage.queues.store import Store
from tests.fakes.world import Lines
from tests.storage.support import APPID, copy, open_store, save, to_group, to_users

VECTORS = Path(__file__).parents[1] / "vectors" / "storage"
WITH_HEAD = {4, 8}
CUSTOMER = {24, 25, 64}


class VectorTests(SynchronousTestCase):
    """A directory of each version of the Go server, and one without index files."""

    def check(self, case: str) -> None:
        expected = json.loads((VECTORS / f"{case}.expected.json").read_text())
        log = Lines()
        store = open_store(copy(VECTORS / case, Path(self.mktemp())), log=log)
        self.addCleanup(store.close)
        self.assertEqual(log.of("warn", "error"), [])
        for read in expected["reads"]:
            getattr(self, "check_" + read["op"])(store, read["args"], read["result"], case)

    def check_sync(self, store: Store, args: dict[str, int], result: Any, case: str) -> None:
        page = store.reader.fetch(User(args["appid"], args["uid"]), args["last_id"], 3000)
        self.check_page(page, result, case)

    def check_sync_group(self, store: Store, args: dict[str, int], result: Any, case: str) -> None:
        group, joined = User(args["appid"], args["gid"]), args.get("ts", 0)
        page = store.reader.fetch_group(group, args["last_id"], joined, 3000)
        self.check_page(page, result, case)

    def check_latest(self, store: Store, args: dict[str, int], result: Any, case: str) -> None:
        page = store.reader.fetch_latest(User(args["appid"], args["uid"]), args["limit"])
        newest = result["newest_first"] if isinstance(result, dict) else result
        self.check_messages(page, newest, case)

    def check_new_count(self, store: Store, args: dict[str, int], result: int, case: str) -> None:
        count = store.reader.count_new(User(args["appid"], args["uid"]), args["last_id"])
        if case == "seed":
            # The seed only answers whether there are messages of another sender.
            self.assertEqual(min(count, 1), result)
        else:
            self.assertEqual(count, result)

    def check_messages(self, page: Page, newest_first: list[Any], case: str) -> None:
        found = shown(page)
        if case != "seed":
            # Later daemons leave out the seed's customer messages. Storage delivers those of both
            # versions.
            found = [message for message in found if message[2] not in (24, 25)]
        self.assertEqual(found, [comparable(message) for message in newest_first[::-1]])

    def check_page(self, page: Page, result: Any, case: str) -> None:
        self.check_messages(page, result["newest_first"], case)
        if "last_msgid" in result:
            self.assertEqual(page.last, result["last_msgid"])
        self.assertFalse(page.more)

    def test_seed(self) -> None:
        """The seed's queue records (254, 252) and messages of version 1 are read."""
        self.check("seed")

    def test_master(self) -> None:
        """The master's queue records (248, 247) and messages of version 2 are read."""
        self.check("master")

    def test_master_noindex(self) -> None:
        """A directory of the master version without index files is read alike."""
        self.check("master_noindex")

    def test_going_on(self) -> None:
        """New messages continue the old queues, and all messages are there after a restart."""
        user, group = User(APPID, 101), User(APPID, 500)
        for case in ("seed", "master"):
            root = copy(VECTORS / case, Path(self.mktemp()))
            store = open_store(root)
            before = store.reader.fetch(user, 0, 3000)
            group_before = store.reader.fetch_group(group, 0, 0, 3000)
            (msgid, prevs), (_, group_prevs) = save(store, to_users(101), to_group(500))
            self.assertEqual(prevs, (before.newest,))
            self.assertEqual(group_prevs, (group_before.newest,))
            store.close()
            store = open_store(root)
            self.addCleanup(store.close)
            after = store.reader.fetch(user, 0, 3000).messages
            self.assertEqual(list(after[:-1]), before.messages)
            self.assertEqual(after[-1].msgid, msgid)
            self.assertEqual(store.reader.count_new(user, 0), len(after))
            self.assertEqual(len(store.reader.fetch_group(group, 0, 0, 3000).messages), 6)


def shown(page: Page) -> list[tuple[int, int, int, str]]:
    """Return the messages of a page in the form of the vectors."""
    found = []
    for msgid, device, cmd, body in page.messages:
        head = 24 if cmd in WITH_HEAD else 36 if cmd in CUSTOMER else 0
        found.append((msgid, device, cmd, body[head:].decode()))
    return found


def comparable(message: dict[str, Any]) -> tuple[int, int, int, str]:
    """Return a message of the vectors without the fields that reads do not give."""
    return message["msgid"], message["device_id"], message["cmd"], message["content"]
