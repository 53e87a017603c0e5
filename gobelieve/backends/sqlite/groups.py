"""Groups in the SQLite file.

Another process may change them (``sqlite3``, the ``gobelieve`` command). SQLite tells a connection
whether somebody else wrote to the file, though not what: that stands for a change that was missed.
"""

import sqlite3

from twisted.application.internet import TimerService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gobelieve.backends.sqlite.service import SqliteService
from gobelieve.errors import BackendError
from gobelieve.interfaces import EventSink, Group, membership

CHECK_SECONDS = 1.0

MEMBERS_PER_PAGE = 1000
"""Members that are read at once; between the pages the other threads get their turn."""


class SqliteGroups:
    """`gobelieve.interfaces.GroupStore`."""

    def __init__(self, sqlite: SqliteService) -> None:
        self._sqlite = sqlite

    async def load(self, group_id: int) -> Group | None:
        """All of it as of one moment."""
        return await self._sqlite.run(lambda db: _load(db, group_id))


def _load(db: sqlite3.Cursor, group_id: int) -> Group | None:
    db.execute('SELECT appid, super FROM "group" WHERE id = ? AND deleted = 0', (group_id,))
    row = db.fetchone()
    if row is None:
        return None
    members: dict[int, int] = {}
    db.execute(
        "SELECT uid, timestamp, mute FROM group_member WHERE group_id = ? AND deleted = 0",
        (group_id,),
    )
    while page := db.fetchmany(MEMBERS_PER_PAGE):
        members.update([(uid, membership(when or 0, bool(mute))) for uid, when, mute in page])
    return Group(group_id, row[0] or 0, bool(row[1]), members)


class SqliteChanges(TimerService):
    """Tells the sink whether other processes wrote to the file."""

    _log = Logger()

    def __init__(self, sqlite: SqliteService, sink: EventSink, reactor: IReactorTime) -> None:
        super().__init__(CHECK_SECONDS, self.check)
        self.clock = reactor
        self._sqlite = sqlite
        self._sink = sink
        self._version: int | None = None

    async def check(self) -> None:
        """Look once."""
        try:
            version = await self._sqlite.run(_data_version)
            if self._version not in (None, version):
                self._sink.moved(version)
            self._version = version
            self._sink.checked(version)
        except BackendError:
            self._sink.interrupted()
        except Exception:
            # It must not end the checks for good.
            self._log.failure("looking for changes failed")
            self._sink.interrupted()


def _data_version(db: sqlite3.Cursor) -> int:
    (version,) = db.execute("PRAGMA data_version").fetchone()
    return int(version)
