"""Configuration: one frozen dataclass per daemon, read from TOML.

The keys are those of the Go server, so an existing configuration works unchanged. etc/*.toml
describes each key. An unknown key or an impossible value raises `ConfigError`, which names the
file and the key. Secrets are left out when a configuration is shown.

To add a key, add a field to the dataclass of its daemon and a line to the sample in etc/.
"""

from gobelieve.config.embedded import EmbeddedConfig
from gobelieve.config.im import ClientsConfig, ImConfig
from gobelieve.config.imr import ImrConfig, RouterConfig
from gobelieve.config.ims import ImsConfig, StorageConfig
from gobelieve.config.loading import load, without_effect
from gobelieve.config.shared import SHORTEST_SECRET, ClusterConfig, LogConfig, RedisConfig
from gobelieve.config.values import Address, is_loopback, parse_address

__all__ = [
    "SHORTEST_SECRET",
    "Address",
    "ClientsConfig",
    "ClusterConfig",
    "EmbeddedConfig",
    "ImConfig",
    "ImrConfig",
    "ImsConfig",
    "LogConfig",
    "RedisConfig",
    "RouterConfig",
    "StorageConfig",
    "is_loopback",
    "load",
    "parse_address",
    "without_effect",
]
