"""etc/schema.sql in a real MariaDB: what an operator loads, and what the app's server then does."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.servers import missing, shared_maria

SCHEMA = Path(__file__).parent.parent.parent / "etc" / "schema.sql"


class SchemaTests(SynchronousTestCase):
    """In a database of its own for each test."""

    skip = missing("mariadbd", "mariadb-install-db")

    def setUp(self) -> None:
        from pymysql.constants import CLIENT

        self.connection = shared_maria().connect(database=None, client_flag=CLIENT.MULTI_STATEMENTS)
        self.addCleanup(self.connection.close)
        self.run_sql("DROP DATABASE IF EXISTS schema_test; CREATE DATABASE schema_test")
        self.addCleanup(self.run_sql, "DROP DATABASE schema_test")
        self.run_sql("USE schema_test")
        self.run_sql("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
        self.run_sql(SCHEMA.read_text("utf-8"))

    def run_sql(self, sql: str, *values: Any) -> list[Any]:
        """Rows of the last statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                rows = list(cursor.fetchall())
            return rows

    def test_it_makes_the_five_tables(self) -> None:
        tables = {name for (name,) in self.run_sql("SHOW TABLES")}
        self.assertEqual(tables, {"group", "group_member", "friend", "blacklist", "app"})

    def test_loading_it_again_changes_nothing(self) -> None:
        self.run_sql("INSERT INTO `group` (appid, master, name) VALUES (7, 1, 'g')")
        self.run_sql(SCHEMA.read_text("utf-8"))
        self.assertEqual(self.run_sql("SELECT appid, name FROM `group`"), [(7, "g")])

    def test_the_app_s_inserts_which_do_not_name_deleted_are_accepted(self) -> None:
        self.run_sql(
            "INSERT INTO `group` (appid, master, super, name) VALUES (%s, %s, %s, %s)",
            *(7, 1, 0, "安 😀"),
        )
        ((group,),) = self.run_sql("SELECT LAST_INSERT_ID()")
        for uid in (1, 2):
            self.run_sql(
                "INSERT INTO group_member (group_id, uid, timestamp) VALUES (%s, %s, %s)",
                *(group, uid, 1_700_000_000),
            )
        self.assertEqual(
            self.run_sql("SELECT id, appid, super, name FROM `group` WHERE deleted = 0"),
            [(group, 7, 0, "安 😀")],
        )
        self.assertEqual(
            self.run_sql(
                "SELECT uid, timestamp, mute FROM group_member"
                " WHERE group_id = %s AND deleted = 0 ORDER BY uid",
                group,
            ),
            [(1, 1_700_000_000, 0), (2, 1_700_000_000, 0)],
        )

    def test_an_old_member_without_a_joining_time_is_accepted(self) -> None:
        self.run_sql("INSERT INTO group_member (group_id, uid) VALUES (5, 1)")
        self.assertEqual(
            self.run_sql("SELECT nickname, timestamp, mute, deleted FROM group_member"),
            [(None, None, 0, 0)],
        )

    def test_a_member_twice_is_the_error_the_app_expects(self) -> None:
        from pymysql import IntegrityError

        insert = "INSERT INTO group_member (group_id, uid) VALUES (5, 1)"
        self.run_sql(insert)
        error = self.assertRaises(IntegrityError, self.run_sql, insert)
        self.assertEqual(error.args[0], 1062)

    def test_friends_and_blacklist_are_by_app_user_and_other(self) -> None:
        for table in ("friend", "blacklist"):
            for row in ((7, 1, 2, 100), (7, 2, 1, 100), (8, 1, 2, 100)):
                self.run_sql(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", *row)
            self.assertEqual(
                self.run_sql(
                    f"SELECT appid, uid, friend_uid FROM {table}"
                    " WHERE appid = 7 AND uid = 1 AND friend_uid = 2"
                ),
                [(7, 1, 2)],
            )
