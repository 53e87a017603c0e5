"""Configuration: accepted and refused values, and the samples in etc/."""

import dataclasses
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import (
    Address,
    EmbeddedConfig,
    ImConfig,
    ImrConfig,
    ImsConfig,
    RedisConfig,
    address,
    addresses,
    ignored,
    load,
    one_of,
    parse_address,
    port_number,
    positive,
    secret,
    unavailable,
    without_effect,
)
from gobelieve.errors import ConfigError

ETC = Path(__file__).parents[1] / "etc"
KINDS: dict[str, Any] = {
    "im.toml": ImConfig,
    "imr.toml": ImrConfig,
    "ims.toml": ImsConfig,
    "gobelieve.toml": EmbeddedConfig,
}


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
    coming: str = unavailable("")
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

    def test_nothing_said(self) -> None:
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

    def test_not_a_configuration_at_all(self) -> None:
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

    def test_values_that_cannot_be(self) -> None:
        """Impossible values are refused when the daemon starts, not when they are first used."""
        self.assertEqual(
            self.refused("policy = 'x'"), "policy must be one of commit, never, not 'x'"
        )
        self.assertEqual(self.refused("seconds = 0"), "seconds must be above 0 and finite, not 0.0")
        for number in ("nan", "inf", "-inf"):
            said = f"seconds must be above 0 and finite, not {number}"
            self.assertEqual(self.refused(f"seconds = {number}"), said)
        for number in ("-1", "65536"):
            said = f"listening must be the number of a port, not {number}"
            self.assertEqual(self.refused(f"listening = {number}"), said)
        self.assertEqual(self.refused("listen = 'x'"), "listen: 'x' is not host:port")
        self.assertEqual(self.refused("listen = ''"), "listen: '' is not host:port")
        self.assertEqual(self.refused("status = 'x'"), "status: 'x' is not host:port")
        self.assertEqual(self.refused("links = []"), "links must name at least one address")
        self.assertEqual(self.refused("links = ['a:1', 'b']"), "links: 'b' is not host:port")
        same = load(Sample, self.file("policy = 'commit'\nstatus = ''\nlinks = ['127.0.0.1:2']"))
        self.assertEqual(same, Sample())

    def test_keys_of_things_to_come(self) -> None:
        """A key that is not supported yet accepts its default and refuses any other value."""
        self.assertEqual(load(Sample, self.file("coming = ''")), Sample())
        self.assertEqual(self.refused("coming = 'x'"), "coming is not available in this version")

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
        with self.assertRaises(ConfigError):
            load(EmbeddedConfig, None, ["im.auth_method=jwt"])


class HttpTests(SynchronousTestCase):
    """Addresses and keys of the HTTP API."""

    def refused(self, kind: Any, *overrides: str) -> str:
        """Return the reason why these overrides are refused."""
        with self.assertRaises(ConfigError) as caught:
            load(kind, None, overrides)
        return str(caught.exception).removeprefix("the defaults: ")

    def test_beyond_this_machine_a_key_is_wanted(self) -> None:
        """Each daemon with the HTTP API needs a key if the address is not on loopback."""
        key = "http_api_keys=['sixteen-bytes-ok']"
        for where in (
            ":6666",
            "0.0.0.0:6666",
            "10.0.0.1:6666",
            "gateway.example:6666",
            "[::]:6666",
        ):
            said = self.refused(ImConfig, f"http_listen_address={where}")
            self.assertIn("set http_api_keys", said)
            load(ImConfig, None, [f"http_listen_address={where}", key])
        self.refused(EmbeddedConfig, "im.http_listen_address=:6666")
        for where in ("", "127.0.0.1:6666", "localhost:6666", "[::1]:6666"):
            load(ImConfig, None, [f"http_listen_address={where}"])

    def test_keys(self) -> None:
        """A short key is refused, and no key is shown."""
        said = self.refused(ImConfig, "http_api_keys=['sixteen-bytes-ok', 'short']")
        self.assertEqual(said, "each of http_api_keys must have at least 16 bytes")
        config = load(ImConfig, None, ["http_api_keys=['sixteen-bytes-ok']"])
        self.assertNotIn("sixteen", repr(config))

    def test_the_older_port_of_storage(self) -> None:
        """``storage_addrs`` is accepted, and reported as a key without effect."""
        config = load(ImConfig, None, ["storage_addrs=['127.0.0.1:3333']"])
        self.assertIn("storage_addrs has no effect", next(without_effect(config)))


