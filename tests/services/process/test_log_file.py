"""The log file, which is moved, truncated, or opened again."""

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.services.process.log_file import AppendedLogFile, log_path, open_log


class LogFileTests(SynchronousTestCase):
    """The lines of a log file that logrotate changes."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "ims.log"
        self.file = open_log(str(self.path))
        self.addCleanup(lambda: self.file.close())

    def test_the_file_is_moved(self) -> None:
        """Lines go to the moved file until the log is opened again; none is lost."""
        self.file.write("one\n")
        moved = self.path.rename(self.folder / "ims.log.1")
        self.file.write("two\n")
        self.file.reopen()
        self.file.write("three\n")
        self.assertEqual(moved.read_text(), "one\ntwo\n")
        self.assertEqual(self.path.read_text(), "three\n")

    def test_the_file_is_moved_and_created(self) -> None:
        """With ``create`` of logrotate, the content of the new file stays."""
        self.path.rename(self.folder / "ims.log.1")
        self.path.write_text("new\n")
        self.file.reopen()
        self.file.write("line\n")
        self.assertEqual(self.path.read_text(), "new\nline\n")

    def test_the_file_is_still_there(self) -> None:
        """A file that is still there is continued at its end."""
        self.file.write("one\n")
        self.file.reopen()
        self.file.write("two\n")
        self.assertEqual(self.path.read_text(), "one\ntwo\n")

    def test_the_file_is_truncated(self) -> None:
        """With ``copytruncate`` of logrotate, there is no hole before the next line."""
        self.file.write("one\n")
        os.truncate(self.path, 0)
        self.file.write("two\n")
        self.assertEqual(self.path.read_bytes(), b"two\n")
        self.file.reopen()
        os.truncate(self.path, 0)
        self.file.write("three\n")
        self.assertEqual(self.path.read_bytes(), b"three\n")

    def test_it_cannot_be_opened_again(self) -> None:
        """If the file cannot be opened again, the log continues in the former one."""
        moved = self.path.rename(self.folder / "ims.log.1")
        self.path.mkdir()
        self.assertRaises(OSError, self.file.reopen)
        self.file.write("one\n")
        self.path.rmdir()
        self.file.reopen()
        self.file.write("two\n")
        self.assertEqual((moved.read_text(), self.path.read_text()), ("one\n", "two\n"))

    def test_it_does_not_begin_a_new_file_by_itself(self) -> None:
        """A new file begins only at SIGUSR1."""
        self.file.write("x" * 1_100_000 + "\n")
        self.file.write("y\n")
        self.assertEqual(os.listdir(self.folder), ["ims.log"])
        self.file.rotate()
        self.file.write("z\n")
        self.assertEqual(sorted(os.listdir(self.folder)), ["ims.log", "ims.log.1"])
        self.assertEqual(self.path.read_text(), "z\n")

    def test_no_descriptor_is_left_behind(self) -> None:
        """Opening the log again and again leaks no file descriptor."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            self.file.reopen()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_file_that_cannot_be_opened(self) -> None:
        """A file that cannot be opened ends the process with one line that names it."""
        path = str(self.folder / "nowhere" / "ims.log")
        with self.assertRaises(SystemExit) as caught:
            open_log(path)
        self.assertEqual(
            caught.exception.code, f"{path} cannot be opened: No such file or directory"
        )

    def test_it_is_a_twisted_log_file(self) -> None:
        """The class is a subclass of the log file of Twisted."""
        self.assertIsInstance(self.file, AppendedLogFile)


class PathTests(SynchronousTestCase):
    """The path of the log file by the options of twistd."""

    def path(self, **options: Any) -> str:
        """Return the path, relative to this folder."""
        defaults = {"logfile": None, "logger": None, "syslog": 0, "nodaemon": 0}
        found = log_path({**defaults, **options})
        return os.path.relpath(found) if found else ""

    def test_paths(self) -> None:
        """The options of twistd are read as twistd itself reads them."""
        self.assertEqual(self.path(logfile="a/ims.log"), "a/ims.log")
        self.assertEqual(self.path(logfile="ims.log", nodaemon=1), "ims.log")
        self.assertEqual(self.path(), "twistd.log")

    def test_no_file(self) -> None:
        """Standard output, syslog and another observer need no log file."""
        self.assertEqual(self.path(nodaemon=1), "")
        self.assertEqual(self.path(logfile="-", nodaemon=1), "")
        self.assertEqual(self.path(syslog=1), "")
        self.assertEqual(self.path(logger="a.b", logfile="ims.log"), "")
