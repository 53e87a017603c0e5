"""The client library: `ClientCore` knows the dialogue, `Client` brings it to the network."""

from gobelieve.client.client import Client
from gobelieve.client.core import ClientCore
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
from gobelieve.client.patience import Timing

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
