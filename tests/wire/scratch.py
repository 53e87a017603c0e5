"""A scratch copy of the tables of kinds, for tests that declare kinds of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gobelieve.wire import message


@contextmanager
def scratch_kinds() -> Iterator[None]:
    """Let declarations fill the tables; at the end, take out what they added."""
    tables: tuple[dict[int, Any], ...] = (
        message.MESSAGES,
        message.STORED,
        message.LIVE,
        message.GROWN,
    )
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, entries in zip(tables, before, strict=True):
            table.clear()
            table.update(entries)
