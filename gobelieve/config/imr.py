"""The configuration of the router."""

from dataclasses import dataclass, field

from gobelieve.config.fields import address, not_negative, one_of, secret
from gobelieve.config.shared import ClusterConfig, LogConfig, RedisConfig


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
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    redis: RedisConfig = field(default_factory=RedisConfig)
    log: LogConfig = field(default_factory=LogConfig)
