"""Frames packed at once are equal to frames packed one by one."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.gateway.sessions.packing import LAST_SEQ, GroupMessage
from gobelieve.wire import Frame, client
from tests.gateway.support import TestGateway

BODY = client.GroupIM(sender=2, receiver=9, timestamp=5, msgid=6, content=b"hello").encode(1)


class PackedTests(SynchronousTestCase):
    """A stream takes several frames at once, a browser's connection one by one."""

    def told(self, version: int, seq: int, stream: bool) -> list[Frame]:
        """Return the frames of three deliveries to a client that got `seq` frames before."""
        phone = TestGateway().client(1, version=version)
        phone.connection.stream = stream
        phone.session._seq = seq
        phone.session.deliver(4, BODY, 1, 500, 400)
        phone.session.deliver_group(GroupMessage(8, BODY, 9, 700, 600))
        phone.session.deliver(24, bytes(40), 0, 510, 500)
        return phone.connection.frames

    def test_the_same_frames_either_way(self) -> None:
        """In every version, and where the seq begins anew."""
        for version in (0, 1, 2):
            for seq in (1, 1000, *range(LAST_SEQ - 10, LAST_SEQ + 1)):
                at_once = self.told(version, seq, True)
                self.assertEqual(at_once, self.told(version, seq, False))
                self.assertEqual([f.cmd for f in at_once], [37, 4, 29, 37, 8, 33, 37, 24, 29])
                expected = [(seq + n) % LAST_SEQ + 1 for n in range(9)]
                self.assertEqual([f.seq for f in at_once], expected)

    def test_one_message_for_many(self) -> None:
        """Sessions of all versions get their own layout and their own seqs."""
        gateway = TestGateway()
        message = GroupMessage(8, BODY, 9, 700, 600)
        for count, version in enumerate((0, 1, 2, 2, 1, 0)):
            phone = gateway.client(1 + count, version=version)
            phone.say(*[client.Ping()] * count)
            phone.told()
            phone.session.deliver_group(message)
            metadata, told, notify = phone.told()
            self.assertEqual(
                [t.seq for t in (metadata, told, notify)], [2 + count, 3 + count, 4 + count]
            )
            assert isinstance(told.message, client.GroupIM)
            self.assertEqual(told.message.content, b"hello")
            self.assertEqual(told.message.timestamp, 5 if version else 0)
            self.assertEqual(metadata.message, client.Metadata(sync_key=700, prev_sync_key=600))
            self.assertEqual(notify.message, client.SyncGroupNotify(group_id=9, sync_key=700))
