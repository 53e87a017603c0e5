"""Configuration: one frozen dataclass a daemon, read from TOML.

The keys are upstream's, so that an existing configuration works as it is; etc/*.toml documents
each. An unknown key or a value of the wrong type is a `ConfigError` that names file and key.
Secrets are left out when a configuration is shown.
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
    """A key of upstream's that we take and do not need; `hidden` if its value is a secret."""
    return field(default=default, repr=not hidden, metadata={"ignored": why})


def unavailable(default: Any) -> Any:
    """A key of upstream's for what this version cannot do yet: no other value is accepted."""
    return field(default=default, metadata={"unavailable": True})


def one_of(*choices: str) -> Any:
    """A key that has one of these values; the first is the default."""
    return field(default=choices[0], metadata={"choices": choices})


def positive(default: Any) -> Any:
    """A number above 0."""
    return field(default=default, metadata={"positive": True})


def not_negative(default: Any) -> Any:
    """A number that is 0 or above."""
    return field(default=default, metadata={"not_negative": True})


def port_number(default: int) -> Any:
    """The number of a TCP port; 0 lets the system choose."""
    return field(default=default, metadata={"port": True})


def origins(*defaults: str) -> Any:
    """A list of ``scheme://host`` or ``scheme://host:port``, with ``*`` for any part; ``null``."""
    return field(default=defaults, metadata={"origins": True})


def address(default: str) -> Any:
    """``host:port``; where the default is empty, empty too, which means nowhere."""
    return field(default=default, metadata={"address": True})


def memory(default: str) -> Any:
    """An amount of memory, as ``512M`` or ``4G``; or empty."""
    return field(default=default, metadata={"memory": True})


def addresses(*defaults: str) -> Any:
    """A list of ``host:port``; at least one, unless there is none by default."""
    return field(default=defaults, metadata={"addresses": True})


def secret(default: str = "") -> Any:
    """A key whose value is never shown."""
    return field(default=default, repr=False)


@dataclass(frozen=True)
class RedisConfig:
    """Where Redis is."""

    address: str = address("127.0.0.1:6379")
    password: str = secret()
    db: int = 0
    timeout: float = positive(2.0)
    """Seconds after which an answer that has not come counts as an error."""


@dataclass(frozen=True)
class LogConfig:
    """What is logged, and how."""

    level: str = one_of("info", "debug", "warn", "error", "fatal")
    format: str = one_of("text", "json")
    filename: str = ignored("", "twistd --logfile says where the log goes")
    backup: int = ignored(0, "twistd --logfile says where the log goes")
    age: int = ignored(0, "twistd --logfile says where the log goes")
    caller: bool = ignored(False, "every event names its module")


SHORTEST_SECRET = 16
"""A cluster secret of fewer bytes can be guessed."""


@dataclass(frozen=True)
class ClusterConfig:
    """How our own daemons know each other; the same in all of them."""

    secret: str = secret()
    secret_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""

    def check(self) -> None:
        """`ConfigError` if keys do not go together."""
        if self.secret and self.secret_file:
            raise ConfigError("cluster.secret and cluster.secret_file are both set")
        if self.secret and len(self.secret.encode()) < SHORTEST_SECRET:
            raise ConfigError(f"cluster.secret wants at least {SHORTEST_SECRET} bytes")
        files = [bool(name) for name in (self.cert_file, self.key_file, self.ca_file)]
        if any(files) and not all(files):
            raise ConfigError("cluster.cert_file, key_file and ca_file go together: TLS needs all")


