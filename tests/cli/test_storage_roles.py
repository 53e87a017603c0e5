"""``gobelieve storage promote`` and ``resync``: the role of a slave's directory."""

import os
from pathlib import Path

from gobelieve.storage.replication import roles
from gobelieve.storage.tools.jump import first_block
from tests.cli.directories import StorageCommand
from tests.storage.support import open_store


class RolesCase(StorageCommand):
    """Has a directory that is marked as a slave's."""

    def setUp(self) -> None:
        super().setUp()
        roles.mark(self.root)


class PromoteTests(RolesCase):
    """``promote`` makes a slave's directory a master's."""

    def test_the_mark_is_gone(self) -> None:
        """The blocks stay as they are."""
        before = self.blocks(self.root)
        code, out, err = self.storage("promote", self.root)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("without master_address", out)
        first = (1024 << 27) + 32
        self.assertIn(f"new messages get ids from {first} on", out)
        self.assertFalse(roles.is_slave(self.root))
        self.assertEqual(self.blocks(self.root), before)
        roles.check(self.root)

    def test_only_a_slave(self) -> None:
        """A second promotion, or one of no directory, is refused with one line."""
        self.storage("promote", self.root)
        code, out, err = self.storage("promote", self.root)
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"{self.root} is neither a slave's directory nor a backup", err)
        code, _, err = self.storage("promote", self.root + "-nowhere")
        self.assertEqual(code, 1)
        self.assertIn("is no directory", err)

    def test_in_use(self) -> None:
        """A directory whose daemon runs is refused."""
        self.hold()
        code, _, err = self.storage("promote", self.root)
        self.assertEqual(code, 1)
        self.assertIn("is in use", err)
        self.assertTrue(roles.is_slave(self.root))


class JumpTests(StorageCommand):
    """``jump`` makes new ids larger, in a copy that was put back without gobelieve's commands."""

    def test_new_ids_are_larger(self) -> None:
        """The blocks stay as they are."""
        before = self.blocks(self.root)
        code, out, err = self.storage("jump", "--above", str(9 << 27), self.root)
        first = (1033 << 27) + 32
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"new messages get ids from {first} on", out)
        self.assertEqual(self.blocks(self.root), before)
        self.assertEqual(first_block(self.root), 1033)

    def test_only_a_directory_that_a_daemon_may_serve(self) -> None:
        """It makes no directory, and refuses one in use, a slave's, and a wrong id."""
        nowhere = self.mktemp()
        self.assertEqual(self.storage("jump", nowhere)[0], 1)
        self.assertFalse(os.path.exists(nowhere))
        self.assertRaises(SystemExit, self.storage, "jump", "--above=-1", self.root)
        roles.mark(self.root)
        self.assertIn("promote", self.storage("jump", self.root)[2])
        os.unlink(f"{self.root}/role")
        self.hold()
        self.assertIn("is in use", self.storage("jump", self.root)[2])
        self.assertEqual(first_block(self.root), 0)


class ResyncTests(RolesCase):
    """``resync`` lets a slave begin anew."""

    def test_only_said(self) -> None:
        """Without ``--yes`` nothing is changed."""
        before = self.files(self.root)
        code, out, err = self.storage("resync", self.root)
        self.assertEqual(code, 0)
        self.assertIn(f"{self.root}.diverged-1", out)
        self.assertIn("--yes does it", err)
        self.assertEqual(self.files(self.root), before)

    def test_set_aside(self) -> None:
        """The files move to another directory.

        The slave's directory is empty and still a slave's.
        """
        before = self.files(self.root)
        for number in (1, 2):
            code, out, err = self.storage("resync", "--yes", self.root)
            self.assertEqual((code, err), (0, ""))
            self.assertIn(f"{self.root}.diverged-{number}", out)
            self.assertTrue(roles.is_slave(self.root))
            self.assertEqual(self.blocks(self.root), {})
        self.assertEqual(self.files(f"{self.root}.diverged-1"), before)
        store = open_store(self.root)
        self.assertEqual(store.blocks.end, (0, 32))
        store.close()

    def test_a_slash_behind_the_name(self) -> None:
        """A slash after the name makes no difference."""
        code, _, _ = self.storage("resync", "--yes", self.root + os.sep)
        self.assertEqual(code, 0)
        self.assertTrue(Path(f"{self.root}.diverged-1", "message_0").exists())

    def test_a_link(self) -> None:
        """If the name is a link, the old and the new files are on the disk to which it points."""
        link = self.mktemp()
        os.symlink(os.path.abspath(self.root), link)
        code, out, _ = self.storage("resync", "--yes", link)
        self.assertEqual(code, 0)
        self.assertIn(f"{os.path.abspath(self.root)}.diverged-1", out)
        self.assertTrue(os.path.islink(link))
        self.assertTrue(roles.is_slave(link))
        self.assertEqual(self.blocks(self.root), {})
        self.assertTrue(Path(f"{self.root}.diverged-1", "message_0").exists())

    def test_a_mount_point(self) -> None:
        """A mount point cannot be renamed, so nothing is changed."""
        before = self.files(self.root)
        self.patch(os.path, "ismount", lambda path: path == os.path.realpath(self.root))
        code, _, err = self.storage("resync", "--yes", self.root)
        self.assertEqual(code, 1)
        self.assertIn("is a mount point", err)
        self.assertEqual(self.files(self.root), before)

    def test_not_a_master(self) -> None:
        """A master's directory is refused, and so is one in use."""
        self.hold()
        code, _, err = self.storage("resync", "--yes", self.root)
        self.assertEqual(code, 1)
        self.assertIn("is in use", err)
        os.unlink(Path(self.root, "role"))
        for words in ((), ("--yes",)):
            code, _, err = self.storage("resync", *words, self.root)
            self.assertEqual(code, 1)
            self.assertIn("is neither a slave's directory nor a backup", err)
