"""The jump: a copy that lacks records of its master gives ids above all that clients hold."""

import os
import shutil
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import User
from gobelieve.storage.files.read_only import ReadOnlyFolder
from gobelieve.storage.format.records import FIRST_OFFSET, block_header, skipped_of
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication import roles
from gobelieve.storage.storage import Storage
from gobelieve.storage.tools.copies import LockedFolder
from gobelieve.storage.tools.jump import MARGIN_BLOCKS, first_block, jump
from gobelieve.storage.tools.verify import Verification
from tests.fakes.world import FakeThread, Lines, world
from tests.storage.support import APPID, BadDisk, bodies, ids, open_store, save, to_users

BOB = User(APPID, 102)
SIZE = 2000


def findings(root: str, size: int = SIZE) -> tuple[list[str], list[range]]:
    """Return the findings of a verification, and the blocks that were skipped."""
    with ReadOnlyFolder(root, size) as folder:
        verification = Verification(folder, lambda done: None)
        return [str(found) for found in verification.findings()], verification.skipped


class LostTailTests(SynchronousTestCase):
    """A copy is served after the machine of its master is lost with the newest messages."""

    def setUp(self) -> None:
        self.master, self.copy = self.mktemp(), self.mktemp()
        store = open_store(self.master)
        save(store, to_users(102, body=b"both have it"))
        shutil.copytree(self.master, self.copy)
        roles.mark(self.copy)
        self.key = ids(save(store, to_users(102, body=b"only the master had it" * 50)))[0]
        store.close()

    def served(self) -> Storage:
        """Return the storage of a daemon without a master."""
        storage = Storage(self.copy, world=world(log=Lines()), in_thread=FakeThread())
        storage.open()
        self.addCleanup(storage.store.close)
        return storage

    def test_new_messages_reach_a_client_that_has_the_lost_message(self) -> None:
        """The client asks only for ids after the lost message's."""
        roles.promote(self.copy)
        storage = self.served()
        save(storage.store, *(to_users(102, body=b"new %d" % n) for n in range(20)))
        page = storage.fetch(BOB, self.key)
        self.assertEqual(bodies(page), [b"new %d" % n for n in range(20)])
        self.assertEqual(
            bodies(storage.fetch(BOB, 0)), [b"both have it"] + [b"new %d" % n for n in range(20)]
        )

    def test_promote_says_the_first_id(self) -> None:
        first = roles.promote(self.copy)
        found = save(self.served().store, to_users(102))
        self.assertEqual(ids(found), [first])

    def test_the_operator_knows_a_larger_id(self) -> None:
        """The new ids are as far above it as they would be above the end of the copy."""
        known = 5000 << 27
        self.assertEqual(roles.promote(self.copy, known), (6024 << 27) + FIRST_OFFSET)

    def test_an_id_that_no_block_can_have_is_refused(self) -> None:
        why = self.assertRaises(StorageError, roles.promote, self.copy, (1 << 63) - 1)
        self.assertIn("is too large", str(why))
        self.assertTrue(roles.is_slave(self.copy))

    def test_it_jumps_once(self) -> None:
        """The daemon starts again and again, and goes on in the same block."""
        first = roles.promote(self.copy)
        found = []
        for _ in range(3):
            store = self.served().store
            found += ids(save(store, to_users(102)))
            store.close()
        self.assertEqual({id_ >> 27 for id_ in found}, {first >> 27})

    def test_a_file_that_has_no_number_is_an_error(self) -> None:
        roles.promote(self.copy)
        for content in (b"", b"a lot\n", b"-1\n", b"99999999999\n"):
            Path(self.copy, "first_block").write_bytes(content)
            why = self.assertRaises(StorageError, self.served)
            self.assertIn("first_block has no number of a block", str(why))


