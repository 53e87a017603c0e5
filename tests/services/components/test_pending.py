"""Pending messages of groups at the start and the stop of a gateway."""

import sys
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.pending import old_format
from gobelieve.backends.pending.database import PendingDatabase
from gobelieve.errors import BackendError
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.names import User
from gobelieve.services.components.pending import PendingService
from gobelieve.services.process.starting import StartError
from gobelieve.wire.client import GroupIM
from tests.backends.pending.test_database import Thread
from tests.fakes.storage import Waiting
from tests.gateway.fan_out.test_fan_out import Storages
from tests.gateway.support import TestGateway
from tests.old_pending import HEAD, record, write
from tests.protocols.logs import Events

MEMBERS = (1, 2, 3)


class PendingTestCase(SynchronousTestCase):
    """The parts of a gateway that handle pending messages, with two storages and a real file."""

    def setUp(self) -> None:
        self.patch(sys, "excepthook", sys.excepthook)
        self.root = Path(self.mktemp())
        self.gateway = TestGateway()
        self.storage = Storages(self.gateway.clock, 2)
        self.running: list[PendingService] = []
        self.addCleanup(self.stop_all)

    def start(self) -> PendingService:
        """Start a gateway; the lines that it logs are in `said`."""
        self.thread = Thread()
        pending = PendingDatabase(self.root, self.thread, Events().log())
        gateway = self.gateway
        self.fan_out = FanOut(
            world=gateway.world(log=Events().log()),
            pending=pending,
            saver=self.storage,
            reader=self.storage,
            delivery=gateway.delivery,
            routing=gateway.routing,
        )
        service = PendingService(pending, self.fan_out)
        self.running.append(service)
        with capturedLogs() as events:
            service.startService()
        self.said = [formatEvent(event) for event in events]
        return service

    def stop_all(self) -> None:
        """Stop all gateways, so that none waits for the file."""
        for service in self.running:
            if service.running:
                stopping = service.stopService()
                self.storage.answer()
                self.thread.run()
                self.successResultOf(stopping)

    def kill(self) -> None:
        """Kill the gateway; its requests do not reach storage."""
        service = self.running.pop()
        assert service._pending._db is not None
        service._pending._db.close()
        for one in self.storage.all:
            one.forget_askers(done_all_the_same=False)

    def send(self, content: bytes) -> None:
        """Send a message to the group; it is on disk when this returns."""
        body = GroupIM(sender=1, receiver=100, timestamp=5, msgid=9, content=content).encode()
        user = User(7, 1)
        self.fan_out.send(user, 100, 8, body, MEMBERS, Waiting(), device=5)
        self.thread.run()

    def deliver(self) -> None:
        """Let storage and the disk complete all requests."""
        self.storage.answer()
        self.thread.run()

    def contents(self, uid: int) -> list[bytes]:
        """Return the contents of a member's queue."""
        return [GroupIM.decode(body).content for body in self.storage.bodies(uid)]


class PendingServiceTests(PendingTestCase):
    """The database of the gateway itself."""

    def test_kept_messages_are_resumed_after_a_kill(self) -> None:
        """Each member gets each message once, in order, and the file is empty then."""
        self.start()
        self.assertEqual(self.said, [])
        self.send(b"one")
        self.send(b"two")
        self.kill()
        self.start()
        self.assertEqual(self.said, ["2 pending messages of groups are resumed"])
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"one", b"two"])
        self.kill()
        self.start()
        self.assertEqual(self.said, [])

    def test_a_stop_waits_for_storage_and_then_closes_the_file(self) -> None:
        """The last answer of storage is written down before the file is closed."""
        service = self.start()
        self.send(b"one")
        stopping = service.stopService()
        self.assertNoResult(stopping)
        self.storage.answer()
        self.assertNoResult(stopping)
        self.thread.run()
        self.successResultOf(stopping)
        self.start()
        self.assertEqual(self.said, [])

    def test_two_gateways_on_one_folder(self) -> None:
        """The start of the second gateway ends with one line that names the file."""
        self.start()
        with self.assertRaises(StartError) as caught:
            self.start()
        self.running.pop()
        said = str(caught.exception)
        self.assertIn("pending messages cannot be opened", said)
        self.assertIn("pending.db", said)
        self.assertNotIn("\n", said)

    def test_a_folder_that_cannot_be_made(self) -> None:
        """A folder that cannot be made ends the start with one line."""
        self.root.write_text("in the way")
        with self.assertRaisesRegex(StartError, "pending messages cannot be opened"):
            self.start()
        self.running.pop()


