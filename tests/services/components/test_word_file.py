"""The file of forbidden words."""

import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.services import embedded, im
from gobelieve.services.components.word_file import WordFile, WordFileError
from gobelieve.services.process.starting import StartError
from tests.fakes.reactor import FakeReactor


class WordFileTests(SynchronousTestCase):
    """The service that reads the file."""

    def setUp(self) -> None:
        self.patch(sys, "excepthook", sys.excepthook)
        self.path = Path(self.mktemp())
        self.path.write_text("\ufeffbad\r\n\r\n坏 人\n  \nbad\n", "utf-8")
        self.words = WordFilter()
        self.file = WordFile(str(self.path), self.words)

    def cleaned(self, text: str) -> bytes:
        """Return a text as the filter changes it."""
        body = bytes(24) + b'{"text":"' + text.encode() + b'"}'
        return self.words.clean(body, 1)[33:-2]

    def test_one_word_per_line(self) -> None:
        """Empty lines, line ends and a byte order mark are not part of a word."""
        self.file.startService()
        self.assertEqual(len(self.words), 2)
        self.assertEqual(self.cleaned("bad坏人"), b"*****")

    def test_a_file_that_cannot_be_used_ends_the_start(self) -> None:
        """The start ends with one line that names the file."""
        self.path.unlink()
        with self.assertRaisesRegex(StartError, f"word_file .*{self.path.name}: No such file"):
            self.file.startService()
        self.path.write_bytes(b"\xff\xfe")
        with self.assertRaisesRegex(StartError, "is not UTF-8"):
            WordFile(str(self.path), self.words).startService()

    def test_read_again(self) -> None:
        """The words of the changed file are used; if it cannot be read, the former words."""
        self.file.startService()
        self.path.write_text("worse\n")
        self.file.load()
        self.assertEqual(self.cleaned("badworse"), b"bad*****")
        for broken in (b"\xff", None):
            if broken is None:
                self.path.unlink()
            else:
                self.path.write_bytes(broken)
            with self.assertRaises(WordFileError):
                self.file.load()
            self.assertEqual(self.cleaned("badworse"), b"bad*****")


class DaemonTests(SynchronousTestCase):
    """The service in the daemons that have a gateway."""

    def made(self, module: Any, *settings: str) -> Any:
        """Return a daemon that is assembled, but not started."""
        options = module.Options()
        options.parseOptions([word for setting in settings for word in ("--set", setting)])
        return module.makeService(options, FakeReactor())

    def test_it_is_read_before_clients_come_and_again_at_sighup(self) -> None:
        """Daemons with a gateway read the file before they listen, and again at SIGHUP."""
        path = Path(self.mktemp())
        path.write_text("bad\n")
        for module, key, within in ((im, "word_file", None), (embedded, "im.word_file", "im")):
            service = self.made(module, f"{key}={path}")
            parent = service.getServiceNamed(within) if within else service
            names = [child.name for child in parent]
            self.assertLess(names.index("words"), names.index("tcp"))
            words = parent.getServiceNamed("words")
            words.startService()
            self.assertEqual(len(words._words), 1)
            path.write_text("bad\nworse\n")
            service.hangup.call_all()
            self.assertEqual(len(words._words), 2)
            path.write_text("bad\n")
            self.assertRaises(KeyError, self.made(module).getServiceNamed, "words")