class JumpTests(SynchronousTestCase):
    """A directory whose next record is in a far block."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.disk, self.log = BadDisk(), Lines()
        self.store = self.opened()
        save(self.store, to_users(102, body=b"before"))

    def opened(self) -> Store:
        store = open_store(self.root, block_size=SIZE, files=self.disk, log=self.log)
        self.addCleanup(store.close)
        return store

    def after(self) -> list[bytes]:
        """Return what Bob gets after the start."""
        self.store.close()
        return bodies(self.opened().reader.fetch(BOB, 0, 100))

    def test_the_header_of_the_block_says_what_was_skipped(self) -> None:
        self.store.jump(7)
        save(self.store, to_users(102))
        header = Path(self.root, "message_7").read_bytes()[:FIRST_OFFSET]
        self.assertEqual(header.hex(), "494d494d00010000" + "0000000000000006" + 16 * "00")

    def test_verify_finds_nothing_wrong_and_names_what_was_skipped(self) -> None:
        self.store.jump(7)
        save(self.store, to_users(102))
        self.assertEqual(findings(self.root), ([], [range(1, 7)]))
        self.store.close()
        self.opened()
        self.assertEqual(self.log.of("warn"), [])

    def test_a_missing_block_beside_a_jump_is_found(self) -> None:
        while self.store.blocks.end[0] < 2:
            save(self.store, to_users(102))
        self.store.jump(7)
        save(self.store, to_users(102))
        self.store.close()
        os.unlink(f"{self.root}/message_2")
        found, skipped = findings(self.root)
        self.assertEqual(found[0], f"{self.root}/message_2:0: the block is missing")
        self.assertEqual(skipped, [range(3, 7)])
        self.opened()
        expected = f"{self.root}: 1 blocks are missing, the first is message_2"
        self.assertEqual(self.log.of("warn"), [expected])

    def test_a_full_disk_does_not_undo_the_jump(self) -> None:
        """The save fails. The next one that succeeds has a large id too."""
        self.store.jump(7)
        self.disk.room = 10
        self.assertRaises(StorageError, save, self.store, to_users(102))
        self.disk.room = None
        found = save(self.store, to_users(102, body=b"after"))
        self.assertEqual(ids(found), [7 * SIZE + FIRST_OFFSET])
        self.assertEqual(self.after(), [b"before", b"after"])

    def test_a_failed_sync_does_not_undo_the_jump(self) -> None:
        self.store.jump(7)
        self.disk.broken = True
        self.assertRaises(OSError, save, self.store, to_users(102, body=b"lost"))
        self.store.take_back()
        self.disk.broken = False
        found = save(self.store, to_users(102, body=b"after"))
        self.assertEqual(ids(found), [7 * SIZE + FIRST_OFFSET])
        self.assertEqual(self.after(), [b"before", b"after"])

    def test_it_never_goes_back(self) -> None:
        self.store.jump(7)
        self.store.jump(3)
        self.assertEqual(ids(save(self.store, to_users(102))), [7 * SIZE + FIRST_OFFSET])
        self.store.jump(7)
        self.assertEqual(save(self.store, to_users(102))[0][0] // SIZE, 7)

    def test_nothing_is_written_before_the_first_message(self) -> None:
        self.store.jump(7)
        self.assertEqual(self.after(), [b"before"])
        self.assertFalse(os.path.exists(f"{self.root}/message_7"))

    def test_a_torn_first_message_leaves_the_header(self) -> None:
        """The power went when the first record after the jump was written."""
        self.store.jump(7)
        save(self.store, to_users(102))
        self.store.close()
        os.truncate(f"{self.root}/message_7", FIRST_OFFSET + 5)
        os.unlink(f"{self.root}/durable")
        self.assertEqual(self.opened().blocks.end, (7, FIRST_OFFSET))
        header = Path(self.root, "message_7").read_bytes()
        self.assertEqual(skipped_of(header), 6)

    def test_a_second_jump_is_far_after_the_first(self) -> None:
        self.store.close()
        with closing(LockedFolder(self.root, SIZE)) as folder:
            for times in (1, 2):
                first = jump(folder)
                self.assertEqual(first, times * MARGIN_BLOCKS * SIZE + FIRST_OFFSET)
                self.assertEqual(first_block(self.root), times * MARGIN_BLOCKS)


class HeaderTests(SynchronousTestCase):
    """The header of a block."""

    def test_what_is_not_a_header(self) -> None:
        """It is too short, of another format, or has a number that cannot be."""
        for header in (b"", block_header(3)[:-1], bytes(32), b"\xff" * 32, block_header(-1)):
            self.assertIsNone(skipped_of(header))

    def test_both_ways(self) -> None:
        for skipped in (0, 1, 1023, 1 << 40):
            self.assertEqual(skipped_of(block_header(skipped) + b"IMIM"), skipped)
