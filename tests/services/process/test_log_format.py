"""The format of the log."""

import io
import json
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import LogConfig
from gobelieve.services.process.log_format import observer_of


class LogFormatTests(SynchronousTestCase):
    """Events that are written to a file."""

    def logged(self, **config: Any) -> list[str]:
        """Return the lines for one event of each level, and for a bug."""
        file = io.StringIO()
        log = Logger(
            "gobelieve.test", observer=LogPublisher(observer_of(file, LogConfig(**config)))
        )
        log.debug("a detail of {user}", user="Zoë")
        log.info("news\nin {count} lines", count=2)
        log.warn("somebody's mistake")
        log.error("something to do")
        try:
            raise ValueError("a bug")
        except ValueError:
            log.failure("our mistake")
        return file.getvalue().splitlines()

    def test_as_text_from_info_on(self) -> None:
        """By default the log is text, without debug events."""
        text = "\n".join(self.logged())
        self.assertNotIn("a detail", text)
        for words in ("news\n\tin 2 lines", "somebody's", "something", "our mistake", "ValueError"):
            self.assertIn(words, text)

    def test_as_json(self) -> None:
        """In JSON each event is one line with one object."""
        lines = [json.loads(line) for line in self.logged(format="json", level="debug")]
        self.assertEqual(
            [(line["level"], line["text"]) for line in lines],
            [
                ("debug", "a detail of Zoë"),
                ("info", "news\nin 2 lines"),
                ("warn", "somebody's mistake"),
                ("error", "something to do"),
                ("fatal", "our mistake"),
            ],
        )
        self.assertEqual({line["from"] for line in lines}, {"gobelieve.test"})
        self.assertIn("ValueError: a bug", lines[-1]["traceback"])
        self.assertRegex(lines[0]["time"], r"^\d{4}-\d\d-\d\dT.*\+00:00$")

    def test_levels(self) -> None:
        """Each level leaves out the events below it."""
        counts = [len(self.logged(format="json", level=level)) for level in LEVELS]
        self.assertEqual(counts, [5, 4, 3, 2, 1])


LEVELS = ("debug", "info", "warn", "error", "fatal")