class TakeOverTests(PendingTestCase):
    """The import of the queues that a Go gateway left."""

    def setUp(self) -> None:
        super().setUp()
        write(self.root / "q0", record(b"done") + record(b"a", timestamp=1_600_000_000), len(HEAD))
        write(self.root / "q1", record(b"b", timestamp=1_600_000_001))

    def test_queues_are_imported_and_their_files_set_aside(self) -> None:
        """The queues are imported once: the next start finds none."""
        self.start()
        self.assertEqual(
            self.said,
            [
                "2 messages are imported from 2 queues of the Go server; their files end in"
                " .imported now",
                "2 pending messages of groups are resumed",
            ],
        )
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"a", b"b"])
        names = {path.name for path in (self.root / "q0").iterdir()}
        self.assertEqual(names, {"pending_group_messages.imported", "cursor.imported"})
        self.kill()
        self.start()
        self.assertEqual(self.said, [])

    def test_a_message_that_some_members_have_is_not_doubled(self) -> None:
        """Members who got a message from the Go gateway do not get it again."""
        body = GroupIM(
            sender=1, receiver=100, timestamp=1_600_000_000, msgid=0, content=b"a"
        ).encode()
        self.storage.save(8, body, 5, [User(7, 1)], Waiting())
        self.storage.answer()
        self.start()
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"a", b"b"])

    def test_killed_before_the_files_were_set_aside(self) -> None:
        """A kill at any moment of the import neither loses nor doubles a message."""
        set_aside = old_format.OldQueue.set_aside

        at = ["q1", "q0"]

        def killed(queue: old_format.OldQueue) -> None:
            if queue.folder.name == at[-1]:
                at.pop()
                raise BackendError("killed")
            set_aside(queue)

        while at:
            self.patch(old_format.OldQueue, "set_aside", killed)
            with self.assertRaises(StartError):
                self.start()
            self.kill()
        self.patch(old_format.OldQueue, "set_aside", set_aside)
        self.start()
        self.assertEqual(self.said[-1], "2 pending messages of groups are resumed")
        self.assertEqual(old_format.find(self.root), [])
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"a", b"b"])

    def test_the_import_fails(self) -> None:
        """If the import fails, the files stay as they are, and the gateway does not start."""

        def full(*arguments: object) -> None:
            raise BackendError("the disk is full")

        self.patch(PendingDatabase, "take_over", full)
        with self.assertRaisesRegex(StartError, "the disk is full"):
            self.start()
        self.kill()
        self.assertEqual(len(old_format.find(self.root)), 2)

    def test_damaged_records_are_logged(self) -> None:
        """Each damaged record is one line of the log, and the other messages are sent."""
        write(self.root / "q1", record(b"nobody", ()) + record(b"b") + record(b"torn")[:-3])
        self.start()
        self.assertIn("makes no sense", self.said[0])
        self.assertIn("torn write", self.said[1])
        self.deliver()
        self.assertEqual(sorted(self.contents(2)), [b"a", b"b"])

    def test_imported_messages_follow_our_own(self) -> None:
        """Imported messages get numbers above those that the database has."""
        self.root.joinpath("q0").rename(self.root / "later")
        self.root.joinpath("q1").rename(self.root / "later1")
        self.start()
        self.send(b"own")
        self.kill()
        self.root.joinpath("later").rename(self.root / "q0")
        self.start()
        self.assertEqual(self.said[-1], "2 pending messages of groups are resumed")
        self.deliver()
        self.assertEqual(self.contents(1), [b"own", b"a"])


class VersionTests(PendingTestCase):
    """A database of the version without imports."""

    def test_an_older_file_is_opened(self) -> None:
        """A database of an earlier version is opened with its messages."""
        self.start()
        self.send(b"old")
        database = self.running[0]._pending
        assert database._db is not None
        database._db.executescript("DROP TABLE imported; PRAGMA user_version = 1")
        self.kill()
        write(self.root, record(b"taken over", timestamp=9))
        self.start()
        self.deliver()
        self.assertEqual(self.contents(3), [b"old", b"taken over"])
