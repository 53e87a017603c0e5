"""The mark: before it nothing is cut off, behind it nobody relies on the records."""

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.names import User
from gobelieve.storage.files.durable_mark import DurableMark, Mark, read_mark
from gobelieve.storage.format.records import FIRST_OFFSET
from gobelieve.storage.queues.durability import LOST_BLOCKS
from gobelieve.storage.queues.store import Store
from gobelieve.storage.replication import roles
from gobelieve.wire.storage import SaveItem
from tests.fakes.world import Lines, world
from tests.storage.support import APPID, BadDisk, QuickFiles, bodies, ids, save, to_users

BOB = User(APPID, 102)
SIZE = 1 << 20


class MarkFileTests(SynchronousTestCase):
    """The file ``durable``."""

    def setUp(self) -> None:
        self.root = self.mktemp()
        os.mkdir(self.root)
        self.path = Path(self.root, "durable")
        self.disk, self.clock = BadDisk(), Clock()
        self.mark = DurableMark(self.root, self.disk, self.clock)
        self.addCleanup(self.mark.close)

    def test_both_ways(self) -> None:
        for mark in (Mark((0, 32)), Mark((7, 1 << 27), True, True), Mark((9_999_999_999, 40))):
            self.mark.open(mark)
            self.assertEqual(read_mark(self.root), mark)
            self.assertEqual(len(self.path.read_bytes()), 64)
            self.mark.close()

    def test_no_file(self) -> None:
        self.assertIsNone(read_mark(self.root))

    def test_a_damaged_file_counts_as_none(self) -> None:
        self.mark.open(Mark((3, 1000)))
        whole = self.path.read_bytes()
        for at in range(len(whole.split(b"\n")[0].rstrip())):
            self.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            self.assertIsNone(read_mark(self.root), at)
        for content in (b"", bytes(64), whole[:20]):
            self.path.write_bytes(content)
            self.assertIsNone(read_mark(self.root))

    def test_it_is_synced_once_a_second_and_with_each_new_block(self) -> None:
        self.mark.open(Mark((0, 32)))
        self.disk.synced.clear()
        for _ in range(10):
            self.clock.advance(0.25)
            position = (0, 32 + int(self.clock.seconds() * 100))
            self.mark.note(position)
            mark = read_mark(self.root)
            assert mark is not None
            self.assertEqual(mark.position, position)
        self.assertEqual(len(self.disk.synced), 2)
        self.mark.note((1, 32))
        self.mark.note((1, 50))
        self.assertEqual(len(self.disk.synced), 3)

    def test_a_clock_that_is_set_back_holds_nothing_up(self) -> None:
        self.clock.advance(1000)
        self.mark.open(Mark((0, 32)))
        self.mark.note((0, 50))
        self.clock.rightNow = 10.0
        self.disk.synced.clear()
        self.mark.note((0, 60))
        self.assertEqual(len(self.disk.synced), 1)

    def test_it_never_goes_back(self) -> None:
        self.mark.open(Mark((2, 500)))
        self.mark.note((1, 900))
        self.mark.close((2, 400))
        self.assertEqual(read_mark(self.root), Mark((2, 500)))

    def test_a_full_disk_stops_nothing(self) -> None:
        self.disk.room = 0
        self.mark.open(Mark((0, 32)))
        self.mark.note((0, 100))
        self.assertEqual(self.mark.mark.position, (0, 100))
        self.assertIsNone(read_mark(self.root))


class StartCase(SynchronousTestCase):
    """Has a directory with 20 messages for Bob on disk."""

    is_slave = False

    def setUp(self) -> None:
        self.root = self.mktemp()
        self.log = Lines()
        self.store = self.opened()
        self.found = ids(save(self.store, *(self.message(n) for n in range(20))))

    def message(self, number: int) -> SaveItem:
        return to_users(102, body=b"m%02d" % number + b"." * 600)

    def opened(self, is_slave: bool = False, is_written_only: bool = False) -> Store:
        """Return the store after a start. A daemon that was killed has left it."""
        self.log = Lines()
        store = Store(
            self.root,
            world=world(log=self.log),
            block_size=SIZE,
            files=QuickFiles(),
            is_slave=is_slave,
            is_written_only=is_written_only,
        )
        store.open()
        self.addCleanup(store.close)
        return store

    def damage(self, id_: int, count: int = 400) -> None:
        """Leave zeros in place of some bytes after an id."""
        number, offset = divmod(id_ + 100, SIZE)
        with open(f"{self.root}/message_{number}", "r+b") as file:
            file.seek(offset)
            file.write(bytes(count))

    def numbers(self, store: Store) -> list[int]:
        """Return the numbers of the messages that Bob gets."""
        return [int(body[1:3]) for body in bodies(store.reader.fetch(BOB, 0, 100))]

    def write(self, first: int, count: int) -> list[int]:
        """Write messages that are not on disk yet, so they are not answered. Return the ids."""
        written = [self.store.append(self.message(n))[0] for n in range(first, first + count)]
        self.store.flush()
        return written


