"""Rules that a site may configure: friends, blacklists, forbidden words, and bans in rooms.

The daemons are real, and so are MariaDB and Redis of the app's server.
"""

from datetime import date
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor  # noqa: TID253
from twisted.internet.task import deferLater

from gobelieve.client import Client
from gobelieve.errors import MessageRefusedError
from gobelieve.names import AckStatus
from gobelieve.wire import client
from gobelieve.wire.frames import TEXT
from tests.app_server import AppServer
from tests.faults.support import bare
from tests.network.processes import APPID, Cluster
from tests.servers import missing, shared_maria, shared_redis
from tests.waits import ProcessTestCase

reactor: Any = _reactor
ALICE, BOB, ROOM = 1, 2, 50


class SiteTests(ProcessTestCase):
    """One gateway. The clients speak version 2."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def setUp(self) -> None:  # type: ignore[override]
        maria, self.redis = shared_maria(), shared_redis()
        self.app = AppServer(maria, self.redis, "stream", "site_rules")
        self.app.begin()
        self.words = self.word_file()
        self.put_words("bad")
        self.cluster = Cluster(
            self.redis,
            im={
                "mysqldb_datasource": f"root@tcp(127.0.0.1:{maria.port})/site_rules",
                "enable_friendship": "true",
                "enable_blacklist": "true",
                "word_file": self.words,
            },
        )
        self.addCleanup(self.cluster.stop)
        await self.cluster.start()
        self.action = 0

    def word_file(self) -> Path:
        """Return the path of a file that daemons can read."""
        return Path(self.mktemp()).absolute()

    def put_words(self, *words: str) -> None:
        """Write the file of forbidden words."""
        self.words.write_text("\n".join(words))

    def relate(self, name: str, uid: int, other: int, there: int) -> None:
        """Change a relation as the app's server does: first the row, then the announcement."""
        if there:
            self.app.write(f"INSERT INTO {name} VALUES (%s, %s, %s, 1)", APPID, uid, other)
        else:
            self.app.write(f"DELETE FROM {name} WHERE uid = %s AND friend_uid = %s", uid, other)
        last, self.action = self.action, self.action + 1
        fields = ["name", name, "app_id", APPID, "uid", uid, "friend_uid", other, name, there]
        fields += ["previous_action_id", last, "action_id", self.action]
        words = ",".join(f"'{word}'" for word in fields)
        lua = f"redis.call('SET', 'friends_actions', '{last}:{self.action}')"
        lua += f" redis.call('XADD', 'relationship_stream', '*', {words})"
        self.redis.run("EVAL", lua, "0")

    async def client(self, uid: int) -> Client:
        """Return a connected client."""
        made = self.cluster.client(uid)
        self.addCleanup(made.close)
        await made.connect()
        await made.sync_to_end()
        return made

    async def status(self, sender: Client, receiver: int) -> int:
        """Send a message and return its status."""
        try:
            await sender.send(receiver, "hello")
        except MessageRefusedError as why:
            return why.status
        return 0

    async def becomes(self, sender: Client, receiver: int, wanted: int) -> None:
        """Send messages until one gets this status."""
        while await self.status(sender, receiver) != wanted:
            await deferLater(reactor, 0.02)

    async def test_friends_and_blacklists(self) -> None:
        """Rows count when the gateway first reads them, and changes count at once."""
        self.relate("friend", ALICE, BOB, 1)
        alice = await self.client(ALICE)
        self.assertEqual(await self.status(alice, 3), AckStatus.NOT_MY_FRIEND)
        self.assertEqual(await self.status(alice, BOB), AckStatus.NOT_YOUR_FRIEND)
        self.assertEqual(await self.status(alice, ALICE), 0)
        self.relate("friend", BOB, ALICE, 1)
        await self.becomes(alice, BOB, 0)
        self.relate("blacklist", BOB, ALICE, 1)
        await self.becomes(alice, BOB, AckStatus.IN_YOUR_BLACKLIST)
        bob = await self.client(BOB)
        self.assertEqual(await self.status(bob, ALICE), 0)
        self.relate("blacklist", BOB, ALICE, 0)
        await self.becomes(alice, BOB, 0)

    async def test_forbidden_words(self) -> None:
        """SIGHUP reads the file of words again. If the file is missing, the words stay."""
        im = self.cluster.im[0]
        alice = await bare(self.cluster.port())
        self.addCleanup(alice.hang_up)
        await alice.log_in(self.cluster.token(ALICE))
        reader = await self.client(ALICE)

        async def becomes(text: bytes) -> bytes:
            message = client.IM(sender=ALICE, receiver=ALICE, msgid=1, content=text)
            await alice.request(message.frame(seq=9, version=2, flag=TEXT), client.Ack.number)
            return (await reader.receive()).content

        self.assertEqual(await becomes(b'{"text":"b a d, worse"}'), b'{"text":"***,worse"}')
        self.put_words("worse")
        im.signal("HUP")
        await im.logged("SIGHUP: the word file is read again")
        self.assertEqual(await becomes(b'{"text":"bad, worse"}'), b'{"text":"bad,*****"}')
        self.words.unlink()
        im.signal("HUP")
        await im.logged("the word file is read again failed: .*No such file")
        self.assertEqual(await becomes(b'{"text":"bad, worse"}'), b'{"text":"bad,*****"}')

    async def test_bans_in_rooms(self) -> None:
        """A ban, and its end, take effect while the user is in a room."""
        await self.cluster.im[0].logged("Redis at")
        alice = await self.client(ALICE)
        alice.enter_room(ROOM)

        async def status() -> int:
            try:
                await alice.send_room(ROOM, "hello")
            except MessageRefusedError as why:
                return why.status
            return 0

        self.assertEqual(await status(), 0)
        for forbidden, wanted in ((1, AckStatus.FORBIDDEN), (0, 0)):
            command = ("PUBLISH", "speak_forbidden", f"{APPID},{ALICE},{forbidden}")
            while self.redis.run(*command) != ":1\r\n":
                await deferLater(reactor, 0.02)
            while await status() != wanted:
                await deferLater(reactor, 0.02)

    async def test_users_per_day(self) -> None:
        """The statistics count each user who logs in once per day."""
        for uid in (ALICE, BOB, ALICE):
            await self.client(uid)
        today = date.today()
        key = f"statistics_dau_{today.year}_{today.month}_{today.day}_{APPID}"
        while self.redis.run("PFCOUNT", key) != ":2\r\n":
            await deferLater(reactor, 0.05)
