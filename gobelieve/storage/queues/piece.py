"""A piece of a block: what a slave appends to its files as its master sent it."""

from typing import NamedTuple

from gobelieve.storage.files.blocks import Position
from gobelieve.storage.format.records import Entry


class Piece(NamedTuple):
    """Bytes for one block, from a place that is the end or begins a block."""

    position: Position
    data: bytes
    entries: list[tuple[int, Entry]]
    """The queue records among them, with their ids."""
