"""The app's server, as far as groups need it: it writes MySQL and announces the changes in
Redis."""

from pathlib import Path
from typing import Any

from tests.servers import MariaServer, RedisServer

SCHEMA = Path(__file__).parents[1] / "etc" / "schema.sql"


class AppServer:
    """Writes groups to the database, then counts and announces each change, as the app's server
    does."""

    def __init__(self, maria: MariaServer, redis: RedisServer, form: str, database: str) -> None:
        self._maria = maria
        self._redis = redis
        self._form = form
        self._database = database
        self.action = 0

    def begin(self) -> None:
        """Begin with empty tables."""
        from pymysql.constants import CLIENT

        tables = SCHEMA.read_text("utf-8")
        self.write(f"DROP DATABASE IF EXISTS {self._database}", database=None)
        self.write(f"CREATE DATABASE {self._database}", database=None)
        self.write(tables, client_flag=CLIENT.MULTI_STATEMENTS)

    def write(self, sql: str, *values: object, **options: Any) -> None:
        """Run one statement and commit it."""
        options.setdefault("database", self._database)
        with self._maria.connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            while cursor.nextset():
                pass

    def create(self, group: int, *members: int) -> None:
        self.write("INSERT INTO `group` (id, appid) VALUES (%s, 7)", group)
        for uid in members:
            self.write("INSERT INTO group_member (group_id, uid) VALUES (%s, %s)", group, uid)
        self.announce("group_create", group, (7, 0), {"app_id": 7, "super": 0})

    def add(self, group: int, uid: int, *, lost: bool = False) -> None:
        self.write("INSERT INTO group_member (group_id, uid) VALUES (%s, %s)", group, uid)
        self.announce("group_member_add", group, (uid,), {"member_id": uid}, lost)

    def remove(self, group: int, uid: int) -> None:
        self.write("DELETE FROM group_member WHERE group_id = %s AND uid = %s", group, uid)
        self.announce("group_member_remove", group, (uid,), {"member_id": uid})

    def mute(self, group: int, uid: int) -> None:
        sql = "UPDATE group_member SET mute = 1 WHERE group_id = %s AND uid = %s"
        self.write(sql, group, uid)
        self.announce("group_member_mute", group, (uid, 1), {"member_id": uid, "mute": 1})

    def upgrade(self, group: int) -> None:
        self.write("UPDATE `group` SET super = 1 WHERE id = %s", group)
        self.announce("group_upgrade", group, (7, 1), {"app_id": 7, "super": 1})

    def disband(self, group: int) -> None:
        self.write("DELETE FROM `group` WHERE id = %s", group)
        self.announce("group_disband", group, (), {})

    def announce(
        self,
        name: str,
        group: int,
        numbers: tuple[int, ...],
        fields: dict[str, int],
        lost: bool = False,
    ) -> None:
        """Count a change and announce it in one transaction; `lost`: it is counted and not
        announced."""
        last, self.action = self.action, self.action + 1
        lua = ["redis.call('SET', 'groups_actions', ARGV[1])"]
        content = ",".join(map(str, (group, *numbers)))
        entry = {"name": name, "group_id": group, **fields}
        entry |= {"previous_action_id": last, "action_id": self.action}
        words = [str(word) for pair in entry.items() for word in pair]
        if lost:
            pass
        elif self._form == "pubsub":
            lua.append("redis.call('PUBLISH', ARGV[2], ARGV[1] .. ':' .. ARGV[3])")
        else:
            lua.append("redis.call('XADD', 'group_manager_stream', '*', unpack(ARGV, 4))")
        self._redis.run("EVAL", " ".join(lua), "0", f"{last}:{self.action}", name, content, *words)
