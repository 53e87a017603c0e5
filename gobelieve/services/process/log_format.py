"""The format of the log, and the level below which events are left out.

As text, a line has the usual format of Twisted. As JSON, each line is an object with ``time``
(ISO 8601), ``level``, ``from`` (the part of the program) and ``text``; for a bug it has
``traceback`` as well.
"""

import json
from datetime import UTC, datetime
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    textFileLogObserver,
)

from gobelieve.config import LogConfig

LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "error": LogLevel.error,
    "fatal": LogLevel.critical,
}
"""The levels by their names in the configuration of the Go server."""
NAMES = {level: name for name, level in LEVELS.items()}


def json_line(event: LogEvent) -> str:
    """Return an event as a line of JSON."""
    level = event.get("log_level", LogLevel.info)
    line = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": NAMES.get(level, "info"),
        "from": event.get("log_namespace", ""),
        "text": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["text"] = line["text"] or failure.getErrorMessage()
        line["traceback"] = failure.getTraceback()
    return json.dumps(line, ensure_ascii=False) + "\n"


def observer_of(file: IO[Any], config: LogConfig) -> ILogObserver:
    """Return the observer that writes to a file in the configured format and level."""
    if config.format == "json":
        writer: ILogObserver = FileLogObserver(file, json_line)
    else:
        writer = textFileLogObserver(file)
    wanted = LogLevelFilterPredicate(defaultLogLevel=LEVELS[config.level])
    return FilteringLogObserver(writer, [wanted])
