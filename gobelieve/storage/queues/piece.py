"""A piece of a block, which a slave appends to its files as its master sent it."""

from typing import NamedTuple

from gobelieve.storage.files.blocks import Position
from gobelieve.storage.format.records import Entry


class Piece(NamedTuple):
    """Bytes for one block. They begin at the end of the files, or begin a new block."""

    position: Position
    data: bytes
    entries: list[tuple[int, Entry]]
    """The queue records in the bytes, with their ids."""
