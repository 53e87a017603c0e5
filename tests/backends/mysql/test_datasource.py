"""The line that says where MySQL is."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.mysql.datasource import Datasource, parse_datasource
from gobelieve.errors import ConfigError


class SourceTests(SynchronousTestCase):
    """Go's form and the URL."""

    def test_what_upstream_s_samples_have(self) -> None:
        """As it stands in its configurations."""
        source = parse_datasource("root:123456@tcp(127.0.0.1:3306)/im?charset=utf8")
        self.assertEqual(
            source,
            Datasource("127.0.0.1", 3306, "", "root", "123456", "im", "utf8"),
        )

    def test_each_way_to_write_it(self) -> None:
        """All with the same user, password and database."""
        default: dict[str, Any] = {"user": "u", "password": "p", "database": "db"}
        forms: list[tuple[str, dict[str, Any]]] = [
            ("u:p@tcp(db.example.com:3307)/db", {"host": "db.example.com", "port": 3307}),
            ("u:p@tcp(db.example.com)/db", {"host": "db.example.com"}),
            ("u:p@tcp([::1]:3307)/db", {"host": "::1", "port": 3307}),
            ("u:p@tcp/db", {}),
            ("u:p@tcp()/db", {}),
            ("u:p@/db", {}),
            ("u:p@db.example.com:3307/db", {"host": "db.example.com", "port": 3307}),
            ("u:p@localhost/db", {"host": "localhost"}),
            ("u:p@unix(/run/my.sock)/db", {"unix_socket": "/run/my.sock"}),
            ("u:p@tcp(h)/db?charset=utf8mb4,utf8", {"host": "h", "charset": "utf8mb4"}),
            ("u:p@tcp(h)/db?parseTime=true&loc=Asia%2FShanghai", {"host": "h"}),
            ("u:p@tcp(h)/db?tls=true", {"host": "h", "tls": "true"}),
            ("u:p@tcp(h)/db?tls=skip-verify", {"host": "h", "tls": "skip-verify"}),
            ("u:p@tcp(h)/db?timeout=1m0.5s", {"host": "h", "connect_seconds": 60.5}),
            ("u:p@tcp(h)/db?readTimeout=500ms", {"host": "h", "read_seconds": 0.5}),
            ("u:p@tcp(h)/db?writeTimeout=2s", {"host": "h", "write_seconds": 2.0}),
            ("u:p@tcp(h)/db?timeout=0", {"host": "h"}),
            ("mysql://u:p@h:3307/db", {"host": "h", "port": 3307}),
            ("mysql://u:p@h/db?charset=utf8", {"host": "h", "charset": "utf8"}),
            ("mysql://u:p@[::1]/db", {"host": "::1"}),
            ("mysql://u:p@/db", {}),
        ]
        for text, rest in forms:
            self.assertEqual(parse_datasource(text), Datasource(**default | rest), text)

    def test_a_password_may_have_anything_in_it(self) -> None:
        """In Go's form as it is, in a URL encoded."""
        password = "a@b:c/d?e=f&g(h)%40#"
        source = parse_datasource(f"root:{password}@tcp(h:1)/db?charset=utf8")
        self.assertEqual((source.user, source.password), ("root", password))
        source = parse_datasource("mysql://ro%40ot:a%40b%2Fc%3Ad@h/db")
        self.assertEqual((source.user, source.password), ("ro@ot", "a@b/c:d"))

    def test_without_user_or_password(self) -> None:
        """The server may want none."""
        self.assertEqual(parse_datasource("root@tcp(h)/db").password, "")
        self.assertEqual(parse_datasource("/db"), Datasource(database="db"))

    def test_what_cannot_be_is_told_without_the_password(self) -> None:
        """With what is wrong about it."""
        for text, told in [
            ("", "names no database"),
            ("nonsense", "names no database"),
            ("root:s3cret", "names no database"),
            ("root:s3cret@tcp(h:1)", "names no database"),
            ("root:s3cret@tcp(h:1)/", "names no database"),
            ("root:s3cret@tcp(h:1)/?charset=utf8", "names no database"),
            ("root:s3cret@tcp(h:x)/db", "names no address"),
            ("root:s3cret@tcp(h:99999)/db", "names no address"),
            ("root:s3cret@udp(h:1)/db", "names no address"),
            ("root:s3cret@unix()/db", "names no address"),
            ("root:s3cret/db", "names no address"),
            ("root:s3cret@unix(/run/my.sock)", "names no address"),
            ("mysql://root:s3cret@h:x/db", "names no address"),
            ("root:s3cret@tcp(h)/db?charset=klingon", "no charset klingon"),
            ("root:s3cret@tcp(h)/db?tls=maybe", "tls is"),
            ("root:s3cret@tcp(h)/db?timeout=3", "timeout is a duration"),
            ("root:s3cret@tcp(h)/db?timeout=3s%20", "timeout is a duration"),
            ("root:s3cret@tcp(h)/db?readTimeout=soon", "readTimeout is a duration"),
            ("root:s3cret@tcp(h)/db?charest=utf8", "no parameter charest"),
        ]:
            with self.assertRaises(ConfigError, msg=text) as caught:
                parse_datasource(text)
            self.assertIn(told, str(caught.exception), text)
            self.assertIn("mysqldb_datasource", str(caught.exception))
            self.assertNotIn("s3cret", str(caught.exception), text)

    def test_it_is_shown_without_user_and_password(self) -> None:
        """In the log, and when the configuration is printed."""
        source = parse_datasource("root:s3cret@tcp(h:1)/db")
        self.assertEqual(str(source), "h:1/db")
        self.assertNotIn("s3cret", repr(source))
        self.assertEqual(str(parse_datasource("u@unix(/my.sock)/db")), "/my.sock/db")

    def test_tls_is_verified_unless_told_otherwise(self) -> None:
        """And is off by default, as in Go."""
        self.assertNotIn("ssl", parse_datasource("/db").arguments())
        context = parse_datasource("/db?tls=true").arguments()["ssl"]
        self.assertTrue(context.check_hostname)
        context = parse_datasource("/db?tls=skip-verify").arguments()["ssl"]
        self.assertFalse(context.check_hostname)
