"""The configuration of the daemon that is gateway, router and storage in one."""

from dataclasses import dataclass, field

from gobelieve.config.im import ClientsConfig
from gobelieve.config.imr import RouterConfig
from gobelieve.config.ims import StorageConfig
from gobelieve.config.shared import ClusterConfig, LogConfig


@dataclass(frozen=True)
class EmbeddedConfig:
    """The configuration of the all-in-one daemon. Its files are in the folder of `--data`."""

    im: ClientsConfig = field(
        default_factory=lambda: ClientsConfig(
            host="127.0.0.1", ws_address="127.0.0.1:13891", http_listen_address="127.0.0.1:6666"
        )
    )
    imr: RouterConfig = field(default_factory=RouterConfig)
    ims: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    log: LogConfig = field(default_factory=LogConfig)
