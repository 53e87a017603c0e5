"""Where a client keeps how far it has read: 0 is the user's queue, other ids are super groups."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gobelieve.errors import ConfigError


class KeyStore(Protocol):
    """Keeps sync keys."""

    def load(self) -> dict[int, int]:
        """What was kept; nothing at first."""

    def save(self, keys: Mapping[int, int]) -> None:
        """Keep these; when it returns they are safe. `OSError` if they are not."""


FROM_THE_BEGINNING: Mapping[int, int] = {0: 1}
"""Keys before every message of the user's queue. (Without any key the server goes on where the
user's other devices were.)"""


class MemoryKeyStore:
    """Keeps them while the process lives. After that the server's own record is used."""

    def __init__(self, keys: Mapping[int, int] | None = None) -> None:
        self.keys: dict[int, int] = dict(keys or {})

    def load(self) -> dict[int, int]:
        """What was kept."""
        return dict(self.keys)

    def save(self, keys: Mapping[int, int]) -> None:
        """Keep these."""
        self.keys.update(keys)


class FileKeyStore:
    """Keeps them in a file, one a user and device. The file is whole at every moment."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._keys: dict[int, int] = {}

    def load(self) -> dict[int, int]:
        """What the file says; `ConfigError` if it is not one of ours."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            self._keys = {int(group): int(key) for group, key in json.loads(text).items()}
        except (ValueError, AttributeError, TypeError):
            raise ConfigError(f"{self._path}: not a file of sync keys") from None
        return dict(self._keys)

    def save(self, keys: Mapping[int, int]) -> None:
        """Write aside, sync, rename, sync the folder."""
        self._keys.update(keys)
        aside = self._path.with_name(self._path.name + ".new")
        with aside.open("w") as file:
            json.dump(self._keys, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
