"""The gateway's links to storage."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import StorageError
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.protocols.storage.link import SAVE_BYTES, StorageConnection, StorageLink
from gobelieve.protocols.storage.pool import StoragePool
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Frame, FrameReader, Message, decode, encode_frame, storage
from gobelieve.wire.frames import RPC_BODY_LIMIT
from tests.fakes.storage import Waiting

A, B = User(7, 2), User(7, 3)


class Wire:
    """The far end of one link: what storage would see and say."""

    def __init__(self, link: StorageLink) -> None:
        self.connection: StorageConnection = link.buildProtocol(None)
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)
        self._reader = FrameReader(RPC_BODY_LIMIT)

    def asked(self) -> list[Frame]:
        """The asks since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return self._reader.feed(data)

    def answer(self, tag: int, message: Message) -> None:
        """Answer an ask."""
        self.connection.dataReceived(message.frame(tag))

    def saved(self, tag: int, *results: tuple[int, int, Sequence[int]]) -> None:
        """Answer a SAVE."""
        self.answer(
            tag, storage.Saved(results=b"".join(storage.pack_saved(*one) for one in results))
        )


class StorageLinkTests(SynchronousTestCase):
    """One storage daemon, or several."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = ReactorTurn(self.clock)
        self.done: list[tuple[Any, int, list[tuple[int, int]]]] = []

    def links(self, count: int) -> tuple[StoragePool, list[StorageLink]]:
        """A pool of links that are not connected."""
        links = [StorageLink(f"127.0.0.1:{n}", self.turn, self.clock, 4.0) for n in range(count)]
        return StoragePool(links), links

    def save(self, pool: StoragePool, name: str, *queues: User, body: bytes = b"body") -> None:
        """Ask for a save; how it ends is written to `done`."""

        pool.save(4, body, 5, queues, self.waiting(name))

    def waiting(self, name: str) -> Waiting:
        """A message that writes the answer to `done`, under its name."""
        return Waiting(lambda status, entries: self.done.append((name, status, list(entries))))

    def test_all_saves_of_a_turn_are_one_ask(self) -> None:
        """And each asker gets its own answer."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        self.save(pool, "one", A, B)
        self.save(pool, "two", B)
        self.assertEqual(wire.asked(), [])
        self.clock.advance(0)
        (ask,) = wire.asked()
        message = decode(ask)
        assert isinstance(message, storage.Save)
        self.assertEqual(
            storage.unpack_saves(message.items),
            [
                storage.SaveItem(5, 4, storage.USERS, (7, 2, 7, 3), b"body"),
                storage.SaveItem(5, 4, storage.USERS, (7, 3), b"body"),
            ],
        )
        wire.saved(ask.seq, (0, 100, (50, 60)), (0, 300, (100,)))
        self.assertEqual(self.done, [("one", 0, [(100, 50), (100, 60)]), ("two", 0, [(300, 100)])])

    def test_one_refused_item_does_not_touch_its_neighbours(self) -> None:
        """Each has its own status."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        for name in "abc":
            self.save(pool, name, A)
        self.clock.advance(0)
        wire.saved(1, (0, 100, (0,)), (AckStatus.TOO_LARGE, 0, ()), (0, 200, (100,)))
        self.assertEqual(
            self.done,
            [("a", 0, [(100, 0)]), ("b", AckStatus.TOO_LARGE, [(0, 0)]), ("c", 0, [(200, 100)])],
        )

    def test_answers_may_come_in_any_order(self) -> None:
        """The tag says whose they are."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        for name in "ab":
            self.save(pool, name, A)
            self.clock.advance(0)
        first, second = (ask.seq for ask in wire.asked())
        wire.saved(second, (0, 200, (100,)))
        wire.saved(first, (0, 100, (0,)))
        self.assertEqual([name for name, _, _ in self.done], ["b", "a"])

    def test_without_a_connection_a_save_fails_at_the_end_of_the_turn(self) -> None:
        """Not silently, and not within the call."""
        pool, _ = self.links(1)
        self.save(pool, "a", A, B)
        self.assertEqual(self.done, [])
        self.clock.advance(0)
        self.assertEqual(self.done, [("a", AckStatus.STORAGE_AWAY, [(0, 0), (0, 0)])])

    def test_when_the_connection_goes_all_asks_fail_at_once(self) -> None:
        """Saves and questions."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        self.save(pool, "a", A)
        self.clock.advance(0)
        question = Deferred.fromCoroutine(pool.fetch(A, 0))
        wire.connection.connectionLost()
        self.assertEqual(self.done, [("a", AckStatus.STORAGE_AWAY, [(0, 0)])])
        self.assertEqual(self.failureResultOf(question, StorageError).value.status, 100)

    def test_an_ask_that_is_not_answered_in_time_fails_and_a_late_answer_is_ignored(self) -> None:
        """Storage may be stopped without its connection ending."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        self.save(pool, "a", A)
        self.clock.advance(0)
        self.clock.pump([0.5] * 9)
        self.assertEqual(self.done, [("a", AckStatus.STORAGE_AWAY, [(0, 0)])])
        wire.saved(1, (0, 100, (0,)))
        self.assertEqual(len(self.done), 1)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [], "no timer is left")

    def test_a_storage_that_says_nothing_at_all_is_connected_anew(self) -> None:
        """What is written to it would pile up; one that answers others is left alone."""
        for says_something in (True, False):
            pool, (link,) = self.links(1)
            wire = Wire(link)
            self.save(pool, "a", A)
            self.clock.pump([0, 0.5, 0.5, 0.5])
            if says_something:
                wire.answer(99, storage.StoragePong())
            self.clock.pump([0.5] * 6)
            self.assertEqual(wire.transport.disconnected, not says_something)

    def test_a_new_connection_serves_new_asks(self) -> None:
        """After the old one was lost."""
        pool, (link,) = self.links(1)
        Wire(link).connection.connectionLost()
        wire = Wire(link)
        self.save(pool, "a", A)
        self.clock.advance(0)
        (ask,) = wire.asked()
        wire.saved(ask.seq, (0, 100, (0,)))
        self.assertEqual(self.done, [("a", 0, [(100, 0)])])

    def test_a_very_long_turn_is_several_asks(self) -> None:
        """No ask outgrows the frame."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        body = bytes(32767)
        for _ in range(2 * SAVE_BYTES // len(body)):
            self.save(pool, "a", A, body=body)
        self.clock.advance(0)
        self.assertGreater(len(wire.asked()), 1)

    def test_a_queue_lies_at_its_id_modulo_the_number_of_instances(self) -> None:
        """By the absolute value of the id."""
        pool, links = self.links(2)
        wires = [Wire(link) for link in links]
        self.save(pool, "even", User(7, 4))
        self.save(pool, "odd", User(7, -3))
        self.clock.advance(0)
        self.assertEqual([len(wire.asked()) for wire in wires], [1, 1])
        wires[0].saved(1, (0, 100, (0,)))
        wires[1].saved(1, (0, 200, (0,)))
        self.assertEqual(self.done, [("even", 0, [(100, 0)]), ("odd", 0, [(200, 0)])])

    def test_a_message_for_two_instances_is_done_when_both_have_it(self) -> None:
        """Each queue gets its own ids back, in the order they were named."""
        pool, links = self.links(2)
        wires = [Wire(link) for link in links]
        self.save(pool, "m", B, A)
        self.clock.advance(0)
        wires[0].saved(1, (0, 100, (90,)))
        self.assertEqual(self.done, [])
        wires[1].saved(1, (0, 500, (400,)))
        self.assertEqual(self.done, [("m", 0, [(500, 400), (100, 90)])])

    def test_when_one_of_two_instances_fails_the_save_fails_and_says_what_is_stored(self) -> None:
        """So that what is stored is told."""
        pool, links = self.links(2)
        wire = Wire(links[0])
        self.save(pool, "m", B, A)
        self.clock.advance(0)
        wire.saved(1, (0, 100, (90,)))
        self.assertEqual(self.done, [("m", AckStatus.STORAGE_AWAY, [(0, 0), (100, 90)])])

    def test_the_newest_id_of_each_instance_is_known_from_its_answers(self) -> None:
        """Whoever looks for a message need not look before the ids known when it was sent."""
        pool, links = self.links(2)
        self.assertEqual(pool.newest(), (0, 0))
        wire = Wire(links[0])
        self.save(pool, "a", User(7, 2))
        self.save(pool, "b", User(7, 4))
        self.clock.advance(0)
        wire.saved(1, (0, 900, (0,)), (AckStatus.STORAGE_FAILED, 0, (0,)))
        self.assertEqual(pool.newest(), (900, 0))

    def test_super_groups_may_have_instances_of_their_own(self) -> None:
        """Their queues lie there by the group's id, and are read there."""
        _, links = self.links(3)
        pool = StoragePool(links[:1], links[1:])
        wires = [Wire(link) for link in links]

        pool.save_to_group(8, b"body", 5, 7, 101, self.waiting("m"))
        self.clock.advance(0)
        asked = [wire.asked() for wire in wires]
        self.assertEqual([len(frames) for frames in asked], [0, 0, 1])
        (item,) = storage.unpack_saves(asked[2][0].body)
        expected = storage.SaveItem(5, 8, storage.SUPER_GROUPS, (7, 101), b"body")
        self.assertEqual(item, expected)
        wires[2].saved(1, (0, 500, (400,)))
        self.assertEqual(self.done, [("m", 0, [(500, 400)])])
        Deferred.fromCoroutine(pool.fetch_group(7, 100, 9, 1 << 40)).addErrback(lambda _: None)
        self.clock.advance(0)
        (frame,) = wires[1].asked()
        question = storage.FetchGroup(appid=7, group_id=100, after=9, joined=(1 << 31) - 1, limit=0)
        self.assertEqual(decode(frame), question)

    def test_pages_and_counts_come_back_as_values(self) -> None:
        """FETCH, FETCH_LATEST, FETCH_BEFORE, COUNT_NEW."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        stored = [storage.StoredMessage(100, 1, 4, b"x"), storage.StoredMessage(200, 2, 8, b"y")]
        page = storage.Page(last=200, newest=300, more=1, messages=storage.pack_messages(stored))
        for asking in (pool.fetch(A, 5), pool.fetch_latest(A, 2), pool.fetch_before(A, 250, 2)):
            question = Deferred.fromCoroutine(asking)
            self.clock.advance(0)
            wire.answer(wire.asked()[0].seq, page)
            self.assertEqual(self.successResultOf(question), Page(200, 300, True, stored))
        count = Deferred.fromCoroutine(pool.count_new(A, 5))
        self.clock.advance(0)
        wire.answer(wire.asked()[0].seq, storage.Counted(count=8))
        self.assertEqual(self.successResultOf(count), 8)

    def test_that_all_before_is_decided_is_asked_behind_what_is_still_to_be_sent(self) -> None:
        """By a SAVE of nothing; and what is asked for is not asked twice."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        self.save(pool, "a", A)
        question = Deferred.fromCoroutine(pool.decided(A))
        self.clock.advance(0)
        first, second = wire.asked()
        self.assertEqual(decode(second), storage.Save(items=b""))
        wire.saved(first.seq, (0, 100, (0,)))
        self.assertNoResult(question)
        wire.saved(second.seq)
        self.assertIs(self.successResultOf(question), None)

    def test_failed_asks_and_senseless_answers_are_storage_errors(self) -> None:
        """With the status that storage gave; nobody is left waiting."""
        pool, (link,) = self.links(1)
        wire = Wire(link)

        def asked() -> tuple[Deferred[Page], int]:
            question = Deferred.fromCoroutine(pool.fetch(A, 5))
            self.clock.advance(0)
            return question, wire.asked()[0].seq

        question, tag = asked()
        wire.answer(tag, storage.Failed(status=103, reason=b"disk"))
        error = self.failureResultOf(question, StorageError).value
        self.assertEqual((error.status, str(error)), (103, "disk"))
        question, tag = asked()
        wire.answer(tag, storage.Counted(count=1))
        self.failureResultOf(question, StorageError)
        question, tag = asked()
        wire.answer(tag, storage.Page(last=0, newest=0, more=0, messages=b"cut"))
        self.failureResultOf(question, StorageError)
        question, tag = asked()
        wire.connection.dataReceived(encode_frame(storage.Page.number, b"short", tag))
        self.failureResultOf(question, StorageError)
        self.assertTrue(wire.transport.disconnecting)

    def test_a_saved_that_is_cut_short_fails_the_rest_and_the_link(self) -> None:
        """What was answered before counts."""
        pool, (link,) = self.links(1)
        wire = Wire(link)
        self.save(pool, "a", A)
        self.save(pool, "b", A)
        self.clock.advance(0)
        wire.answer(1, storage.Saved(results=storage.pack_saved(0, 100, (0,)) + b"\0\0"))
        self.assertEqual(
            self.done, [("a", 0, [(100, 0)]), ("b", AckStatus.STORAGE_FAILED, [(0, 0)])]
        )
        self.assertTrue(wire.transport.disconnecting)

    def test_trouble_with_one_message_leaves_the_others_answered(self) -> None:
        """An error of ours is logged, and only its own message suffers."""
        pool, (link,) = self.links(1)
        wire = Wire(link)

        def broken(status: int, entries: Sequence[tuple[int, int]]) -> None:
            raise ValueError("a bug")

        pool.save(4, b"x", 5, (A,), Waiting(broken))
        self.save(pool, "fine", A)
        self.clock.advance(0)
        wire.saved(1, (0, 100, (0,)), (0, 200, (100,)))
        self.assertEqual(self.done, [("fine", 0, [(200, 100)])])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
