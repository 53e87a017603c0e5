"""Frames and messages: the bytes of every link. Each message is declared once; there is no I/O."""

from gobelieve.wire import client, cluster, route, storage
from gobelieve.wire.frames import Frame, FrameReader, encode_frame
from gobelieve.wire.message import MESSAGES, Message, Sender, decode, sent_by

__all__ = [
    "MESSAGES",
    "Frame",
    "FrameReader",
    "Message",
    "Sender",
    "client",
    "cluster",
    "decode",
    "encode_frame",
    "route",
    "sent_by",
    "storage",
]
