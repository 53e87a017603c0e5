"""The samples in etc/ and the defaults."""

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import (
    EmbeddedConfig,
    ImConfig,
    ImrConfig,
    ImsConfig,
    RedisConfig,
    load,
    parse_address,
)
from gobelieve.config.fields import IGNORED

ETC = Path(__file__).parents[2] / "etc"
KINDS: dict[str, Any] = {
    "im.toml": ImConfig,
    "imr.toml": ImrConfig,
    "ims.toml": ImsConfig,
    "gobelieve.toml": EmbeddedConfig,
}


def keys(kind: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys that a sample must name: all but those without effect or not available."""
    for f in dataclasses.fields(kind):
        if dataclasses.is_dataclass(f.type):
            yield from keys(f.type, f"{prefix}{f.name}.")
        elif IGNORED not in f.metadata:
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
