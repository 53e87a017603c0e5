"""docs/protocol.md tells the truth about numbers and names."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import AckStatus
from gobelieve.wire import MESSAGES, Message, Sender
from gobelieve.wire.client import VoipControl

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
LETTERS = {Sender.CLIENT: "C", Sender.SERVER: "S", Sender.CLIENT | Sender.SERVER: "C S"}


class ProtocolPageTests(SynchronousTestCase):
    """The tables of the page against the declarations."""

    def test_messages(self) -> None:
        """Every message of the client's link, and who may send it."""
        ends = Sender.CLIENT | Sender.SERVER
        declared_classes: list[type[Message]] = [*MESSAGES.values(), VoipControl]
        declared = {
            (cls.number, cls.label, LETTERS[cls.senders])
            for cls in declared_classes
            if cls.senders & ends
        }
        rows = re.findall(r"^\| (\d+) \| ([A-Z0-9_]+) \| (C S|C|S) \|", PAGE, re.MULTILINE)
        self.assertEqual({(int(cmd), name, who) for cmd, name, who in rows}, declared)

    def test_statuses(self) -> None:
        """Every status of an ack."""
        rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| [a-z]", PAGE, re.MULTILINE)
        wanted = {(status.value, status.name) for status in AckStatus}
        found = {(int(number), name) for number, name in rows}
        self.assertEqual(found & wanted, wanted)
        self.assertEqual({n for n, _ in found} - {n for n, _ in wanted} - set(MESSAGES), set())
