"""Frames and messages: the bytes of every link. Each message is declared once; there is no I/O."""

from gobelieve.wire import client, cluster, customers, replication, route, storage
from gobelieve.wire.frames import Frame, FrameReader, encode_frame
from gobelieve.wire.message import MESSAGES, Message, Sender, decode, sent_by
from gobelieve.wire.older import retired, storage_clients

__all__ = [
    "MESSAGES",
    "Frame",
    "FrameReader",
    "Message",
    "Sender",
    "client",
    "cluster",
    "customers",
    "decode",
    "encode_frame",
    "replication",
    "retired",
    "route",
    "sent_by",
    "storage",
    "storage_clients",
]
