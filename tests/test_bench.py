"""The benchmarks that need no daemons: they run, and they notice errors."""

import argparse
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.bench import start
from gobelieve.bench.member import Member
from gobelieve.interfaces import World
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Frame, Message, client
from gobelieve.wire.frames import PUSH
from tests.fakes.reactor import FakeReactor


class StartTests(SynchronousTestCase):
    """``python -m gobelieve.bench start``."""

    def measure(self, *arguments: str) -> tuple[bool, str, str]:
        parser = argparse.ArgumentParser()
        start.add_arguments(parser)
        options = parser.parse_args(["--size", "1", "--users", "300", *arguments])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), start.start(options) as root:
            running = start.run(FakeReactor(), root, options)
            sound = self.successResultOf(Deferred.fromCoroutine(running))
        self.assertFalse(os.path.exists(root))
        return sound, out.getvalue(), err.getvalue()

    def test_figures(self) -> None:
        """The benchmark prints how long each start took, for each kind of content."""
        for mix in start.MIXES:
            sound, out, err = self.measure("--mix", mix)
            self.assertEqual((sound, err), (True, ""))
            lines = out.splitlines()
            self.assertIn(f" queues ({mix})", lines[0])
            self.assertRegex(lines[1], r"start from the snapshot +\d+\.\d\d s")
            self.assertRegex(lines[2], r"rebuild .* \d+ MB/s +[\d,]+ records/s")
            self.assertRegex(lines[3], r"verify .* \d+ MB/s +[\d,]+ records/s")

    def test_damage(self) -> None:
        """A measurement of a damaged directory fails."""

        def fill(root: str, options: argparse.Namespace, world: World) -> None:
            filled(root, options, world)
            with open(os.path.join(root, "message_0"), "r+b") as file:
                file.seek(32 + 16)
                file.write(b"damage")

        filled = start._fill
        with patch.object(start, "_fill", fill):
            sound, _, err = self.measure()
        self.assertFalse(sound)
        self.assertIn("findings", err)


class MemberTests(SynchronousTestCase):
    """`Member` checks the messages that one of many receivers gets."""

    def setUp(self) -> None:
        self.came: list[tuple[int, int]] = []
        self.member = Member(ReactorTurn(Clock()), 1, 0, self.note)
        self.seq = 0

    def note(self, sender: int, number: int) -> None:
        self.came.append((sender, number))

    def hear(self, message: Message, flag: int = 0) -> None:
        self.seq += 1
        frame = Frame(message.number, 2, flag, self.seq, message.encode())
        self.member.received(frame)

    def said(self, number: int, sender: int = 2) -> client.RoomIM:
        return client.RoomIM(sender=sender, receiver=9, content=b"%010d" % number)

    def test_each_sender_counts_for_itself(self) -> None:
        """Messages of several senders, each in order, are neither doubled nor disordered."""
        for number in (1, 2, 3):
            for sender in (2, 3):
                self.hear(self.said(number, sender))
        self.assertEqual(len(self.came), 6)
        self.assertEqual((self.member.doubled, self.member.disordered), (0, 0))

    def test_what_comes_twice_or_late(self) -> None:
        """Doubled and late messages are counted. Missing ones show in the number of messages that
        came."""
        for number in (1, 2, 2, 5, 4, 4, 1):
            self.hear(self.said(number))
        self.assertEqual([number for _, number in self.came], [1, 2, 5, 4])
        self.assertEqual((self.member.doubled, self.member.disordered), (3, 1))

    def test_a_push_that_does_not_follow_is_left_to_the_sync(self) -> None:
        """A push whose previous id is not the client's key is dropped, and a sync brings the
        message, as in apps."""
        message = client.GroupIM(sender=2, receiver=9, msgid=1, content=b"%010d" % 1)
        self.hear(client.Metadata(sync_key=50, prev_sync_key=40))
        self.hear(message, PUSH)
        self.assertEqual(self.came, [])
        self.hear(client.SyncNotify(sync_key=50))
        self.hear(client.SyncBegin(sync_key=0))
        self.hear(message)
        self.hear(client.SyncEnd(sync_key=50))
        self.assertEqual((self.came, self.member.synced), ([(2, 1)], 1))
        self.hear(client.Metadata(sync_key=60, prev_sync_key=50))
        self.hear(client.GroupIM(sender=2, receiver=9, msgid=2, content=b"%010d" % 2), PUSH)
        self.assertEqual(self.came, [(2, 1), (2, 2)])
