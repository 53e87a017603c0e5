"""The file of forbidden words; the gateway reads it at the start, and again at SIGHUP."""

import os
from pathlib import Path

from twisted.application.service import Service
from twisted.logger import Logger

from gobelieve.errors import GobelieveError
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.services.process.daemon import DaemonService
from gobelieve.services.process.ordered import OrderedService
from gobelieve.services.process.starting import cannot_start


class WordFileError(GobelieveError):
    """The file cannot be used; the text names it and the reason."""


class WordFile(Service):
    """Reads the file, which has one word per line, in UTF-8."""

    log = Logger()

    def __init__(self, path: str, words: WordFilter) -> None:
        # Before twistd changes to another directory.
        self._path = os.path.abspath(path)
        self._words = words

    def startService(self) -> None:
        super().startService()
        try:
            self.load()
        except WordFileError as why:
            cannot_start(why)

    def load(self) -> None:
        """Read the file. `WordFileError` if it cannot be read; then the former words stay."""
        try:
            lines = Path(self._path).read_text("utf-8-sig").splitlines()
        except OSError as why:
            raise WordFileError(f"word_file {self._path}: {why.strerror}") from None
        except UnicodeDecodeError as why:
            raise WordFileError(f"word_file {self._path} is not UTF-8: {why}") from None
        self._words.use(lines)
        self.log.info("{count} forbidden words are in use", count=len(self._words))


def add_words(parent: OrderedService, daemon: DaemonService, path: str, words: WordFilter) -> None:
    """Add ``words``, if the configuration names a file."""
    if path:
        file = WordFile(path, words)
        parent.add("words", file)
        daemon.hangup.add("the word file is read again", file.load)
