"""What a gateway does at its start with messages that are not everywhere yet, and at its end."""

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
    """A gateway, as far as it is concerned, with two storages, on a real file."""

    def setUp(self) -> None:
        self.patch(sys, "excepthook", sys.excepthook)
        self.root = Path(self.mktemp())
        self.gateway = TestGateway()
        self.storage = Storages(self.gateway.clock, 2)
        self.running: list[PendingService] = []
        self.addCleanup(self.stop_all)

    def start(self) -> PendingService:
        """A gateway starts; what was logged is in `said`."""
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
        """End what still runs, so that nothing waits for the file."""
        for service in self.running:
            if service.running:
                stopping = service.stopService()
                self.storage.answer()
                self.thread.run()
                self.successResultOf(stopping)

    def kill(self) -> None:
        """The gateway ends without a word, and what it asked storage for does not come there."""
        service = self.running.pop()
        assert service._pending._db is not None
        service._pending._db.close()
        for one in self.storage.all:
            one.forget_askers(done_all_the_same=False)

    def send(self, content: bytes) -> None:
        """A message to the group; it is on disk when this returns."""
        body = GroupIM(sender=1, receiver=100, timestamp=5, msgid=9, content=content).encode()
        user = User(7, 1)
        self.fan_out.send(user, 100, 8, body, MEMBERS, Waiting(), device=5)
        self.thread.run()

    def deliver(self) -> None:
        """Storage and disk do what they were asked for."""
        self.storage.answer()
        self.thread.run()

    def contents(self, uid: int) -> list[bytes]:
        """What is in a member's queue."""
        return [GroupIM.decode(body).content for body in self.storage.bodies(uid)]


class PendingServiceTests(PendingTestCase):
    """The gateway's own file."""

    def test_what_was_kept_goes_on_after_a_kill(self) -> None:
        """Each member gets it once, in order; nothing is left then."""
        self.start()
        self.assertEqual(self.said, [])
        self.send(b"one")
        self.send(b"two")
        self.kill()
        self.start()
        self.assertEqual(self.said, ["2 messages of groups go on"])
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"one", b"two"])
        self.kill()
        self.start()
        self.assertEqual(self.said, [])

    def test_a_stop_waits_for_storage_and_then_closes_the_file(self) -> None:
        """In this order: what storage answers last is written down."""
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
        """The second one ends with one line that names the file."""
        self.start()
        with self.assertRaises(StartError) as caught:
            self.start()
        self.running.pop()
        said = str(caught.exception)
        self.assertIn("messages of groups cannot be kept", said)
        self.assertIn("pending.db", said)
        self.assertNotIn("\n", said)

    def test_a_folder_that_cannot_be_made(self) -> None:
        """One line too."""
        self.root.write_text("in the way")
        with self.assertRaisesRegex(StartError, "messages of groups cannot be kept"):
            self.start()
        self.running.pop()


class TakeOverTests(PendingTestCase):
    """What upstream's gateway left."""

    def setUp(self) -> None:
        super().setUp()
        write(self.root / "q0", record(b"done") + record(b"a", timestamp=1_600_000_000), len(HEAD))
        write(self.root / "q1", record(b"b", timestamp=1_600_000_001))

    def test_it_is_sent_on_and_the_files_are_set_aside(self) -> None:
        """Once: the next start finds nothing."""
        self.start()
        self.assertEqual(
            self.said,
            [
                "2 messages are taken over from 2 of upstream's queues; their files end in"
                " .imported now",
                "2 messages of groups go on",
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

    def test_what_upstream_brought_about_in_part_is_not_doubled(self) -> None:
        """It was killed in the middle of a message: those who have it do not get it again."""
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
        """At any moment: nothing is lost and nothing doubled."""
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
        self.assertEqual(self.said[-1], "2 messages of groups go on")
        self.assertEqual(old_format.find(self.root), [])
        self.deliver()
        for uid in MEMBERS:
            self.assertEqual(self.contents(uid), [b"a", b"b"])

    def test_they_cannot_be_kept(self) -> None:
        """Then the files stay as they are, and the gateway does not start."""

        def full(*arguments: object) -> None:
            raise BackendError("the disk is full")

        self.patch(PendingDatabase, "take_over", full)
        with self.assertRaisesRegex(StartError, "the disk is full"):
            self.start()
        self.kill()
        self.assertEqual(len(old_format.find(self.root)), 2)

    def test_what_makes_no_sense_is_said(self) -> None:
        """A line each; the rest is sent on."""
        write(self.root / "q1", record(b"nobody", ()) + record(b"b") + record(b"torn")[:-3])
        self.start()
        self.assertIn("makes no sense", self.said[0])
        self.assertIn("torn write", self.said[1])
        self.deliver()
        self.assertEqual(sorted(self.contents(2)), [b"a", b"b"])

    def test_behind_what_is_our_own(self) -> None:
        """Numbers go on, whatever was kept before."""
        self.root.joinpath("q0").rename(self.root / "later")
        self.root.joinpath("q1").rename(self.root / "later1")
        self.start()
        self.send(b"own")
        self.kill()
        self.root.joinpath("later").rename(self.root / "q0")
        self.start()
        self.assertEqual(self.said[-1], "2 messages of groups go on")
        self.deliver()
        self.assertEqual(self.contents(1), [b"own", b"a"])


class VersionTests(PendingTestCase):
    """A file from before there were imports."""

    def test_an_older_file_is_opened(self) -> None:
        """With what is in it."""
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
