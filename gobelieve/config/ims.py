"""The configuration of storage."""

from dataclasses import dataclass, field

from gobelieve.config.fields import address, ignored, one_of, positive
from gobelieve.config.shared import ClusterConfig, LogConfig


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
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    log: LogConfig = field(default_factory=LogConfig)
