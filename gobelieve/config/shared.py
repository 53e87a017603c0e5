"""The tables that several daemons have: Redis, the log, and the cluster's own links."""

from dataclasses import dataclass

from gobelieve.config.fields import address, ignored, one_of, positive, secret
from gobelieve.errors import ConfigError

SHORTEST_SECRET = 16
"""The fewest bytes of a cluster secret or an API key: a shorter one can be guessed."""


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
