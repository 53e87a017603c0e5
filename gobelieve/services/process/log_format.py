"""What the lines of a log look like, and which there are.

As text, a line as any Twisted program writes it; or as JSON, an object a line: ``time`` (ISO 8601),
``level``, ``from`` (which part of the program), ``text``, and for what we did wrong ``traceback``.
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
"""Upstream's names."""
NAMES = {level: name for name, level in LEVELS.items()}


def json_line(event: LogEvent) -> str:
    """One event as a line."""
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
    """Writes to the file what the configuration asks for."""
    if config.format == "json":
        writer: ILogObserver = FileLogObserver(file, json_line)
    else:
        writer = textFileLogObserver(file)
    wanted = LogLevelFilterPredicate(defaultLogLevel=LEVELS[config.level])
    return FilteringLogObserver(writer, [wanted])
