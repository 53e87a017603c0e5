"""The file that ``twistd --logfile`` names, which logrotate may move or truncate.

twistd's own log file does not allow that. It opens the file once and remembers its end:

- If logrotate moves the file, all further lines go to the moved one.
- If logrotate truncates it (``copytruncate``), further lines are written behind a long hole.
- After a megabyte it begins a new file by itself, with a number, and never removes one.

The log file of this module always writes to the present end, can be opened again, and never begins
a new file by itself.
"""

import fcntl
import os
import sys
from collections.abc import Mapping
from typing import Any

from twisted.python.logfile import LogFile
from twisted.python.threadable import synchronize


class AppendedLogFile(LogFile):
    """A log file that always writes to its end, and can be opened again."""

    synchronized = ["reopen"]

    def _openFile(self) -> None:
        super()._openFile()
        descriptor = self._file.fileno()
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)

    def reopen(self) -> None:
        """Continue in the file that has the name now; it is created if there is none.

        `OSError` if it cannot be opened; then the log continues in the former file.
        """
        before = self._file
        self._openFile()
        before.close()


synchronize(AppendedLogFile)


def log_path(twistd: Mapping[str, Any]) -> str:
    """Return the path of the log file by the options of twistd; "" if there is none."""
    if twistd.get("logger") or twistd.get("syslog"):
        return ""
    name: str = twistd.get("logfile") or ("" if twistd.get("nodaemon") else "twistd.log")
    return os.path.abspath(name) if name not in ("", "-") else ""


def logs_to_stdout(twistd: Mapping[str, Any]) -> bool:
    """Return True if twistd logs to standard output by its options."""
    return not (twistd.get("logger") or twistd.get("syslog") or log_path(twistd))


def open_log(path: str) -> AppendedLogFile:
    """Open the log file. If it cannot be opened, the process ends with one line."""
    try:
        return AppendedLogFile.fromFullPath(path, rotateLength=None)  # type: ignore[no-any-return]
    except OSError as why:
        sys.exit(f"{path} cannot be opened: {why.strerror}")
