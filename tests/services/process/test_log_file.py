"""The log file: moved away, cut off, opened again."""

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.process.log_file import AppendedLogFile, log_path, open_log


class LogFileTests(SynchronousTestCase):
    """What others do to it, and what becomes of lines."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "ims.log"
        self.file = open_log(str(self.path))
        self.addCleanup(lambda: self.file.close())

    def test_moved_away(self) -> None:
        """Lines go to the moved file until it is opened again, then to a new one. None is lost."""
        self.file.write("one\n")
        moved = self.path.rename(self.folder / "ims.log.1")
        self.file.write("two\n")
        self.file.reopen()
        self.file.write("three\n")
        self.assertEqual(moved.read_text(), "one\ntwo\n")
        self.assertEqual(self.path.read_text(), "three\n")

    def test_moved_away_and_made_anew(self) -> None:
        """logrotate's ``create``: what the new file has stays."""
        self.path.rename(self.folder / "ims.log.1")
        self.path.write_text("new\n")
        self.file.reopen()
        self.file.write("line\n")
        self.assertEqual(self.path.read_text(), "new\nline\n")

    def test_still_there(self) -> None:
        """It goes on at its end."""
        self.file.write("one\n")
        self.file.reopen()
        self.file.write("two\n")
        self.assertEqual(self.path.read_text(), "one\ntwo\n")

    def test_cut_off(self) -> None:
        """logrotate's ``copytruncate``: there is no hole in front of what follows."""
        self.file.write("one\n")
        os.truncate(self.path, 0)
        self.file.write("two\n")
        self.assertEqual(self.path.read_bytes(), b"two\n")
        self.file.reopen()
        os.truncate(self.path, 0)
        self.file.write("three\n")
        self.assertEqual(self.path.read_bytes(), b"three\n")

    def test_it_cannot_be_opened_again(self) -> None:
        """It goes on where it was."""
        moved = self.path.rename(self.folder / "ims.log.1")
        self.path.mkdir()
        self.assertRaises(OSError, self.file.reopen)
        self.file.write("one\n")
        self.path.rmdir()
        self.file.reopen()
        self.file.write("two\n")
        self.assertEqual((moved.read_text(), self.path.read_text()), ("one\n", "two\n"))

    def test_it_does_not_begin_a_new_file_by_itself(self) -> None:
        """But when it is told so."""
        self.file.write("x" * 1_100_000 + "\n")
        self.file.write("y\n")
        self.assertEqual(os.listdir(self.folder), ["ims.log"])
        self.file.rotate()
        self.file.write("z\n")
        self.assertEqual(sorted(os.listdir(self.folder)), ["ims.log", "ims.log.1"])
        self.assertEqual(self.path.read_text(), "z\n")

    def test_no_descriptor_is_left_behind(self) -> None:
        """However often it is opened."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            self.file.reopen()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_file_that_cannot_be_opened(self) -> None:
        """Ends the process with one line that names it."""
        path = str(self.folder / "nowhere" / "ims.log")
        with self.assertRaises(SystemExit) as caught:
            open_log(path)
        self.assertEqual(
            caught.exception.code, f"{path} cannot be opened: No such file or directory"
        )

    def test_it_is_twisteds(self) -> None:
        """So that nobody who knows that one is surprised."""
        self.assertIsInstance(self.file, AppendedLogFile)


class PathTests(SynchronousTestCase):
    """Into which file twistd's options say that it logs."""

    def path(self, **options: Any) -> str:
        """Relative to here."""
        defaults = {"logfile": None, "logger": None, "syslog": 0, "nodaemon": 0}
        found = log_path({**defaults, **options})
        return os.path.relpath(found) if found else ""

    def test_paths(self) -> None:
        """As twistd itself understands them."""
        self.assertEqual(self.path(logfile="a/ims.log"), "a/ims.log")
        self.assertEqual(self.path(logfile="ims.log", nodaemon=1), "ims.log")
        self.assertEqual(self.path(), "twistd.log")

    def test_no_file(self) -> None:
        """Standard output, syslog, somebody else's observer."""
        self.assertEqual(self.path(nodaemon=1), "")
        self.assertEqual(self.path(logfile="-", nodaemon=1), "")
        self.assertEqual(self.path(syslog=1), "")
        self.assertEqual(self.path(logger="a.b", logfile="ims.log"), "")
