"""Configuration: one frozen dataclass per daemon, read from TOML.

The keys are those of the Go server, so an existing configuration works unchanged. etc/*.toml
describes each key. An unknown key or a value of the wrong type raises `ConfigError`, which names
the file and the key. Secrets are left out when a configuration is shown.
"""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from gobelieve.errors import ConfigError

C = TypeVar("C")


def ignored(default: Any, why: str, *, hidden: bool = False) -> Any:
    """A key of the Go server that is accepted without effect; `hidden`: its value is a secret."""
    return field(default=default, repr=not hidden, metadata={"ignored": why})


def unavailable(default: Any) -> Any:
    """A key of the Go server that this version does not support: only the default is accepted."""
    return field(default=default, metadata={"unavailable": True})


def one_of(*choices: str) -> Any:
    """A key that has one of these values; the first one is the default."""
    return field(default=choices[0], metadata={"choices": choices})


def positive(default: Any) -> Any:
    """A number above 0."""
    return field(default=default, metadata={"positive": True})


def not_negative(default: Any) -> Any:
    """A number that is 0 or above."""
    return field(default=default, metadata={"not_negative": True})


def port_number(default: int) -> Any:
    """The number of a TCP port; 0 lets the operating system choose."""
    return field(default=default, metadata={"port": True})


def origins(*defaults: str) -> Any:
    """A list of ``scheme://host`` or ``scheme://host:port``, with ``*`` for any part; ``null``."""
    return field(default=defaults, metadata={"origins": True})


def address(default: str) -> Any:
    """``host:port``. If the default is empty, the value may be empty too, which means nowhere."""
    return field(default=default, metadata={"address": True})


def memory(default: str) -> Any:
    """An amount of memory such as ``512M`` or ``4G``; or empty."""
    return field(default=default, metadata={"memory": True})


def addresses(*defaults: str) -> Any:
    """A list of ``host:port``. It must not be empty, unless the default is empty."""
    return field(default=defaults, metadata={"addresses": True})


def secret(default: str = "") -> Any:
    """A key whose value is never shown."""
    return field(default=default, repr=False)


@dataclass(frozen=True)
class RedisConfig:
    """The address of Redis, and the time to wait for it."""

    address: str = address("127.0.0.1:6379")
    password: str = secret()
    db: int = 0
    timeout: float = positive(2.0)
    """Seconds to wait for an answer before it counts as an error."""


@dataclass(frozen=True)
class LogConfig:
    """The level and the format of the log."""

    level: str = one_of("info", "debug", "warn", "error", "fatal")
    format: str = one_of("text", "json")
    filename: str = ignored("", "twistd --logfile says where the log goes")
    backup: int = ignored(0, "twistd --logfile says where the log goes")
    age: int = ignored(0, "twistd --logfile says where the log goes")
    caller: bool = ignored(False, "every event names its module")


SHORTEST_SECRET = 16
"""The fewest bytes of a cluster secret or an API key: a shorter one can be guessed."""


@dataclass(frozen=True)
class ClusterConfig:
    """The proofs of identity between our own daemons; equal in all daemons of a cluster."""

    secret: str = secret()
    secret_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""

    def check(self) -> None:
        """Raise `ConfigError` if keys contradict each other."""
        if self.secret and self.secret_file:
            raise ConfigError("cluster.secret and cluster.secret_file are both set")
        if self.secret and len(self.secret.encode()) < SHORTEST_SECRET:
            raise ConfigError(f"cluster.secret must have at least {SHORTEST_SECRET} bytes")
        files = [bool(name) for name in (self.cert_file, self.key_file, self.ca_file)]
        if any(files) and not all(files):
            raise ConfigError(
                "cluster.cert_file, key_file and ca_file must be set together: TLS needs all three"
            )


