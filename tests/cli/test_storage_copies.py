"""``gobelieve storage import``, ``backup`` and ``restore``: a copy is complete, or not there."""

import os
import subprocess
import sys
from pathlib import Path

from gobelieve.errors import StorageError
from gobelieve.names import User
from gobelieve.storage.format.records import pack_message
from gobelieve.storage.storage import Storage
from tests.cli.directories import CASES, KILLED, ROOT, VECTORS, StorageCommand, shell
from tests.fakes.world import FakeThread, Lines, world
from tests.storage.support import APPID, bodies, copy, ids, im, open_store, save, to_users


class CopyTests(StorageCommand):
    """``gobelieve storage import``, ``backup`` and ``restore``."""

    def test_importing_a_directory_of_the_go_server(self) -> None:
        """An import has the same blocks, and so the same ids. Index files are not needed."""
        for case in CASES:
            target = self.mktemp()
            code, out, err = self.storage("import", str(VECTORS / case), target)
            self.assertEqual((code, out, err), (0, f"{target}: 25 messages in 5 queues\n", ""))
            self.assertEqual(self.files(target), self.blocks(VECTORS / case))
            open_store(target).close()

    def test_importing_a_torn_end(self) -> None:
        """A torn end is left out, and printed as torn."""
        source, target = copy(VECTORS / "seed", Path(self.mktemp())), self.mktemp()
        sound = self.blocks(source)
        with open(Path(source, "message_0"), "ab") as file:
            file.write(b"IMIM\0\0")
        code, out, err = self.storage("import", source, target)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("/message_0:2881: torn end, 6 bytes", out)
        self.assertEqual(self.files(target), sound)

    def test_importing_damage(self) -> None:
        """Damage is copied, and the operator is told."""
        target = self.mktemp()
        with open(self.block, "r+b") as file:
            file.seek(60)
            file.write(b"?")
        code, out, err = self.storage("import", self.root, target)
        self.assertEqual(code, 1)
        self.assertIn(f"{os.path.abspath(target)}/message_0:32: the checksum", out)
        self.assertIn("but with", err)
        self.assertEqual(self.files(target), self.blocks(self.root))

    def test_a_target_that_is_not_empty(self) -> None:
        """A target that is not empty is refused and left alone. An empty one is used."""
        target = Path(self.mktemp())
        target.mkdir()
        (target / "note").write_text("mine")
        for action in ("import", "restore"):
            code, out, err = self.storage(action, self.root, str(target))
            self.assertEqual((code, out), (1, ""))
            self.assertEqual(err, f"gobelieve: {target.absolute()} is not empty\n")
        self.assertEqual(self.files(target), {"note": b"mine"})
        (target / "note").unlink()
        self.assertEqual((self.storage("import", self.root, str(target)))[0], 0)
        self.assertEqual(self.files(target), self.blocks(self.root))

    def test_an_import_that_was_cut_short(self) -> None:
        """An interrupted import leaves no directory under the final name, and can be repeated."""
        target = Path(self.mktemp())
        partial = Path(f"{target.absolute()}.partial")
        partial.mkdir()
        (partial / "message_0").write_bytes(b"IMIM")
        (partial / "message_9").write_bytes(b"IMIM")
        self.assertEqual((self.storage("import", self.root, str(target)))[0], 0)
        self.assertEqual(self.files(target), self.blocks(self.root))
        self.assertFalse(partial.exists())

    def test_somebody_elses_directory_in_the_way(self) -> None:
        """Nothing is removed from an unknown directory that is in the way."""
        target = Path(self.mktemp())
        partial = Path(f"{target.absolute()}.partial")
        partial.mkdir()
        (partial / "note").write_text("mine")
        code, _, err = self.storage("import", self.root, str(target))
        self.assertEqual(code, 1)
        self.assertIn("has note, which is not ours", err)
        self.assertTrue((partial / "note").exists())
        self.assertFalse(target.exists())

    def test_a_source_in_use(self) -> None:
        """A source in use is not imported. It can be backed up."""
        self.hold()
        target = self.mktemp()
        code, out, err = self.storage("import", self.root, target)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("is in use: stop its daemon, or use `storage backup`", err)
        self.assertFalse(os.path.exists(target))
        self.assertEqual((self.storage("backup", self.root, target))[0], 0)

    def test_there_and_back(self) -> None:
        """Two backups, one without news, and a restore: all equal byte for byte."""
        backup, restored = self.mktemp(), self.mktemp()
        result = self.storage("backup", self.root, backup)
        first = f"message_0:{self.end}"
        self.assertEqual(result, (0, f"{backup}: from message_0:0 to {first}\n", ""))
        result = self.storage("backup", self.root, backup)
        self.assertEqual(result, (0, f"{backup}: nothing new, up to {first}\n", ""))
        store = open_store(self.root)
        self.addCleanup(store.close)
        save(store, to_users(101, 102))
        end = f"message_0:{store.blocks.end[1]}"
        result = self.storage("backup", self.root, backup)
        self.assertEqual(result, (0, f"{backup}: from {first} to {end}\n", ""))
        self.assertEqual(self.blocks(backup), self.blocks(self.root))
        result = self.storage("restore", backup, restored)
        self.assertEqual(result, (0, f"{restored}: 3 messages in 3 queues\n", ""))
        self.assertEqual(self.blocks(restored), self.blocks(self.root))

    def test_a_restored_backup_gives_larger_ids_than_the_lost_messages_had(self) -> None:
        """A client that holds the id of a lost message gets the new ones."""
        backup, restored = self.mktemp(), self.mktemp()
        self.storage("backup", self.root, backup)
        store = open_store(self.root)
        self.addCleanup(store.close)
        lost = ids(save(store, to_users(102)))[0]
        self.assertEqual(self.storage("restore", backup, restored)[0], 0)
        storage = Storage(restored, world=world(log=Lines()), in_thread=FakeThread())
        storage.open()
        self.addCleanup(storage.store.close)
        save(storage.store, to_users(102, body=b"new"))
        self.assertEqual(bodies(storage.fetch(User(APPID, 102), lost)), [b"new"])

    def test_an_interrupted_restore_is_done_again(self) -> None:
        """The partial copy may have the file of the jump already."""
        backup, restored = self.mktemp(), self.mktemp()
        self.storage("backup", self.root, backup)
        Path(restored + ".partial").mkdir()
        Path(restored + ".partial", "first_block").write_text("1024\n")
        self.assertEqual(self.storage("restore", backup, restored)[0], 0)
        self.assertEqual(self.blocks(restored), self.blocks(self.root))

    def test_a_backup_is_not_served_as_it_is(self) -> None:
        """A daemon that is started on it names the command that makes a master of it."""
        backup = self.mktemp()
        self.storage("backup", self.root, backup)
        storage = Storage(backup, world=world(log=Lines()), in_thread=FakeThread())
        why = str(self.assertRaises(StorageError, storage.open))
        self.assertIn("is a slave's or a backup: set master_address, or", why)
        self.assertIn(f"`gobelieve storage promote {backup}`", why)
        self.assertEqual(self.storage("promote", backup)[0], 0)
        storage.open()
        storage.store.close()
        self.storage("backup", self.root, backup)

    def test_a_backup_of_another_directory(self) -> None:
        """For a backup of another directory it prints one clear line."""
        backup = copy(VECTORS / "master", Path(self.mktemp()))
        code, out, err = self.storage("backup", self.root, backup)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"\Agobelieve: \S+/message_0 is not from the same directory: .*\n\Z")

    def test_onto_itself(self) -> None:
        """A copy of a directory onto itself is refused."""
        for action in ("backup", "import"):
            code, _, err = self.storage(action, self.root, f"{self.root}/.")
            self.assertEqual(code, 1)
            self.assertIn("is the same directory", err)

    def test_killed_in_the_middle(self) -> None:
        """A backup that is killed after any write is completed by the next one."""
        for _ in range(40):
            self.add(pack_message(4, im(1, 2, "x" * 1000)))
        backup = self.mktemp()
        for writes in (1, 0, 3, 7, 2):
            done = subprocess.run(
                [sys.executable, "-c", KILLED, str(writes), "storage", "backup", self.root, backup],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                timeout=30,
            )
            self.assertEqual(done.returncode, -9)
            there = Path(backup, "message_0")
            if there.exists():
                self.assertTrue(self.block.read_bytes().startswith(there.read_bytes()))
        done_ = shell("storage", "backup", self.root, backup)
        self.assertEqual((done_.returncode, done_.stderr), (0, ""))
        self.assertRegex(done_.stdout, r"from message_0:13[0-9]{3} to")
        self.assertEqual(self.blocks(backup), self.blocks(self.root))
