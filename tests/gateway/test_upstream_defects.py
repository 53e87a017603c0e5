"""What went wrong with clients in the original, each in its own scenario, and goes right here.

The numbers are those of the second table in docs/defects.md, which also names the tests elsewhere
that are exactly such a scenario. `TableTests` sees that it is complete.
"""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jwt
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.backends.pending.database import PendingDatabase
from gobelieve.config import ClientsConfig
from gobelieve.errors import WireError
from gobelieve.interfaces import Page, PendingMessage
from gobelieve.names import GroupReader, Room, User, shard
from gobelieve.services.components.backends import tokens
from gobelieve.wire.storage import StoredMessage
from tests import defect_table
from tests.backends.pending.test_database import Thread
from tests.fakes.backends import Memory, MemoryPreferences, MemoryTokens
from tests.gateway.support import APP
from tests.gateway.test_command_table import (
    ORDINARY,
    PUSH,
    SELF,
    SUPER,
    SUPER_GROUP,
    TEXT,
    UNPERSISTENT,
    Phone,
    TableCase,
    ack,
    frame,
    i,
    im,
    metadata,
    q,
)
from tests.protocols.logs import Events

SMALLEST = -(1 << 63)
NOW = 1_700_000_000


class LoginTests(TableCase):
    """Logins."""

    def test_a_signed_token_logs_in_with_the_key_of_the_configuration(self) -> None:
        """M4. original: the key never reached the verifier, and each signed token was refused;
        ours: the configuration's key is the one that counts."""
        key = "k" * 32
        config = ClientsConfig(auth_method="jwt", jwt_signing_key=key)
        memory = Memory()
        checked = tokens(config, MemoryTokens(memory), MemoryPreferences(memory))
        token = jwt.encode({"appid": APP, "uid": 1}, key, "HS256")
        found = self.successResultOf(Deferred.fromCoroutine(checked.find(token)))
        assert found is not None
        self.assertEqual(found.user, User(APP, 1))

    def test_clients_come_over_ipv6(self) -> None:
        """B14. original: one connection over IPv6 ended the gateway; ours: it is one like others,
        in version 0 too, whose status had the server's IPv4 address."""
        for version in self.versions():
            phone = Phone(self.gateway, IPv6Address("TCP", "::1", 40000))
            token = self.gateway.grant(1).encode()
            said = frame(1, 15, version, bytes([2, len(token)]) + token + b"\0")
            self.assertEqual(phone.say(said), [frame(1, 3, version, i(0))])

    def test_no_token_is_in_the_log(self) -> None:
        """B28. original: tokens were written to the log; ours: they are not, good or bad, whatever
        happens to the connection."""
        events = Events()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        good = self.gateway.grant(1)
        self.gateway.memory.away = True
        for token in (good, "bad-token", "bad-token", "bad-token"):
            for away in (True, False):
                self.gateway.memory.away = away
                phone = Phone(self.gateway)
                word = token.encode()
                phone.say(
                    frame(1, 15, 2, bytes([2, len(word)]) + word + b"\0"),
                    frame(2, 99, 2, word),
                )
        said = repr([*events, *self.events])
        self.assertIn("is cut off", said)
        for token in (good, "bad-token"):
            self.assertNotIn(token, said)