class RouterAddressTests(SynchronousTestCase):
    """A router that is named twice is refused."""

    def refused(self, *overrides: str) -> str:
        """Return the reason why these overrides are refused."""
        with self.assertRaises(ConfigError) as caught:
            load(ImConfig, None, overrides)
        return str(caught.exception).removeprefix("the defaults: ")

    def test_one_in_both_lists(self) -> None:
        """A router in both lists is refused, and the error names both keys, however it is
        written."""
        for text in ("127.0.0.1:4444", ":4444", "localhost:4444", "LOCALHOST:04444"):
            said = self.refused(f"group_route_addrs=['h:1', '{text}']")
            self.assertEqual(said, f"route_addrs and group_route_addrs both name {text}")

    def test_one_twice_in_a_list(self) -> None:
        """A router that is twice in one of the lists is refused."""
        self.assertEqual(self.refused("route_addrs=['h:1', 'H:1']"), "route_addrs names H:1 twice")
        said = self.refused("group_route_addrs=['h:1', 'h:2', 'h:1']")
        self.assertEqual(said, "group_route_addrs names h:1 twice")

    def test_lists_that_trade_places(self) -> None:
        """Only the final values count, not those between two overrides."""
        config = load(ImConfig, None, ["group_route_addrs=[':4444']", "route_addrs=['h:1']"])
        self.assertEqual(config.group_route_addrs, (":4444",))

    def test_none_for_groups(self) -> None:
        """An empty list for groups is the default and may be set. An address in it must be
        valid."""
        self.assertEqual(load(ImConfig, None, ["group_route_addrs=[]"]), ImConfig())
        self.assertIn("'x' is not host:port", self.refused("group_route_addrs=['x']"))


class MemoryTests(SynchronousTestCase):
    """Amounts of memory in ``memory_limit``."""

    def test_forms(self) -> None:
        """Amounts are written as in the Go server: ``512M``, ``4G``."""
        self.assertEqual(load(ImConfig, None, ["memory_limit=512M"]).memory_bytes, 512 << 20)
        self.assertEqual(load(ImConfig, None, ["memory_limit=4G"]).memory_bytes, 4 << 30)
        self.assertEqual(ImConfig().memory_bytes, 0)

    def test_what_is_none(self) -> None:
        """A malformed amount is refused, and the error names the key."""
        for bad in ("512", "0M", "-1G", "M", "4T", "1.5G", "²M"):
            with self.assertRaises(ConfigError, msg=bad) as caught:
                load(ImConfig, None, [f"memory_limit={bad}"])
            self.assertIn("memory_limit", str(caught.exception))


class OriginTests(SynchronousTestCase):
    """Origins of web pages in ``ws_allowed_origins``."""

    def test_forms(self) -> None:
        """An origin may have a port, and ``*`` for any part."""
        for good in ("*", "null", "https://a.example", "http://*.a.example:*", "*://b:8080"):
            self.assertEqual(
                load(ImConfig, None, [f"ws_allowed_origins=['{good}']"]).ws_allowed_origins, (good,)
            )

    def test_what_is_none(self) -> None:
        """A path or a bare host is refused: they would silently match no page."""
        for bad in ("a.example", "https://a.example/", "https://", "", "http://[a", "http://a:b"):
            with self.assertRaises(ConfigError, msg=bad) as caught:
                load(ImConfig, None, [f"ws_allowed_origins=['{bad}']"])
            self.assertIn("ws_allowed_origins", str(caught.exception))


