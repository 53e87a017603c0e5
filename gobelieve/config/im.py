"""The configuration of the gateway."""

from dataclasses import dataclass, field

from gobelieve.config.fields import (
    address,
    addresses,
    ignored,
    memory,
    not_negative,
    one_of,
    origins,
    port_number,
    positive,
    secret,
)
from gobelieve.config.shared import SHORTEST_SECRET, ClusterConfig, LogConfig, RedisConfig
from gobelieve.config.values import Address, is_loopback, parse_address, parse_memory
from gobelieve.errors import ConfigError

LOOPBACK = {"": "127.0.0.1", "localhost": "127.0.0.1"}
"""Other names of this machine."""


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
    jwt_former_keys: tuple[str, ...] = secret(())
    http_api_keys: tuple[str, ...] = secret(())
    """The keys for the HTTP API. Without any, every program on this machine may use it."""
    app_secrets: tuple[str, ...] = secret(())
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


@dataclass(frozen=True)
class ImConfig(ClientsConfig):
    """The configuration of the gateway, im."""

    storage_rpc_addrs: tuple[str, ...] = addresses("127.0.0.1:13333")
    route_addrs: tuple[str, ...] = addresses("127.0.0.1:4444")
    storage_timeout: float = positive(4.0)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    redis: RedisConfig = field(default_factory=RedisConfig)
    log: LogConfig = field(default_factory=LogConfig)
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
