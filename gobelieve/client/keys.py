"""Stores for sync keys. A key says how far a client has read one queue.

The keys are by group id: 0 is the user's own queue, other ids are super groups.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gobelieve.errors import ConfigError


class KeyStore(Protocol):
    """A store for the sync keys of one user and device."""

    def load(self) -> dict[int, int]:
        """Return the stored keys, or an empty dict at first."""

    def save(self, keys: Mapping[int, int]) -> None:
        """Store these keys. Returns when they are safe; raises `OSError` if they are not."""


FROM_THE_BEGINNING: Mapping[int, int] = {0: 1}
"""Keys before every message of the user's queue.

Without a key the server begins at the last key that any device of the user reported.
"""


class MemoryKeyStore:
    """Keeps the keys in memory. After a restart the client begins at the server's key."""

    def __init__(self, keys: Mapping[int, int] | None = None) -> None:
        self.keys: dict[int, int] = dict(keys or {})

    def load(self) -> dict[int, int]:
        """Return the stored keys."""
        return dict(self.keys)

    def save(self, keys: Mapping[int, int]) -> None:
        """Store these keys in memory."""
        self.keys.update(keys)


class FileKeyStore:
    """Keeps the keys in a file, one file per user and device. The file is complete at any time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._keys: dict[int, int] = {}

    def load(self) -> dict[int, int]:
        """Return the keys in the file. Raises `ConfigError` if it is not a file of sync keys."""
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
        """Write a new file, sync it, give it the name of the old one, and sync the folder."""
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