class TLSTests(SynchronousTestCase):
    """The settings for ports on TLS."""

    def test_they_want_a_certificate(self) -> None:
        """A port on TLS needs a certificate and its key."""
        for overrides in (
            ["ssl_port=24430"],
            ["wss_address=':14891'", "cert_file=a"],
            ["key_file=b"],
        ):
            with self.assertRaises(ConfigError) as caught:
                load(ImConfig, None, overrides)
            self.assertIn("cert_file", str(caught.exception))
        both = ["cert_file=a", "key_file=b"]
        self.assertTrue(load(ImConfig, None, ["tls_address=':1'", *both]).has_tls)
        self.assertFalse(load(ImConfig, None, both).has_tls)


class AddressTests(SynchronousTestCase):
    """Parsing of ``host:port``."""

    def test_forms(self) -> None:
        """An empty host means every interface."""
        self.assertEqual(parse_address("127.0.0.1:80"), Address("127.0.0.1", 80))
        self.assertEqual(parse_address(":13891"), Address("", 13891))
        self.assertEqual(parse_address("[::1]:0"), Address("::1", 0))

    def test_what_is_none(self) -> None:
        """A malformed address is refused, and the error names the key."""
        for bad in ("", "host", "host:", "host:http", "host:65536", "host:-1", "host:²", "h:٣"):
            with self.assertRaises(ConfigError, msg=bad) as caught:
                parse_address(bad, "listen")
            self.assertIn("listen", str(caught.exception))


def keys(kind: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys that a sample must name: all but those without effect or not available."""
    for f in dataclasses.fields(kind):
        if dataclasses.is_dataclass(f.type):
            yield from keys(f.type, f"{prefix}{f.name}.")
        elif not {"ignored", "unavailable"} & set(f.metadata):
            yield prefix + f.name


def named(path: Path) -> set[str]:
    """Yield the keys that a sample names, including those in comments such as ``#key = value``."""
    found: set[str] = set()
    table = ""
    for line in path.read_text().splitlines():
        text = line.strip().removeprefix("#").strip()
        try:
            read = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue  # prose, or a value of several lines
        if text.startswith("["):
            table = text.strip("[]") + "."
        else:
            found |= {table + key for key in read}
    return found


class SampleTests(SynchronousTestCase):
    """The sample configurations in etc/."""

    def samples(self) -> Iterator[tuple[Path, Any]]:
        """Yield each sample with the type that it configures."""
        for path in sorted(ETC.glob("*.toml")):
            self.assertIn(path.name, KINDS)
            yield path, KINDS[path.name]

    def test_load(self) -> None:
        """Each sample can be loaded."""
        for path, kind in self.samples():
            self.assertIsInstance(load(kind, str(path)), kind)

    def test_name_every_key(self) -> None:
        """Each sample names every key, and no key that does not exist."""
        for path, kind in self.samples():
            wanted, found = set(keys(kind)), named(path)
            self.assertEqual(wanted - found, set(), f"{path.name} does not name these")
            every = set(all_keys(kind))
            self.assertEqual(found - every, set(), f"{path.name} names what does not exist")

    def test_are_toml_with_values(self) -> None:
        """Each sample is TOML and sets values; an empty sample would pass all other tests."""
        for path, _ in self.samples():
            self.assertTrue(tomllib.loads(path.read_text()), path.name)


def all_keys(kind: Any, prefix: str = "") -> Iterator[str]:
    """Yield every key, also those without effect or not available."""
    for f in dataclasses.fields(kind):
        if dataclasses.is_dataclass(f.type):
            yield from all_keys(f.type, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name


class DefaultTests(SynchronousTestCase):
    """The default values of the configurations."""

    def test_addresses(self) -> None:
        """The default addresses can be parsed."""
        for text in (
            RedisConfig().address,
            *ImConfig().storage_rpc_addrs,
            *ImConfig().route_addrs,
            ImrConfig().listen,
            ImsConfig().rpc_listen,
        ):
            self.assertTrue(parse_address(text).port)

    def test_all_in_one_is_on_loopback(self) -> None:
        """The all-in-one daemon listens only on loopback by default."""
        config = EmbeddedConfig()
        hosts = [
            config.im.host,
            parse_address(config.im.ws_address).host,
            parse_address(config.im.http_listen_address).host,
            parse_address(config.imr.listen).host,
            parse_address(config.ims.rpc_listen).host,
        ]
        self.assertEqual(set(hosts), {"127.0.0.1"})
