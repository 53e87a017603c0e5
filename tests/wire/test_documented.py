"""docs/protocol.md and docs/cluster.md have the numbers and names of the code."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.names import AckStatus
from gobelieve.wire import MESSAGES, Message, Sender
from gobelieve.wire.cluster import Port, Refusal
from gobelieve.wire.customers import VoipControl

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
LETTERS = {Sender.CLIENT: "C", Sender.SERVER: "S", Sender.CLIENT | Sender.SERVER: "C S"}


class ProtocolPageTests(SynchronousTestCase):
    """The tables of docs/protocol.md, compared with the declarations."""

    def test_messages(self) -> None:
        """The table has every message of the client's link, with the ends that may send it."""
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
        """The table has every status of an ack, and no other."""
        rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| [a-z]", PAGE, re.MULTILINE)
        wanted = {(status.value, status.name) for status in AckStatus}
        found = {(int(number), name) for number, name in rows}
        self.assertEqual(found & wanted, wanted)
        self.assertEqual({n for n, _ in found} - {n for n, _ in wanted} - set(MESSAGES), set())


class ClusterPageTests(SynchronousTestCase):
    """The tables of docs/cluster.md, compared with the declarations."""

    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")

    def test_messages(self) -> None:
        """The table has the number, the name and the sender of each message."""
        who = {Sender.CONNECTOR: "connector", Sender.LISTENER: "listener"}
        declared = {
            (cls.number, cls.label, who[cls.senders])
            for cls in MESSAGES.values()
            if cls.senders in who
        }
        rows = re.findall(r"^\| (\d+) \| (LINK_\w+) \| (\w+) \|", self.page, re.MULTILINE)
        self.assertEqual({(int(cmd), name, end) for cmd, name, end in rows}, declared)

    def test_ports_and_refusals(self) -> None:
        """The tables have every port and every refusal."""
        rows = re.findall(r"^\| (\d) ([A-Z_]+) \|", self.page, re.MULTILINE)
        declared = [(str(one.value), one.name) for one in (*Port, *Refusal)]
        self.assertEqual(rows, declared)

    def test_lines_of_the_log(self) -> None:
        """The log lines that the page explains are in the code."""
        sources = Path(__file__).parents[2] / "gobelieve" / "protocols"
        said = "".join(
            (sources / f"{name}.py").read_text()
            for name in ("cluster/handshake_protocol", "cluster/handshake", "tls")
        )
        for line in (
            "it does not know our cluster secret",
            "it has another cluster secret, or only one of us has one",
            "it wants to be greeted, and no cluster secret is configured here",
            "it has no cluster secret",
            "it sends something else than our greeting",
            "it speaks TLS, ",
            "it hung up during our greeting",
            "its certificate is for another name or address",
        ):
            self.assertIn(line, self.page)
            self.assertIn(line, said)