class IdTests(TableCase):
    """Ids that nobody has."""

    def test_ids_at_the_end_of_their_range_are_ids_like_others(self) -> None:
        """B15. original: a negative receiver, room or group ended the gateway where there were
        several routers or storages; ours: its absolute value says which, and all is answered."""
        for count in range(1, 10):
            for id_ in (SMALLEST, -1, -7, (1 << 63) - 1):
                self.assertIn(shard(id_, count), range(count))
        for version in self.versions():
            phone = self.phone(1, version)
            for id_ in (SMALLEST, -5):
                phone.say(frame(2, 4, version, im(version, 5, 1, id_, b"hi")))
                self.storage.saves.pop().answer(0, [(500, 0), (600, 0)])
                phone.say(
                    frame(3, 18, version, q(id_)),
                    frame(4, 20, version, q(1, id_)),
                    frame(5, 8, version, im(version, 5, 1, id_, b"hi")),
                    frame(6, 17, version, q(1, id_)),
                    frame(7, 30, version, q(id_, id_)),
                    frame(8, 35, version, q(id_, id_)),
                    frame(9, 26, version, q(id_)),
                    frame(10, 34, version, q(id_)),
                    frame(11, 19, version, q(id_)),
                )
                self.assertFalse(phone.closed)
            self.assertEqual(phone.say(frame(2, 13, version))[0][8], 14)

    def test_a_reported_key_beyond_the_queue_hides_nothing(self) -> None:
        """B27. original: a key of 10^15 was kept as it was, and who then came without a key got
        nothing, for ever; ours: it is seen to be beyond the queue, and all is synced."""
        for version in self.versions():
            phone = self.phone(1, version)
            phone.say(frame(2, 34, version, q(10**15)), frame(3, 35, version, q(SUPER, 10**15)))
            self.gateway.clock.advance(1)
            body = im(1, NOW, 2, 1, b"hi")
            pages = {10**15: Page(50, 50, False, ())}
            pages[0] = Page(50, 50, False, (StoredMessage(50, 3, 4, body),))

            async def fetch(user: User, after: int, limit: int = 0) -> Page:
                return pages[after]  # noqa: B023

            async def fetch_group(
                appid: int, group: int, after: int, joined: int, limit: int = 0
            ) -> Page:
                return pages[after]  # noqa: B023

            with (
                patch.object(self.storage, "fetch", fetch),
                patch.object(self.storage, "fetch_group", fetch_group),
            ):
                fresh = self.phone(1, version)
                own = fresh.say(frame(2, 26, version, q(0)))
                theirs = fresh.say(frame(3, 30, version, q(SUPER, 0)))
            shown = im(version, NOW, 2, 1, b"hi")
            self.assertEqual(
                own,
                [
                    frame(2, 27, version, q(0)),
                    frame(3, 4, version, shown),
                    frame(4, 28, version, q(50)),
                ],
            )
            self.assertEqual([one[8] for one in theirs], [31, 4, 32])
            memory = self.gateway.memory
            self.assertEqual(memory.sync_keys.get(User(APP, 1), 0), 0)
            self.assertEqual(memory.sync_keys.get(GroupReader(APP, 1, SUPER), 0), 0)


class SlowClientTests(TableCase):
    """Clients that do not read."""

    def deafen(self, phone: Phone) -> None:
        """Its socket takes no more."""
        phone.connection.pauseProducing()

    def test_a_room_waits_for_nobody(self) -> None:
        """B6. original: who did not read held up who spoke in the room, without limit; ours: it
        misses what is said meanwhile, and the others do not notice."""
        for version in self.versions():
            speaker, deaf, other = (self.phone(uid, version) for uid in (1, 2, 3))
            for phone in (speaker, deaf, other):
                phone.say(frame(2, 18, version, q(5)))
            self.deafen(deaf)
            for seq in range(3, 303):
                got = speaker.say(frame(seq, 20, version, q(1, 5) + b"hi"))
                self.assertEqual(got, [frame(seq - 1, 5, version, ack(version, seq))])
            self.assertEqual(len(other.heard()), 300)
            self.assertEqual(deaf.heard(), [])
            self.assertEqual(self.gateway.counters.counts["live_dropped"], 300)

    def test_a_flood_drops_no_notify(self) -> None:
        """B7. original: the oldest frames for a slow client were dropped, a notify among them, and
        it never learned of its message; ours: the newest notify of each queue is kept."""
        for version in self.versions():
            phone = self.phone(2, version)
            phone.say(frame(2, 18, version, q(5)))
            self.deafen(phone)
            delivery, publications = self.gateway.delivery, self.gateway.publications
            user = User(APP, 2)
            delivery.stored(user, 4, im(1, NOW, 1, 2, b"hi"), 0, 500, 400, None)
            group_notify = frame(0, 33, 1, q(SUPER, 700))
            publications.published_to_group(APP, SUPER, group_notify, 0, 0)
            for _ in range(2000):
                publications.published_to_user(user, frame(0, 17, 1, q(1, 2) + b"rt"), 0, 0)
                publications.published_to_room(Room(APP, 5), frame(0, 20, 1, q(1, 5) + b"hi"))
            self.assertEqual(phone.heard(), [])
            phone.connection.resumeProducing()
            self.assertEqual(
                phone.heard(),
                [frame(2, 29, version, q(500)), frame(3, 33, version, q(SUPER, 700))],
            )