@dataclass(frozen=True)
class ClientsConfig:
    """How the gateway deals with clients, whatever stands behind it."""

    host: str = "0.0.0.0"
    port: int = port_number(23000)
    ws_address: str = address("")
    socket_io_address: str = address("")
    ssl_port: int = port_number(0)
    """0: nowhere."""
    wss_address: str = address("")
    tls_address: str = address("")
    """engine.io on TLS."""
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
    """How many connections may not have logged in; 0: any number."""
    anonymous_limit_per_address: int = not_negative(2000)
    drain_seconds: float = not_negative(1.0)
    auth_method: str = one_of("redis", "jwt")
    jwt_signing_key: str = secret()
    jwt_former_keys: tuple[str, ...] = field(default=(), repr=False)
    http_api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Whoever has one of these may use the HTTP API; without any, whoever is on this machine."""
    app_secrets: tuple[str, ...] = field(default=(), repr=False)
    """``appid:secret`` each: who has it may use the app API as the server of that app."""
    storage_addrs: tuple[str, ...] = ignored(
        (), "the latest messages and history are read over storage_rpc_addrs too"
    )
    rpc_listen_address: str = ignored("", "there is no gRPC")

    def check(self) -> None:
        """`ConfigError` if keys do not go together."""
        if self.auth_method == "jwt" and not self.jwt_signing_key:
            raise ConfigError("auth_method is jwt, so jwt_signing_key is wanted")
        if any(len(key.encode()) < SHORTEST_SECRET for key in self.http_api_keys):
            raise ConfigError(f"each of http_api_keys wants at least {SHORTEST_SECRET} bytes")
        for one in self.app_secrets:
            appid, _, own = one.partition(":")
            if not (appid.isascii() and appid.isdigit() and len(appid) < 19 and own):
                raise ConfigError("each of app_secrets is appid:secret")
        address = self.http_listen_address
        if address and not self.http_api_keys and not is_loopback(parse_address(address).host):
            raise ConfigError(
                f"http_listen_address {address} can be reached from other machines, and there the "
                "HTTP API wants a key: set http_api_keys"
            )
        if bool(self.cert_file) != bool(self.key_file):
            raise ConfigError("cert_file and key_file go together")
        if self.has_tls and not self.cert_file:
            raise ConfigError("ssl_port, wss_address and tls_address want cert_file and key_file")

    @property
    def memory_bytes(self) -> int:
        """Above how many bytes of memory nobody new is let in; 0: never."""
        return parse_memory(self.memory_limit) if self.memory_limit else 0

    @property
    def has_tls(self) -> bool:
        """Whether clients can come by TLS."""
        return bool(self.ssl_port or self.wss_address or self.tls_address)


ORIGIN = re.compile(r"[a-z*][a-z0-9+.*-]*://[\w.*-]+(:(\d+|\*))?")
MEMORY_UNITS = {"M": 20, "G": 30}
LOOPBACK = {"": "127.0.0.1", "localhost": "127.0.0.1"}


@dataclass(frozen=True)
class ImConfig(ClientsConfig):
    """The gateway's."""

    storage_rpc_addrs: tuple[str, ...] = addresses("127.0.0.1:13333")
    route_addrs: tuple[str, ...] = addresses("127.0.0.1:4444")
    storage_timeout: float = positive(4.0)
    cluster: ClusterConfig = ClusterConfig()
    redis: RedisConfig = RedisConfig()
    log: LogConfig = LogConfig()
    pending_root: str = "pending"
    mysqldb_datasource: str = secret()
    """Where the app's groups are; "": nowhere."""
    group_events: str = one_of("stream", "pubsub")
    """How the app's server announces their changes."""
    group_storage_rpc_addrs: tuple[str, ...] = addresses()
    group_route_addrs: tuple[str, ...] = addresses()

    def check(self) -> None:
        """A router that is named twice would be two to the gateway: what went to the one would come
        back from the other."""
        super().check()
        if (self.enable_friendship or self.enable_blacklist) and not self.mysqldb_datasource:
            raise ConfigError("enable_friendship and enable_blacklist want mysqldb_datasource")
        named: dict[Address, str] = {}
        for key in ("route_addrs", "group_route_addrs"):
            for text in getattr(self, key):
                host, port = parse_address(text, key)
                # An empty host is connected to as this machine.
                same = Address(LOOPBACK.get(host.lower(), host.lower()), port)
                before = named.setdefault(same, "")
                if before:
                    twice = f"{key} names {text} twice"
                    both = f"{before} and {key} both name {text}"
                    raise ConfigError(twice if before == key else both)
                named[same] = key


@dataclass(frozen=True)
class RouterConfig:
    """How the router deals with gateways."""

    listen: str = address("127.0.0.1:4444")
    push_disabled: bool = False
    is_push_system: bool = True
    push_backlog: int = 100_000
    """How many pushes may wait for their lists."""
    link_backlog: int = 64 << 20
    """How many bytes may wait for a gateway that does not read."""
    push_grace: float = not_negative(10.0)
    """Seconds after the start for which pushes wait: gateways say first who is online."""
    link_grace: float = not_negative(3.0)
    """The same for the users of a gateway whose link was lost."""


