"""The stores that the gateway's rules use: of users, and of messages."""

from dataclasses import dataclass
from typing import Protocol

from gobelieve.backends.tokens.jwt import JwtTokens
from gobelieve.config import ClientsConfig
from gobelieve.interfaces import (
    DailyUsers,
    DeviceNumbers,
    Groups,
    MessageReader,
    MessageSaver,
    PendingMessages,
    Preferences,
    Relations,
    SuperGroupQueues,
    SyncKeys,
    Tokens,
    UnreadCounts,
)
from gobelieve.names import GroupReader, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The stores of what the gateway knows of users."""

    tokens: Tokens
    devices: DeviceNumbers
    sync_keys: SyncKeys[User]
    group_sync_keys: SyncKeys[GroupReader]
    unread: UnreadCounts
    daily: DailyUsers
    preferences: Preferences
    pending: PendingMessages
    groups: Groups | None
    """None where the site has no groups."""
    relations: Relations | None
    """None where everybody may write to everybody."""


class Queues(MessageSaver, MessageReader, SuperGroupQueues, Protocol):
    """Storage, with all that it can do for the gateway."""


def tokens(config: ClientsConfig, kept: Tokens, preferences: Preferences) -> Tokens:
    """Return the tokens by which clients log in: those in the store, or signed ones."""
    if config.auth_method == "jwt":
        return JwtTokens([config.jwt_signing_key, *config.jwt_former_keys], preferences)
    return kept
