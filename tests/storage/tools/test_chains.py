"""Verification of the queues: a finding names each wrong entry and its faults."""

from collections.abc import Callable

from gobelieve.storage.format.records import FILE_HEADER, pack_entry, pack_message, pack_record
from gobelieve.wire.storage import SUPER_GROUPS, USERS
from tests.storage.support import APPID, im
from tests.storage.tools.test_verify import VerifyCase, row


class ChainTests(VerifyCase):
    """Entries that do not fit their queue."""

    def wrong(self, what: str, make: Callable[[], int], owner: str = "user 7:101") -> None:
        """Check that an entry has this finding, and that no other entry has one."""
        at = make()
        found, _ = self.verify()
        self.assertEqual(found, [f"message_0:{at}: entry of {owner}: {what}"])

    def test_prev(self) -> None:
        """A finding names each way in which prev can be wrong."""
        for prev, what in (
            (0, "prev is 0, but the entry before is {last}"),
            ("first", "prev is {first}, but the entry before is {last}"),
            ("other", "prev {other} is of user 7:102, the entry before is {last}"),
            ("message", "prev {message} is no queue record, the entry before is {last}"),
            (33, "prev 33 is no queue record, the entry before is {last}"),
            (1 << 40, "prev 1099511627776 cannot be"),
            (-5, "prev -5 cannot be"),
        ):
            self.block.write_bytes(FILE_HEADER)
            ids = {"first": self.pair(1, 0), "other": self.pair(1, 0, owner=102)}
            last = ids["last"] = self.pair(2, ids["first"])
            ids["message"] = message = self.message()
            prev = ids[prev] if isinstance(prev, str) else prev
            at = self.entry(message, 3, prev, last)
            self.pair(4, at)
            self.finds(f"message_0:{at}: entry of user 7:101: {what.format(**ids)}")

    def test_the_first_entry_of_a_queue(self) -> None:
        """The first entry of a queue must point to nothing."""
        other = self.pair(1, 0, owner=102)
        what = f"prev {other} is of user 7:102, it is the first; prev_peer is {other}, not 0"
        self.wrong(what, lambda: self.pair(1, other))

    def test_prev_peer(self) -> None:
        """prev_peer must name the last entry that is not of an ordinary group's message."""
        first = self.pair(1, 0)
        second = self.pair(2, first, flag=4)
        what = f"prev_peer is {second}, not {first}"
        self.wrong(what, lambda: self.pair(3, second, peer=second))

    def test_prev_peer_of_a_group(self) -> None:
        """prev_peer of a super group must be 0."""
        first = self.pair(1, 0, owner=500, kind=SUPER_GROUPS)
        what = f"prev_peer is {first}, not 0"
        self.wrong(what, lambda: self.pair(2, first, owner=500, kind=SUPER_GROUPS), "group 7:500")

    def test_prev_batch(self) -> None:
        """prev_batch must name the last entry whose seq is a multiple of 1000."""
        records, prev, batch = [FILE_HEADER], 0, 0
        at = 32
        for seq in range(1, 1002):
            message = pack_message(4, im(102, 101, "hello"))
            entry_at = at + len(message)
            records += [
                message,
                pack_entry(USERS, APPID, 101, at, 11, seq, prev, prev, batch, 0),
            ]
            prev = entry_at
            batch = entry_at if seq == 1000 else batch
            at = entry_at + len(records[-1])
        self.block.write_bytes(b"".join(records))
        self.finds()
        what = f"prev_batch is 0, not {batch}"
        self.wrong(what, lambda: self.pair(1002, prev))

    def test_seq(self) -> None:
        """The seq must go up by one."""
        first = self.pair(1, 0)
        second = self.pair(3, first)
        self.pair(4, second)
        self.finds(f"message_0:{second}: entry of user 7:101: seq is 3, not 2")

    def test_the_first_seq(self) -> None:
        """The first seq must be 1."""
        at = self.pair(5, 0)
        self.finds(f"message_0:{at}: entry of user 7:101: seq is 5, not 1")

    def test_a_message_twice(self) -> None:
        """A message that is entered twice in one queue is a finding."""
        message = self.message()
        first = self.entry(message, 1, 0)
        what = f"message {message} is not after {message}"
        self.wrong(what, lambda: self.entry(message, 2, first))

    def test_a_message_that_is_not_there(self) -> None:
        """A message id after the entry, or at a place of no record, is a finding."""
        for msgid, what in (
            (1 << 40, "message 1099511627776 cannot be"),
            (-7, "message -7 cannot be"),
            (5, "message 5 is missing or damaged"),
            (60, "message 60 is missing or damaged"),
        ):
            self.block.write_bytes(FILE_HEADER)
            self.message("a" * 100)
            self.wrong(what, lambda msgid=msgid: self.entry(msgid, 1, 0))  # type: ignore[misc]

    def test_a_message_that_is_an_entry(self) -> None:
        """An entry of an entry, or of an obsolete ack, is a finding."""
        other = self.pair(1, 0, owner=102)
        what = f"message {other} is not a message but a record 248"
        self.wrong(what, lambda: self.entry(other, 1, 0))

    def test_several_faults_are_one_line(self) -> None:
        """Several faults of one entry are one line."""
        first = self.pair(1, 0)
        what = f"prev is 0, but the entry before is {first}; prev_peer is 0, not {first}"
        self.wrong(f"{what}; seq is 1, not 2", lambda: self.pair(1, 0))

    def test_a_chain_that_an_older_daemon_began_anew(self) -> None:
        """Entries of an older daemon that began a chain anew are one finding."""
        old = self.add(pack_record(254, 0, 0, row(APPID, 101, self.message(), 11, 0)))
        at = self.pair(1, 0)
        what = f"prev is 0, but the entry before is {old}; prev_peer is 0, not {old}"
        self.finds(f"message_0:{at}: entry of user 7:101: {what}")
