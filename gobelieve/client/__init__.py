"""The client library: `Client` for the network, and `ClientCore` for the dialogue alone."""

from gobelieve.client.client import Client
from gobelieve.client.dialogue.core import ClientCore
from gobelieve.client.dialogue.timeouts import Timing
from gobelieve.client.events import (
    Acked,
    Broken,
    Event,
    KeyMoved,
    LiveReceived,
    LoggedIn,
    LoginRefused,
    MessageReceived,
    Overdue,
    Ponged,
    Synced,
)
from gobelieve.client.keys import FROM_THE_BEGINNING, FileKeyStore, KeyStore, MemoryKeyStore

__all__ = [
    "FROM_THE_BEGINNING",
    "Acked",
    "Broken",
    "Client",
    "ClientCore",
    "Event",
    "FileKeyStore",
    "KeyMoved",
    "KeyStore",
    "LiveReceived",
    "LoggedIn",
    "LoginRefused",
    "MemoryKeyStore",
    "MessageReceived",
    "Overdue",
    "Ponged",
    "Synced",
    "Timing",
]
