"""The file that ``twistd --logfile`` names, so that others may move it or cut it off.

twistd opens the file once, and remembers where it ends. If logrotate moves it away, all that
follows goes to the moved one; if logrotate truncates it (``copytruncate``), what follows lies
behind a hole as long as what was there. And it begins a new file by itself after a megabyte, with
numbers that get into logrotate's way, and never removes one.

So we give twistd a log file of our own, which is twistd's but for three things: each write goes to
the end, wherever that is; it can be opened again; and it grows until somebody does something.
"""

import fcntl
import os
import sys
from collections.abc import Mapping
from typing import Any

from twisted.python.logfile import LogFile
from twisted.python.threadable import synchronize


class AppendedLogFile(LogFile):
    """A log file that always writes to the end, and may be opened again."""

    synchronized = ["reopen"]

    def _openFile(self) -> None:
        super()._openFile()
        descriptor = self._file.fileno()
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)

    def reopen(self) -> None:
        """Go on in the file that has the name now, and make it if there is none.

        OSError if that cannot be; then it goes on where it was.
        """
        before = self._file
        self._openFile()
        before.close()


synchronize(AppendedLogFile)


def log_path(twistd: Mapping[str, Any]) -> str:
    """Into which file twistd's options say that it logs; "" if into none."""
    if twistd.get("logger") or twistd.get("syslog"):
        return ""
    name: str = twistd.get("logfile") or ("" if twistd.get("nodaemon") else "twistd.log")
    return os.path.abspath(name) if name not in ("", "-") else ""


def logs_to_stdout(twistd: Mapping[str, Any]) -> bool:
    """Whether they say that it logs to standard output."""
    return not (twistd.get("logger") or twistd.get("syslog") or log_path(twistd))


def open_log(path: str) -> AppendedLogFile:
    """Open it. If that cannot be, the process ends with one line."""
    try:
        return AppendedLogFile.fromFullPath(path, rotateLength=None)  # type: ignore[no-any-return]
    except OSError as why:
        sys.exit(f"{path} cannot be opened: {why.strerror}")