@dataclass(frozen=True)
class ClientsConfig:
    """The gateway's settings for clients, without the daemons and databases that it uses."""

    host: str = "0.0.0.0"
    port: int = port_number(23000)
    ws_address: str = address("")
    socket_io_address: str = address("")
    ssl_port: int = port_number(0)
    """The port for TLS; 0: nowhere."""
    wss_address: str = address("")
    tls_address: str = address("")
    """The address for engine.io on TLS; "": nowhere."""
    cert_file: str = ""
    key_file: str = ""
    ws_allowed_origins: tuple[str, ...] = origins("*")
    ws_ping_interval: float = not_negative(45.0)
    http_listen_address: str = address("")
    direct_push: bool = True
    sync_self: bool = True
    auth_timeout: float = positive(10.0)
    idle_timeout: float = positive(360.0)
    write_timeout: float = positive(30.0)
    sync_key_interval: float = positive(1.0)
    rooms_at_once: int = positive(1)
    group_deliver_count: int = ignored(0, "one queue delivers ordinary groups")
    kefu_appid: int = 0
    kefu_unpersistent: bool = False
    word_file: str = ""
    filter_all: bool = False
    enable_friendship: bool = False
    enable_blacklist: bool = False
    memory_limit: str = memory("")
    anonymous_limit: int = not_negative(20_000)
    """The most connections that have not logged in; 0: any number."""
    anonymous_limit_per_address: int = not_negative(2000)
    drain_seconds: float = not_negative(1.0)
    auth_method: str = one_of("redis", "jwt")
    jwt_signing_key: str = secret()
    jwt_former_keys: tuple[str, ...] = field(default=(), repr=False)
    http_api_keys: tuple[str, ...] = field(default=(), repr=False)
    """The keys for the HTTP API. Without any, every program on this machine may use it."""
    app_secrets: tuple[str, ...] = field(default=(), repr=False)
    """``appid:secret`` each: the secret with which an app's server uses the app API."""
    storage_addrs: tuple[str, ...] = ignored(
        (), "the latest messages and history are read over storage_rpc_addrs too"
    )
    rpc_listen_address: str = ignored("", "there is no gRPC")

    def check(self) -> None:
        """Raise `ConfigError` if keys contradict each other."""
        if self.auth_method == "jwt" and not self.jwt_signing_key:
            raise ConfigError("auth_method is jwt, which needs jwt_signing_key")
        if any(len(key.encode()) < SHORTEST_SECRET for key in self.http_api_keys):
            raise ConfigError(f"each of http_api_keys must have at least {SHORTEST_SECRET} bytes")
        for one in self.app_secrets:
            appid, _, own = one.partition(":")
            if not (appid.isascii() and appid.isdigit() and len(appid) < 19 and own):
                raise ConfigError("each of app_secrets must be appid:secret")
        address = self.http_listen_address
        if address and not self.http_api_keys and not is_loopback(parse_address(address).host):
            raise ConfigError(
                f"http_listen_address {address} can be reached from other machines, so the "
                "HTTP API needs a key: set http_api_keys"
            )
        if bool(self.cert_file) != bool(self.key_file):
            raise ConfigError("cert_file and key_file must be set together")
        if self.has_tls and not self.cert_file:
            raise ConfigError("ssl_port, wss_address and tls_address need cert_file and key_file")

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory above which no new client is accepted; 0: no limit."""
        return parse_memory(self.memory_limit) if self.memory_limit else 0

    @property
    def has_tls(self) -> bool:
        """True if there is an address for clients on TLS."""
        return bool(self.ssl_port or self.wss_address or self.tls_address)


ORIGIN = re.compile(r"[a-z*][a-z0-9+.*-]*://[\w.*-]+(:(\d+|\*))?")
MEMORY_UNITS = {"M": 20, "G": 30}
LOOPBACK = {"": "127.0.0.1", "localhost": "127.0.0.1"}


@dataclass(frozen=True)
class ImConfig(ClientsConfig):
    """The configuration of the gateway, im."""

    storage_rpc_addrs: tuple[str, ...] = addresses("127.0.0.1:13333")
    route_addrs: tuple[str, ...] = addresses("127.0.0.1:4444")
    storage_timeout: float = positive(4.0)
    cluster: ClusterConfig = ClusterConfig()
    redis: RedisConfig = RedisConfig()
    log: LogConfig = LogConfig()
    pending_root: str = "pending"
    mysqldb_datasource: str = secret()
    """The database of the app's groups; "": there are no groups."""
    group_events: str = one_of("stream", "pubsub")
    """The form in which the app's server announces changes of groups."""
    group_storage_rpc_addrs: tuple[str, ...] = addresses()
    group_route_addrs: tuple[str, ...] = addresses()

    def check(self) -> None:
        """Raise `ConfigError` if keys contradict each other, or name a router twice.

        The gateway would take a router that is named twice for two routers: what it sends to the
        one would come back from the other.
        """
        super().check()
        if (self.enable_friendship or self.enable_blacklist) and not self.mysqldb_datasource:
            raise ConfigError("enable_friendship and enable_blacklist need mysqldb_datasource")
        named: dict[Address, str] = {}
        for key in ("route_addrs", "group_route_addrs"):
            for text in getattr(self, key):
                host, port = parse_address(text, key)
                # An empty host means this machine.
                same = Address(LOOPBACK.get(host.lower(), host.lower()), port)
                before = named.setdefault(same, "")
                if before:
                    twice = f"{key} names {text} twice"
                    both = f"{before} and {key} both name {text}"
                    raise ConfigError(twice if before == key else both)
                named[same] = key


