"""Loading of a configuration: files, overrides, and the errors that an operator reads."""

from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import EmbeddedConfig, ImConfig, load, without_effect
from gobelieve.config.fields import (
    address,
    addresses,
    ignored,
    one_of,
    port_number,
    positive,
    secret,
)
from gobelieve.errors import ConfigError
from tests.config.support import refusal


@dataclass(frozen=True)
class Inner:
    """A configuration table inside another one."""

    address: str = "here"
    password: str = secret()


@dataclass(frozen=True)
class Sample:
    """A configuration with a key of every kind."""

    port: int = 1
    rate: float = 1.5
    on: bool = False
    name: str = "n"
    peers: tuple[str, ...] = ("a",)
    source: str = secret()
    old: int = ignored(0, "it is old")
    redis: Inner = Inner()
    policy: str = one_of("commit", "never")
    seconds: float = positive(2.0)
    listening: int = port_number(4444)
    listen: str = address("127.0.0.1:1")
    status: str = address("")
    links: tuple[str, ...] = addresses("127.0.0.1:2")


class LoadTests(SynchronousTestCase):
    """Configurations that are read from a file and from the command line."""

    def file(self, text: str) -> str:
        """Return the path of a new file with this text."""
        path: str = self.mktemp()
        Path(path).write_text(text, "utf-8")
        return path

    def refused(self, text: str) -> str:
        """Return the reason why a file with this text is refused, without the file's name at its
        head."""
        path = self.file(text)
        with self.assertRaises(ConfigError) as caught:
            load(Sample, path)
        text = str(caught.exception)
        self.assertTrue(text.startswith(f"{path}: "), text)
        return text.removeprefix(f"{path}: ")

    def test_without_a_file_or_with_an_empty_one(self) -> None:
        """Without a file, and with an empty one, all keys have their defaults."""
        self.assertEqual(load(Sample, None), Sample())
        self.assertEqual(load(Sample, self.file("")), Sample())

    def test_every_type(self) -> None:
        """A whole number is accepted as a float, and a list becomes a tuple."""
        config = load(
            Sample,
            self.file(
                'port = 2\nrate = 3\non = true\nname = "x"\npeers = ["b", "c"]\n'
                '[redis]\naddress = "there"\n'
            ),
        )
        wanted = Sample(2, 3.0, True, "x", ("b", "c"), redis=Inner("there"))
        self.assertEqual(config, wanted)
        self.assertIs(type(config.rate), float)

    def test_an_unknown_key(self) -> None:
        """The error names an unknown key, and a similar key that may be meant."""
        self.assertEqual(self.refused("prot = 1"), "there is no key prot; is port meant?")
        self.assertEqual(
            self.refused("[redis]\nadress = 'x'"),
            "there is no key redis.adress; is redis.address meant?",
        )
        self.assertEqual(self.refused("zzzzz = 1"), "there is no key zzzzz")

    def test_wrong_types(self) -> None:
        """A value of the wrong type is refused with its key; ``true`` is not a number."""
        self.assertEqual(self.refused("port = '1'"), "port must be int, not str")
        self.assertEqual(self.refused("port = true"), "port must be int, not bool")
        self.assertEqual(self.refused("port = 1.0"), "port must be int, not float")
        self.assertEqual(self.refused("rate = true"), "rate must be float, not bool")
        self.assertEqual(self.refused("on = 1"), "on must be bool, not int")
        self.assertEqual(self.refused("peers = 'a'"), "peers must be a list, not str")
        self.assertEqual(self.refused("peers = [1]"), "peers must be str, not int")
        self.assertIn("redis must be a table", self.refused("redis = 'x'"))

    def test_unreadable_files(self) -> None:
        """Bad TOML, bad UTF-8, a missing file and a folder all raise `ConfigError`."""
        self.refused("port = = 1")
        path = Path(self.mktemp())
        path.write_bytes(b"name = '\xff'")
        folder = Path(self.mktemp())
        folder.mkdir()
        for bad in (path, folder, folder / "none"):
            with self.assertRaises(ConfigError, msg=str(bad)) as caught:
                load(Sample, str(bad))
            self.assertIn(str(bad), str(caught.exception))

    def test_overrides(self) -> None:
        """Overrides are applied after the file, in order. A value that is not TOML is a string."""
        path = self.file("port = 2\n[redis]\naddress = 'there'\npassword = 'p'")
        config = load(
            Sample,
            path,
            ["port=3", "port=4", "redis.address=host:6379", "peers=['x:1', 'y:2']", "name=a = b"],
        )
        self.assertEqual((config.port, config.name), (4, "a = b"))
        self.assertEqual(config.redis, Inner("host:6379", "p"), "the table's other keys stay")
        self.assertEqual(config.peers, ("x:1", "y:2"))

    def test_an_override_that_looks_like_another_type(self) -> None:
        """A password of digits needs no quotes within quotes."""
        config = load(Sample, None, ["redis.password=123456", "name=true", "source=2020-01-01"])
        self.assertEqual(
            (config.redis.password, config.name, config.source), ("123456", "true", "2020-01-01")
        )

    def test_bad_overrides(self) -> None:
        """The error names the override that is refused."""
        for override, why in [
            ("port", "--set port: must have the form key=value"),
            ("port=x", "--set port: port must be int, not str"),
            ("prot=1", "--set prot: there is no key prot; is port meant?"),
            ("redis=1", "--set redis: redis must be a table"),
            ("name.x=1", "--set name.x: name must be str, not dict"),
            ("=1", "--set : there is no key "),
        ]:
            with self.assertRaises(ConfigError, msg=override) as caught:
                load(Sample, None, [override])
            self.assertIn(why, str(caught.exception))

    def test_impossible_values_are_refused(self) -> None:
        """Impossible values are refused when the daemon starts, not when they are first used."""
        self.assertEqual(
            self.refused("policy = 'x'"), "policy must be one of commit, never, not 'x'"
        )
        self.assertEqual(self.refused("seconds = 0"), "seconds must be above 0 and finite, not 0.0")
        for number in ("nan", "inf", "-inf"):
            reason = f"seconds must be above 0 and finite, not {number}"
            self.assertEqual(self.refused(f"seconds = {number}"), reason)
        for number in ("-1", "65536"):
            reason = f"listening must be the number of a port, not {number}"
            self.assertEqual(self.refused(f"listening = {number}"), reason)
        self.assertEqual(self.refused("listen = 'x'"), "listen: 'x' is not host:port")
        self.assertEqual(self.refused("listen = ''"), "listen: '' is not host:port")
        self.assertEqual(self.refused("status = 'x'"), "status: 'x' is not host:port")
        self.assertEqual(self.refused("links = []"), "links must name at least one address")
        self.assertEqual(self.refused("links = ['a:1', 'b']"), "links: 'b' is not host:port")
        same = load(Sample, self.file("policy = 'commit'\nstatus = ''\nlinks = ['127.0.0.1:2']"))
        self.assertEqual(same, Sample())

    def test_keys_without_effect(self) -> None:
        """Keys without an effect are accepted and reported."""
        config = load(Sample, self.file("old = 7"))
        self.assertEqual(list(without_effect(config)), ["old has no effect: it is old"])
        self.assertEqual(list(without_effect(Sample())), [])
        nested = load(ImConfig, None, ["log.backup=7", "log.level=debug"])
        self.assertEqual(len(list(without_effect(nested))), 1)
        self.assertIn("log.backup has no effect", next(without_effect(nested)))

    def test_secrets_are_not_shown(self) -> None:
        """Secrets are shown neither when a configuration is printed nor when it is refused."""
        config = load(
            ImConfig,
            None,
            ["redis.password=hush", "mysqldb_datasource=im:hush@tcp(h:3306)/im"],
        )
        self.assertNotIn("hush", repr(config))
        self.assertEqual(config.redis.password, "hush")
        for refused in ("[redis]\npassword = ['hush']", "redis = 'hush'", "[redis]\nhush"):
            self.assertNotIn("hush", self.refused(refused))

    def test_keys_that_do_not_go_together_are_refused(self) -> None:
        """Keys are compared after all are read, from the file or the command line, in any order."""
        with self.assertRaises(ConfigError) as refused:
            load(ImConfig, self.file('auth_method = "jwt"'))
        self.assertIn("jwt_signing_key", str(refused.exception))
        both = load(ImConfig, None, ["auth_method=jwt", "jwt_signing_key=k"])
        self.assertEqual(both.jwt_signing_key, "k")
        reason = refusal(EmbeddedConfig, "im.auth_method=jwt")
        self.assertIn("jwt_signing_key", reason)