class DamageBeforeTests(StartCase):
    """Damage in records that were on disk."""

    def test_nothing_is_cut_off(self) -> None:
        """Only the damaged message is gone, in a master's and in a slave's directory."""
        self.store.close()
        self.damage(self.found[8])
        rest = [number for number in range(20) if number != 8]
        for is_slave in (False, True):
            store = self.opened(is_slave)
            self.assertEqual(self.numbers(store), rest)
            store.close()

    def test_each_start_says_where_to_get_the_records_again(self) -> None:
        self.store.close()
        self.damage(self.found[8])
        for is_slave, source in ((False, "a slave or a backup"), (True, "`gobelieve storage res")):
            for _ in range(2):
                self.opened(is_slave).close()
                errors = self.log.of("error")
                self.assertIn(f"{self.root} has damage in what was on disk", errors[-1])
                self.assertIn(source, errors[-1])

    def test_such_a_copy_is_promoted_only_with_yes(self) -> None:
        self.store.close()
        roles.mark(self.root)
        self.damage(self.found[8])
        self.opened(is_slave=True).close()
        why = str(self.assertRaises(StorageError, roles.promote, self.root))
        self.assertIn("is damaged in what was on disk: look for a better copy", why)
        self.assertTrue(roles.is_slave(self.root))
        roles.promote(self.root, anyway=True)
        self.assertFalse(roles.is_slave(self.root))


class DamageBehindTests(StartCase):
    """Damage in records that were written but not on disk when the power went."""

    def test_the_log_is_cut_off_at_the_first_damage(self) -> None:
        """What was on disk is all there. The rest is kept in a file."""
        written = self.write(20, 10)
        end = self.store.blocks.end[1]
        self.store.close()
        self.damage(written[4])
        store = self.opened()
        self.assertEqual(self.numbers(store), list(range(24)))
        kept = Path(self.root, f"torn_0_{written[4]}")
        self.assertEqual(len(kept.read_bytes()), end - written[4])
        self.assertEqual(self.log.of("error"), [])
        save(store, self.message(30))
        self.assertEqual(self.numbers(store), [*range(24), 30])

    def test_the_blocks_after_the_damage_are_cut_off_too(self) -> None:
        """However far from the end the damage is."""
        written = self.write(20, 4)
        count = 0
        while self.store.blocks.end[0] < 2:
            self.store.append(to_users(103, body=bytes(30_000)))
            count += 1
        self.store.flush()
        self.store.close()
        self.damage(written[2])
        store = self.opened()
        self.assertEqual(store.blocks.numbers, [0])
        self.assertEqual(store.blocks.end, (0, written[2]))
        self.assertEqual(self.numbers(store), list(range(22)))
        for number in (1, 2):
            self.assertTrue(os.path.exists(f"{self.root}/torn_{number}_0"))
        self.assertEqual(len(self.log.of("warn")), 3)
        store.close()
        again = self.opened()
        self.assertEqual(self.numbers(again), list(range(22)))
        self.assertEqual(self.log.of("warn", "error"), [])

    def test_saves_that_were_answered_early_are_not_cut_off(self) -> None:
        """The operator chose to answer before the disk. What is readable stays."""
        self.store.close()
        self.store = self.opened(is_written_only=True)
        written = self.write(20, 10)
        self.store.show_written()
        self.store.blocks.close()
        self.damage(written[4])
        store = self.opened()
        self.assertEqual(self.numbers(store), [n for n in range(30) if n != 24])


class LostEndTests(StartCase):
    """The directory ends before its mark: the disk was put back, or lost what it had synced."""

    def setUp(self) -> None:
        super().setUp()
        self.store.close()
        os.truncate(f"{self.root}/message_0", self.found[15])

    def test_the_log_says_how_much_is_lost(self) -> None:
        self.opened()
        self.assertIn(f"ends at message_0:{self.found[15]}, but had", self.log.of("error")[0])

    def test_new_messages_have_larger_ids_than_the_lost_ones(self) -> None:
        """Clients hold the ids of the lost messages, and get the new ones."""
        store = self.opened()
        new = ids(save(store, self.message(50)))[0]
        self.assertEqual(new, LOST_BLOCKS * SIZE + FIRST_OFFSET)
        self.assertEqual(len(store.reader.fetch(BOB, self.found[19], 10).messages), 1)
        store.close()
        self.assertEqual(self.numbers(self.opened()), [*range(15), 50])
        self.assertEqual(self.log.of("error"), [])

    def test_it_is_said_until_messages_are_stored_again(self) -> None:
        for _ in range(2):
            store = self.opened()
            self.assertIn("messages are lost", self.log.of("error")[0])
            store.close()

    def test_a_slave_gives_no_ids_and_goes_on_at_its_end(self) -> None:
        """Its master sends it what it lacks."""
        store = self.opened(is_slave=True)
        self.assertEqual(store.blocks.end, (0, self.found[15]))
        self.assertIn("messages are lost", self.log.of("error")[0])

    def test_such_a_copy_is_promoted_only_with_yes(self) -> None:
        roles.mark(self.root)
        why = str(self.assertRaises(StorageError, roles.promote, self.root))
        self.assertIn(f"ends at message_0:{self.found[15]}, but had records up to", why)
        roles.promote(self.root, anyway=True)


class EarlyAnswerTests(StartCase):
    """Saves are answered before they are on disk (`fsync` is "interval" or "never")."""

    def test_after_a_kill_new_ids_are_larger_than_any_that_were_told(self) -> None:
        """After a power cut the told records may be gone."""
        self.store.close()
        self.opened(is_written_only=True).blocks.close()
        store = self.opened(is_written_only=True)
        self.assertEqual(save(store, self.message(50))[0][0] // SIZE, LOST_BLOCKS)

    def test_after_a_stop_in_good_order_the_ids_go_on(self) -> None:
        self.store.close()
        ended: list[int] = []
        store = self.opened(is_written_only=True)
        store.close_with_snapshot(lambda: ended.append(1))
        self.assertEqual(ended, [1])
        store = self.opened(is_written_only=True)
        self.assertEqual(save(store, self.message(50))[0][0] // SIZE, 0)

    def test_answers_from_disk_need_no_jump(self) -> None:
        """However the daemon ends."""
        self.store.blocks.close()
        store = self.opened()
        self.assertEqual(save(store, self.message(50))[0][0] // SIZE, 0)