@dataclass(frozen=True)
class RouterConfig:
    """The router's settings for gateways and pushes."""

    listen: str = address("127.0.0.1:4444")
    push_disabled: bool = False
    is_push_system: bool = True
    push_backlog: int = 100_000
    """The most pushes that may wait for their lists."""
    link_backlog: int = 64 << 20
    """The most bytes that may wait for a gateway that does not read."""
    push_grace: float = not_negative(10.0)
    """Seconds after the start for which pushes wait until gateways have reported their users."""
    link_grace: float = not_negative(3.0)
    """Seconds for which pushes to users of a lost gateway link wait."""


@dataclass(frozen=True)
class ImrConfig(RouterConfig):
    """The configuration of the router, imr."""

    mysqldb_datasource: str = secret()
    group_events: str = one_of("stream", "pubsub")
    http_listen_address: str = address("")
    cluster: ClusterConfig = ClusterConfig()
    redis: RedisConfig = RedisConfig()
    log: LogConfig = LogConfig()


@dataclass(frozen=True)
class StorageConfig:
    """Storage's settings, without its directory."""

    rpc_listen: str = address("127.0.0.1:13333")
    fsync: str = one_of("commit", "interval", "never")
    fsync_interval: float = positive(1.0)
    limit: int = positive(3000)
    listen: str = address("")
    sync_listen: str = address("")
    sync_delay: float = positive(0.05)
    master_address: str = address("")
    kefu_appid: int = ignored(0, "storage does not look into messages")
    is_push_system: int = ignored(0, "storage does not push")
    group_limit: int = ignored(0, "group queues are paged by `limit`")
    hard_limit: int = ignored(0, "pages are never skipped")


@dataclass(frozen=True)
class ImsConfig(StorageConfig):
    """The configuration of storage, ims."""

    storage_root: str = "storage"
    http_listen_address: str = address("")
    cluster: ClusterConfig = ClusterConfig()
    log: LogConfig = LogConfig()


@dataclass(frozen=True)
class EmbeddedConfig:
    """The configuration of the all-in-one daemon. Its files are in the folder of `--data`."""

    im: ClientsConfig = ClientsConfig(
        host="127.0.0.1", ws_address="127.0.0.1:13891", http_listen_address="127.0.0.1:6666"
    )
    imr: RouterConfig = RouterConfig()
    ims: StorageConfig = StorageConfig()
    cluster: ClusterConfig = ClusterConfig()
    log: LogConfig = LogConfig()


class Address(NamedTuple):
    """An address to listen on or connect to; to listen, an empty host means every interface."""

    host: str
    port: int


def parse_address(text: str, key: str = "address") -> Address:
    """Parse ``host:port``, ``:port`` or ``[v6]:port``; `ConfigError` if it is none of these."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"{key}: {text!r} is not host:port")
    return Address(host.strip("[]"), int(port))


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches what listens on the host."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_memory(text: str, key: str = "memory") -> int:
    """Return the bytes of an amount such as ``512M`` or ``4G``; `ConfigError` if malformed."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in MEMORY_UNITS or not (number.isascii() and number.isdigit()) or not int(number):
        raise ConfigError(f"{key}: {text!r} is not an amount of memory such as 512M or 4G")
    return int(number) << MEMORY_UNITS[unit]