class FlagTests(TableCase):
    """Bits that say more than they should."""

    def test_a_publication_with_any_flag_and_command_is_no_end(self) -> None:
        """M9. original: a frame of a router with a flag that made no sense ended the gateway; ours:
        whatever comes is passed on as what it is, or is an error for the link to log."""
        phone = self.phone(1, 2)
        publications = self.gateway.publications
        for cmd in (4, 8, 17, 20, 24, 29, 33, 36, 37, 64, 0, 255):
            for flag in range(256):
                for body in (b"", q(1, 2) + i(3, 4) + bytes(20)):
                    inner = frame(0, cmd, 1, body, flag)
                    for publish in (
                        lambda: publications.published_to_user(User(APP, 1), inner, 9, 8),  # noqa: B023
                        lambda: publications.published_to_group(APP, SUPER, inner, 9, 8),  # noqa: B023
                        lambda: publications.published_to_room(Room(APP, 5), inner),  # noqa: B023
                    ):
                        try:
                            publish()
                        except WireError:
                            continue
        got = phone.heard()
        self.assertEqual(
            [int.from_bytes(one[4:8], "big") for one in got], list(range(2, len(got) + 2))
        )

    def test_flags_of_a_sender_are_not_passed_on_from_anywhere(self) -> None:
        """B38. original: the sender's flag byte came to the receiver, who took SELF and SUPER_GROUP
        for the server's; ours: all but TEXT is taken away, from other gateways' frames too."""
        forged = TEXT | UNPERSISTENT | SELF | SUPER_GROUP
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            alice.say(frame(2, 4, version, im(version, 5, 1, 2, b"hi"), forged))
            self.storage.saves[0].answer(0, [(500, 400), (600, 300)])
            inner = frame(0, 4, 1, im(1, NOW, 1, 2, b"hi"), forged | PUSH)
            self.gateway.publications.published_to_user(User(APP, 2), inner, 510, 500)
            shown = im(version, NOW, 1, 2, b"hi")
            self.assertEqual(
                bob.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, 4, version, shown, TEXT | PUSH),
                    frame(4, 29, version, q(500)),
                    frame(5, 37, version, metadata(510, 500)),
                    frame(6, 4, version, shown, TEXT | PUSH),
                    frame(7, 29, version, q(510)),
                ],
            )

    def test_each_connection_counts_for_itself(self) -> None:
        """B34. original: one frame object was numbered for all its receivers, who then saw each
        other's numbers; ours: bytes are shared, numbers are not."""
        phones = [self.phone(2, version) for version in (0, 1, 2, 2, 1)]
        for count, phone in enumerate(phones):
            phone.say(*[frame(2, 13, 2)] * count)
        publish = self.gateway.publications.published_to_user
        publish(User(APP, 2), frame(0, 4, 1, im(1, NOW, 1, 2, b"hi"), PUSH), 500, 400)
        publish(User(APP, 2), frame(0, 17, 1, q(1, 2) + b"rt"), 0, 0)
        for count, phone in enumerate(phones):
            seqs = [int.from_bytes(one[4:8], "big") for one in phone.heard()]
            self.assertEqual(seqs, [2 + count, 3 + count, 4 + count, 5 + count])


class PendingTests(SynchronousTestCase):
    """Messages of ordinary groups on the gateway's disk."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())

    def open(self) -> tuple[PendingDatabase, Thread, list[Any]]:
        thread = Thread()
        pending = PendingDatabase(self.root, thread, Events().log())
        left = pending.open()
        return pending, thread, list(left)

    def close(self, pending: PendingDatabase, thread: Thread) -> None:
        pending.close(lambda: None)
        thread.run()

    def test_a_large_group_is_kept_as_any(self) -> None:
        """B16. original: lists of 4092 members and more were read back wrong, and ended the gateway
        again and again; ours: lists have no such bound."""
        self.kept_and_found(members=tuple(range(100_000)))

    def test_a_long_record_is_kept_as_any(self) -> None:
        """B17. original: a record over 32 KiB could be written and not read, and nothing behind it
        was ever delivered; ours: it is kept and found with what is behind it."""
        self.kept_and_found(members=tuple(range(3000)), body=bytes(32767))

    def kept_and_found(self, members: tuple[int, ...], body: bytes = b"hello") -> None:
        pending, thread, _ = self.open()
        messages = [
            PendingMessage(APP, ORDINARY, 1, 5, 8, said, members, (0,)) for said in (body, b"next")
        ]
        kept: list[int] = []
        for message in messages:
            pending.keep(message, kept.append)
        thread.run()
        self.assertEqual(kept, [1, 2])
        self.close(pending, thread)
        pending, thread, left = self.open()
        self.assertEqual([one.message for one in left], messages)
        self.close(pending, thread)

    def test_delivering_takes_no_descriptors(self) -> None:
        """B22. original: each run of the queue left a file open; ours: one database is."""
        pending, thread, _ = self.open()
        message = PendingMessage(APP, ORDINARY, 1, 5, 8, b"hello", (1, 2, 3), (0,))
        before = 0
        for number in range(1, 101):
            pending.keep(message, lambda number: None)
            thread.run()
            pending.finished(number)
            thread.run()
            before = before or len(os.listdir("/proc/self/fd"))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.close(pending, thread)


class TableTests(defect_table.DefectTable):
    """The second table of the documentation."""

    number = r"[MB]\d+"
    numbers = (*(f"M{n}" for n in range(1, 11)), *(f"B{n}" for n in range(1, 39)))
    cases = (LoginTests, IdTests, SlowClientTests, FlagTests, PendingTests)