@dataclass(frozen=True)
class ImrConfig(RouterConfig):
    """The router's."""

    mysqldb_datasource: str = secret()
    group_events: str = one_of("stream", "pubsub")
    http_listen_address: str = address("")
    cluster: ClusterConfig = ClusterConfig()
    redis: RedisConfig = RedisConfig()
    log: LogConfig = LogConfig()


@dataclass(frozen=True)
class StorageConfig:
    """How storage keeps messages, wherever that is."""

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
    """Storage's."""

    storage_root: str = "storage"
    http_listen_address: str = address("")
    cluster: ClusterConfig = ClusterConfig()
    log: LogConfig = LogConfig()


@dataclass(frozen=True)
class EmbeddedConfig:
    """Of all three in one process. What it keeps lies in the folder of the command line."""

    im: ClientsConfig = ClientsConfig(
        host="127.0.0.1", ws_address="127.0.0.1:13891", http_listen_address="127.0.0.1:6666"
    )
    imr: RouterConfig = RouterConfig()
    ims: StorageConfig = StorageConfig()
    cluster: ClusterConfig = ClusterConfig()
    log: LogConfig = LogConfig()


class Address(NamedTuple):
    """Where to listen or connect; an empty host means every interface."""

    host: str
    port: int


def parse_address(text: str, key: str = "address") -> Address:
    """``host:port``, ``:port`` or ``[v6]:port``; `ConfigError` if it is none of these."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"{key}: {text!r} is not host:port")
    return Address(host.strip("[]"), int(port))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_memory(text: str, key: str = "memory") -> int:
    """Bytes, from ``512M`` or ``4G``; `ConfigError` if it is neither."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in MEMORY_UNITS or not (number.isascii() and number.isdigit()) or not int(number):
        raise ConfigError(f"{key}: {text!r} is no amount of memory such as 512M or 4G")
    return int(number) << MEMORY_UNITS[unit]


def load(kind: type[C], path: str | None, overrides: Iterable[str] = ()) -> C:
    """Read a TOML file (none: all defaults), then apply overrides of the form key=value.

    An override's value is TOML, or else a string: ``port=24000``, ``redis.address=host:6379``.
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
            raise ConfigError(f"--set {override}: key=value is wanted")
        config = _override(kind, config, key, value)
    _check_together(config, path or "the defaults")
    return config


def _check_together(config: object, source: str) -> None:
    """A dataclass may have a method `check`, for what no key shows by itself."""
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
        # A password of digits is a number to TOML, and yet meant as it stands.
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
                raise ConfigError(f"{source}: {name} is a table, not {type(value).__name__}")
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
        raise ConfigError(f"{name} is one of {', '.join(metadata['choices'])}, not {value!r}")
    if "positive" in metadata and not 0 < value < math.inf:
        raise ConfigError(f"{name} is above 0 and finite, not {value!r}")
    if "not_negative" in metadata and not 0 <= value < math.inf:
        raise ConfigError(f"{name} is 0 or above and finite, not {value!r}")
    if "port" in metadata and not 0 <= value <= 65535:
        raise ConfigError(f"{name} is the number of a port, not {value!r}")
    if "address" in metadata and (value or declared.default):
        parse_address(value, name)
    if "origins" in metadata:
        for one in value:
            if one not in ("*", "null") and not ORIGIN.fullmatch(one):
                raise ConfigError(f"{name}: {one!r} is no origin such as https://chat.example.com")
    if "memory" in metadata and value:
        parse_memory(value, name)
    if "addresses" in metadata:
        if not value and declared.default:
            raise ConfigError(f"{name} names at least one address")
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
    raise ConfigError(f"{name} wants {shown}, not {type(value).__name__}")


def without_effect(config: object, prefix: str = "") -> Iterator[str]:
    """A line for every key that is set although we do not need it."""
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            yield from without_effect(value, f"{prefix}{f.name}.")
        elif "ignored" in f.metadata and value != f.default:
            yield f"{prefix}{f.name} has no effect: {f.metadata['ignored']}"