def load(kind: type[C], path: str | None, overrides: Iterable[str] = ()) -> C:
    """Read a TOML file (None: all defaults), then apply overrides of the form key=value.

    An override's value is TOML, or a string if it is not: ``port=24000``,
    ``redis.address=host:6379``.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as why:
            raise ConfigError(f"{path}: {why.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
            raise ConfigError(f"{path}: {why}") from None
    config = _build(kind, tree, path or "the defaults", "", kind())
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: must have the form key=value")
        config = _override(kind, config, key, value)
    _check_together(config, path or "the defaults")
    return config


def _check_together(config: object, source: str) -> None:
    """Call the method `check` of each dataclass that has one: it compares keys with each other."""
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        table = getattr(config, f.name)
        if dataclasses.is_dataclass(table):
            _check_together(table, source)
    check = getattr(config, "check", None)
    if check is not None:
        try:
            check()
        except ConfigError as why:
            raise ConfigError(f"{source}: {why}") from None


def _override(kind: type[C], config: C, key: str, text: str) -> C:
    def build(value: Any) -> C:
        for name in reversed(key.split(".")):
            value = {name: value}
        return _build(kind, value, f"--set {key}", "", config)

    try:
        return build(_toml_value(text))
    except ConfigError as why:
        # For example a password of digits: TOML reads a number, but a string is meant.
        try:
            return build(text)
        except ConfigError:
            raise why from None


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(kind: type[C], tree: Mapping[str, Any], source: str, prefix: str, base: C) -> C:
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        name = prefix + key
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; is {prefix}{near[0]} meant?" if near else ""
            raise ConfigError(f"{source}: there is no key {name}{hint}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {name} must be a table, not {type(value).__name__}")
            table: Any = hints[key]
            values[key] = _build(table, value, source, name + ".", getattr(base, key))
        else:
            values[key] = _typed(hints[key], value, f"{source}: {name}")
            _check(fields[key], values[key], f"{source}: {name}")
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _check(declared: dataclasses.Field[Any], value: Any, name: str) -> None:
    metadata = declared.metadata
    if "unavailable" in metadata and value != declared.default:
        raise ConfigError(f"{name} is not available in this version")
    if "choices" in metadata and value not in metadata["choices"]:
        choices = ", ".join(metadata["choices"])
        raise ConfigError(f"{name} must be one of {choices}, not {value!r}")
    if "positive" in metadata and not 0 < value < math.inf:
        raise ConfigError(f"{name} must be above 0 and finite, not {value!r}")
    if "not_negative" in metadata and not 0 <= value < math.inf:
        raise ConfigError(f"{name} must be 0 or above and finite, not {value!r}")
    if "port" in metadata and not 0 <= value <= 65535:
        raise ConfigError(f"{name} must be the number of a port, not {value!r}")
    if "address" in metadata and (value or declared.default):
        parse_address(value, name)
    if "origins" in metadata:
        for one in value:
            if one not in ("*", "null") and not ORIGIN.fullmatch(one):
                raise ConfigError(
                    f"{name}: {one!r} is not an origin such as https://chat.example.com"
                )
    if "memory" in metadata and value:
        parse_memory(value, name)
    if "addresses" in metadata:
        if not value and declared.default:
            raise ConfigError(f"{name} must name at least one address")
        for one in value:
            parse_address(one, name)


def _typed(wanted: Any, value: Any, name: str) -> Any:
    if get_origin(wanted) is tuple:
        item = get_args(wanted)[0]
        if isinstance(value, list):
            return tuple(_typed(item, one, name) for one in value)
    elif wanted is float and type(value) is int:
        return float(value)
    elif type(value) is wanted:
        return value
    shown = "a list" if get_origin(wanted) is tuple else wanted.__name__
    raise ConfigError(f"{name} must be {shown}, not {type(value).__name__}")


def without_effect(config: object, prefix: str = "") -> Iterator[str]:
    """Yield a line for each key that is set although it has no effect."""
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            yield from without_effect(value, f"{prefix}{f.name}.")
        elif "ignored" in f.metadata and value != f.default:
            yield f"{prefix}{f.name} has no effect: {f.metadata['ignored']}"
