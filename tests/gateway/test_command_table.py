"""Every command of the client's link, byte by byte: what is sent, and exactly what comes back.

Real rules behind a real connection, for clients of each version (0 and 1 are of 2018, 2 of today).
The bytes are packed here by hand, not by our own codec. The server's seq begins at 1, the answer
to the login, and each frame has the next.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from struct import pack, unpack_from

from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import Page
from gobelieve.names import User
from gobelieve.protocols.clients.tcp import ClientFactory
from gobelieve.protocols.framed import FramedProtocol
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire.message import MESSAGES, Sender
from gobelieve.wire.storage import StoredMessage
from tests.fakes.groups import group
from tests.gateway.support import APP, KEFU, TestGateway
from tests.protocols.logs import Events

NOW = 1_700_000_000
VERSIONS = (0, 1, 2)
TEXT, UNPERSISTENT, SELF, PUSH, SUPER_GROUP = 0x01, 0x02, 0x08, 0x10, 0x20
OLD_FLAGS = 0x02
"""What JavaScript clients of 2018 have in every frame."""
ORDINARY, SUPER = 3110, 3111


def frame(seq: int, cmd: int, version: int, body: bytes = b"", flag: int = 0) -> bytes:
    """A whole frame."""
    return pack(">iiBBBB", len(body), seq, cmd, version, flag, 0) + body


def q(*numbers: int) -> bytes:
    """64-bit integers."""
    return pack(f">{len(numbers)}q", *numbers)


def i(*numbers: int) -> bytes:
    """32-bit integers."""
    return pack(f">{len(numbers)}i", *numbers)


def im(version: int, timestamp: int, sender: int, receiver: int, content: bytes) -> bytes:
    """IM and GROUP_IM, with the msgid 9; version 0 has no timestamp."""
    return q(sender, receiver) + (i(timestamp) if version else b"") + i(9) + content


def ack(version: int, seq: int, status: int = 0) -> bytes:
    """ACK of a frame; the status only in version 2."""
    return i(seq) + (bytes([status]) if version == 2 else b"")


def metadata(key: int, prev: int) -> bytes:
    """METADATA."""
    return q(key, prev) + bytes(16)


class Phone:
    """A client's socket."""

    def __init__(self, gateway: TestGateway, peer: IAddress | None = None) -> None:
        self.gateway = gateway
        factory = ClientFactory(ReactorTurn(gateway.clock), gateway.registry)
        self.connection = factory.buildProtocol(None)
        self.transport = StringTransport(peerAddress=peer)
        self.connection.makeConnection(self.transport)

    def say(self, *frames: bytes) -> list[bytes]:
        """Send frames in one read; the frames that come back."""
        self.connection.dataReceived(b"".join(frames))
        return self.heard()

    def heard(self) -> list[bytes]:
        """The frames that came since the last time, cut by their lengths."""
        self.gateway.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        frames = []
        while data:
            end = 12 + unpack_from(">i", data)[0]
            frames.append(data[:end])
            data = data[end:]
        return frames

    @property
    def closed(self) -> bool:
        """Whether the server hung up."""
        return self.transport.disconnecting


class TableCase(SynchronousTestCase):
    """A site with two groups; users 1 to 4 are their members."""

    def setUp(self) -> None:
        self.events = Events()
        self.patch(FramedProtocol, "log", self.events.log())
        self.begin()

    def begin(self) -> None:
        """A fresh gateway."""
        self.gateway = TestGateway()
        for made in (group(ORDINARY, 1, 2, 3, 4), group(SUPER, 1, 2, 3, 4, super=True)):
            self.gateway.groups.at_hand[made.id] = made
        self.storage = self.gateway.storage

    def versions(self) -> Iterator[int]:
        """Each version, with a fresh gateway."""
        for version in VERSIONS:
            self.begin()
            yield version

    def phone(self, uid: int, version: int, appid: int = APP, platform: int = 2) -> Phone:
        """Logged in; the server's next seq is 2, the phone's own too."""
        phone = Phone(self.gateway)
        token = self.gateway.grant(uid, appid=appid).encode()
        device = b"device of %d" % uid
        body = bytes([platform, len(token)]) + token + bytes([len(device)]) + device
        got = phone.say(frame(1, 15, version, body))
        self.assertEqual(got, [frame(1, 3, version, i(0))])
        self.gateway.routing.take()
        return phone

    def no_answer(self, cmd: int, body: bytes = b"") -> None:
        """Ignored in every version, and the connection goes on."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.assertEqual(phone.say(frame(2, cmd, version, body)), [])
            self.assertEqual(phone.say(frame(3, 13, version)), [frame(2, 14, version)])

    def closes(self, data: bytes) -> None:
        """The connection ends, without any answer, and the log has one line."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.assertEqual(phone.say(data), [])
            self.assertTrue(phone.closed, data[:20].hex())
            (line,) = self.events.texts()
            self.assertIn("is cut off", line)
            self.events.clear()

    def stored(self, version: int, cmd: int, body: bytes, shown: bytes, flag: int = 0) -> None:
        """A stored message comes in a sync, in the layout of the version."""
        phone = self.phone(1, version)
        page = Page(50, 50, False, (StoredMessage(50, 3, cmd, body),))
        self.storage.pages[User(APP, 1)] = page
        self.assertEqual(
            phone.say(frame(2, 26, version, q(10))),
            [
                frame(2, 27, version, q(10)),
                frame(3, cmd, version, shown, flag),
                frame(4, 28, version, q(50)),
            ],
        )


class RetiredTests(TableCase):
    """1, 2, 6, 9, 11, 12, 16, 23: ignored, whatever they carry."""

    def test_1_heartbeat(self) -> None:
        self.no_answer(1)

    def test_2_auth(self) -> None:
        self.no_answer(2, q(1))

    def test_6_rst(self) -> None:
        self.no_answer(6)

    def test_9_peer_ack(self) -> None:
        self.no_answer(9, b"anything")

    def test_11_subscribe_online_state(self) -> None:
        self.no_answer(11, b"anything")

    def test_12_online_state(self) -> None:
        self.no_answer(12, b"anything")

    def test_16_login_point(self) -> None:
        self.no_answer(16, i(1) + b"\1device")

    def test_23_customer_service(self) -> None:
        self.no_answer(23, b"anything")


class ServersOwnTests(TableCase):
    """What only servers say closes the connection when a client says it."""

    def test_from_a_client(self) -> None:
        """3, 7, 21, 27 to 29, 31 to 33, 36, and the numbers that nobody uses, 65 among them."""
        for cmd in (3, 7, 21, 27, 28, 29, 31, 32, 33, 36, 0, 38, 63, 65):
            self.closes(frame(2, cmd, 1, q(1, 1)))

    def test_7_group_notification(self) -> None:
        """In a sync."""
        for version in self.versions():
            self.stored(version, 7, b'{"create":{}}', b'{"create":{}}')

    def test_21_system(self) -> None:
        """In a sync."""
        for version in self.versions():
            self.stored(version, 21, b"system", b"system")

    def test_29_sync_notify(self) -> None:
        """Alone when the id before is not known."""
        for version in self.versions():
            phone = self.phone(2, version)
            self.gateway.delivery.stored(User(APP, 2), 4, im(1, NOW, 1, 2, b"hi"), 0, 50, 0, None)
            self.assertEqual(phone.heard(), [frame(2, 29, version, q(50))])

    def test_36_notification(self) -> None:
        """As it is said."""
        for version in self.versions():
            phone = self.phone(2, version)
            inner = frame(0, 36, 1, b"notice")
            self.gateway.publications.published_to_user(User(APP, 2), inner, 0, 0)
            self.assertEqual(phone.heard(), [frame(2, 36, version, b"notice")])


class LoginTests(TableCase):
    """15 and 3."""

    def token_frame(self, version: int, token: bytes) -> bytes:
        """As a phone sends it."""
        return frame(1, 15, version, bytes([2, len(token)]) + token + b"\6device")

    def test_15_auth_token(self) -> None:
        """Accepted: four bytes in every version, in the version of the request."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.assertEqual(phone.connection.session.user, User(APP, 1))

    def test_3_refused(self) -> None:
        """Four bytes and version 0 in every version; the connection stays, and another works."""
        for version in self.versions():
            phone = Phone(self.gateway)
            refused = phone.say(self.token_frame(version, b"wrong"))
            self.assertEqual(refused, [frame(1, 3, 0, i(1))])
            self.assertFalse(phone.closed)
            good = self.gateway.grant(1).encode()
            self.assertEqual(
                phone.say(self.token_frame(version, good)), [frame(2, 3, version, i(0))]
            )
            self.assertEqual(phone.say(self.token_frame(version, good)), [], "once is enough")

    def test_before_it_nothing_but_a_ping(self) -> None:
        """Answered in version 0; the rest is ignored, also if it makes no sense."""
        for version in self.versions():
            phone = Phone(self.gateway)
            self.assertEqual(phone.say(frame(1, 13, version)), [frame(1, 14, 0)])
            for cmd in (4, 8, 10, 17, 18, 19, 20, 22, 24, 25, 26, 30, 34, 35, 64):
                self.assertEqual(phone.say(frame(2, cmd, version, b"x")), [], cmd)
            self.assertFalse(phone.closed)
            self.assertEqual((self.storage.saves, self.gateway.routing.take()), ([], []))


class PeerTests(TableCase):
    """4 with 37, 29 and 5."""

    def test_4_im(self) -> None:
        """The receiver: METADATA, IM with PUSH and the server's time, SYNC_NOTIFY. The sender's
        other device the same, with its own ids. The sender: METADATA and ACK."""
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            tablet = self.phone(1, version)
            said = frame(2, 4, version, im(version, 5, 1, 2, b"hi"), OLD_FLAGS)
            self.assertEqual(alice.say(said), [])
            (save,) = self.storage.saves
            self.assertEqual(save.body, im(1, NOW, 1, 2, b"hi"))
            save.answer(0, [(500, 400), (600, 300)])
            shown = im(version, NOW, 1, 2, b"hi")
            self.assertEqual(
                bob.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, 4, version, shown, PUSH),
                    frame(4, 29, version, q(500)),
                ],
            )
            self.assertEqual(
                tablet.heard(),
                [
                    frame(2, 37, version, metadata(600, 300)),
                    frame(3, 4, version, shown, PUSH),
                    frame(4, 29, version, q(600)),
                ],
            )
            self.assertEqual(
                alice.heard(),
                [
                    frame(2, 37, version, metadata(600, 300)),
                    frame(3, 5, version, ack(version, 2)),
                ],
            )

    def test_4_im_between_the_versions(self) -> None:
        """Each gets its own layout, whatever the sender's."""
        for sender in VERSIONS:
            self.begin()
            alice = self.phone(1, sender)
            phones = {version: self.phone(2, version) for version in VERSIONS}
            alice.say(frame(2, 4, sender, im(sender, 5, 1, 2, b"hi"), TEXT | PUSH | SELF))
            self.storage.saves[0].answer(0, [(500, 400), (600, 300)])
            for version, phone in phones.items():
                message = frame(3, 4, version, im(version, NOW, 1, 2, b"hi"), TEXT | PUSH)
                self.assertEqual(phone.heard()[1], message)

    def test_4_im_that_is_refused(self) -> None:
        """A forged sender: version 2 has the reason, older ones a plain ack."""
        for version in self.versions():
            alice = self.phone(1, version)
            said = frame(2, 4, version, im(version, 5, 3, 2, b"hi"))
            self.assertEqual(alice.say(said), [frame(2, 5, version, ack(version, 2, 110))])
            self.assertEqual(self.storage.saves, [])

    def test_4_im_that_is_not_stored(self) -> None:
        """Version 2 has the reason, older ones no ack."""
        for version in self.versions():
            alice = self.phone(1, version)
            alice.say(frame(2, 4, version, im(version, 5, 1, 2, b"hi")))
            self.storage.saves[0].answer(100, [(0, 0), (0, 0)])
            got = [frame(2, 5, version, ack(version, 2, 100))] if version == 2 else []
            self.assertEqual(alice.heard(), got)

    def test_4_im_in_a_sync(self) -> None:
        """Without a flag; with SELF if this device wrote it."""
        for version in self.versions():
            body = im(1, NOW, 2, 1, b"hi")
            self.stored(version, 4, body, im(version, NOW, 2, 1, b"hi"))
        for version in self.versions():
            own = Page(50, 50, False, (StoredMessage(50, 1, 4, im(1, NOW, 1, 2, b"hi")),))
            phone = self.phone(1, version)
            self.storage.pages[User(APP, 1)] = own
            shown = im(version, NOW, 1, 2, b"hi")
            self.assertEqual(
                phone.say(frame(2, 26, version, q(10)))[1], frame(3, 4, version, shown, SELF)
            )

    def test_5_ack(self) -> None:
        """From a client of any length, none too: only read."""
        self.no_answer(5, i(7))
        self.no_answer(5, b"")
        self.no_answer(5, i(7) + b"\0")

    def test_37_metadata(self) -> None:
        """From a client: ignored."""
        self.no_answer(37, metadata(50, 40))

    def live(self, cmd: int, body: bytes, shown: bytes) -> None:
        """To the other's connections and to other gateways; not acked, not to oneself."""
        for version in self.versions():
            alice, bob, tablet = (self.phone(uid, version) for uid in (1, 2, 1))
            self.assertEqual(alice.say(frame(2, cmd, version, body)), [])
            self.assertEqual(bob.heard(), [frame(2, cmd, version, shown)])
            self.assertEqual(tablet.heard(), [])
            self.assertEqual(
                self.gateway.routing.take(), [("publish", User(APP, 2), cmd, shown, 0, 0, 0)]
            )
            self.assertEqual(self.storage.saves, [])
            forged = q(3) + body[8:]
            self.assertEqual(alice.say(frame(3, cmd, version, forged)), [])
            self.assertEqual(bob.heard(), [])

    def test_10_inputing(self) -> None:
        """Passed on as it came, but for what is behind it."""
        self.live(10, q(1, 2) + b"more", q(1, 2))

    def test_17_rt(self) -> None:
        """Passed on as it came."""
        self.live(17, q(1, 2) + b"test rt", q(1, 2) + b"test rt")

    def test_64_voip_control(self) -> None:
        """Passed on as it came."""
        self.live(64, q(1, 2) + i(1, 1), q(1, 2) + i(1, 1))

    def test_13_ping_and_14_pong(self) -> None:
        """PONG, nothing in it; a client's PONG is ignored."""
        self.no_answer(14)
        for version in self.versions():
            phone = self.phone(1, version)
            for seq in (2, 3, 4):
                self.assertEqual(phone.say(frame(9, 13, version)), [frame(seq, 14, version)])

    def test_22_unread_count(self) -> None:
        """Kept for the phone's badge; not answered."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.assertEqual(phone.say(frame(2, 22, version, i(5))), [])
            self.gateway.clock.advance(1)
            self.assertEqual(self.gateway.memory.unread[User(APP, 1)], 5)


class GroupTests(TableCase):
    """8, and 30 to 33 and 35."""

    def test_8_group_im_to_an_ordinary_group(self) -> None:
        """As an IM, with each member's own ids; the ack when it is kept and the sender's known."""
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            self.assertEqual(
                alice.say(frame(2, 8, version, im(version, 5, 1, ORDINARY, b"hi"))), []
            )
            (save,) = self.storage.saves
            self.assertEqual(list(save.queues), [User(APP, uid) for uid in (1, 2, 3, 4)])
            save.answer(0, [(500, 400), (500, 300), (500, 0), (500, 0)])
            shown = im(version, NOW, 1, ORDINARY, b"hi")
            self.assertEqual(
                bob.heard(),
                [
                    frame(2, 37, version, metadata(500, 300)),
                    frame(3, 8, version, shown, PUSH),
                    frame(4, 29, version, q(500)),
                ],
            )
            self.assertEqual(
                alice.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, 5, version, ack(version, 2)),
                ],
            )

    def test_8_group_im_to_a_super_group(self) -> None:
        """Once into the group's queue: METADATA, the message with PUSH and SUPER_GROUP, and 33; the
        ack has SUPER_GROUP, for the ids before it are the group's."""
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            alice.say(frame(2, 8, version, im(version, 5, 1, SUPER, b"hi"), TEXT))
            (save,) = self.storage.group_saves
            self.assertEqual((save.group, self.storage.saves), ((APP, SUPER), []))
            save.answer(0, [(500, 400)])
            shown = im(version, NOW, 1, SUPER, b"hi")
            self.assertEqual(
                bob.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, 8, version, shown, PUSH | SUPER_GROUP),
                    frame(4, 33, version, q(SUPER, 500)),
                ],
            )
            self.assertEqual(
                alice.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, 5, version, ack(version, 2), SUPER_GROUP),
                ],
            )

    def test_8_group_im_that_is_refused(self) -> None:
        """No member 64, no group 65, a forged sender 110."""
        for version in self.versions():
            stranger = self.phone(9, version)
            for seq, (sender, to, status) in enumerate(
                [(9, SUPER, 64), (9, ORDINARY, 64), (9, 77, 65), (1, SUPER, 110)], 2
            ):
                said = frame(seq, 8, version, im(version, 5, sender, to, b"hi"))
                self.assertEqual(
                    stranger.say(said), [frame(seq, 5, version, ack(version, seq, status))]
                )
            self.assertEqual((self.storage.saves, self.storage.group_saves), ([], []))

    def test_30_sync_group(self) -> None:
        """31, the messages, 32."""
        for version in self.versions():
            phone = self.phone(1, version)
            message = StoredMessage(50, 3, 8, im(1, NOW, 2, SUPER, b"hi"))
            self.storage.group_pages[APP, SUPER] = Page(50, 60, True, (message,))
            self.assertEqual(
                phone.say(frame(2, 30, version, q(SUPER, 10))),
                [
                    frame(2, 31, version, q(SUPER, 10)),
                    frame(3, 8, version, im(version, NOW, 2, SUPER, b"hi")),
                    frame(4, 32, version, q(SUPER, 50)),
                    frame(5, 33, version, q(SUPER, 51)),
                ],
            )

    def test_30_sync_group_of_no_member(self) -> None:
        """An empty batch with the client's own key, also if there is no such group."""
        for version in self.versions():
            stranger = self.phone(9, version)
            for seq, id_ in ((2, SUPER), (4, 77)):
                self.assertEqual(
                    stranger.say(frame(seq, 30, version, q(id_, 10))),
                    [
                        frame(seq, 31, version, q(id_, 10)),
                        frame(seq + 1, 32, version, q(id_, 10)),
                    ],
                )
            self.assertEqual(self.storage.group_fetched, [])

    def test_33_sync_group_notify(self) -> None:
        """From another gateway that only notifies."""
        for version in self.versions():
            phone = self.phone(1, version)
            inner = frame(0, 33, 1, q(SUPER, 50))
            self.gateway.publications.published_to_group(APP, SUPER, inner, 0, 0)
            self.assertEqual(phone.heard(), [frame(2, 33, version, q(SUPER, 50))])

    def test_35_group_sync_key(self) -> None:
        """Not answered; a client that comes with key 0 begins there."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.storage.group_pages[APP, SUPER] = Page(40, 40, False, ())
            self.assertEqual(phone.say(frame(2, 35, version, q(SUPER, 40))), [])
            self.assertEqual(
                phone.say(frame(3, 30, version, q(SUPER, 0)))[0],
                frame(2, 31, version, q(SUPER, 40)),
            )


class SyncTests(TableCase):
    """26 to 28, and 34."""

    def test_26_sync(self) -> None:
        """BEGIN, messages from old to new, END; a notify if there is more."""
        for version in self.versions():
            phone = self.phone(1, version)
            messages = tuple(
                StoredMessage(id_, 3, 4, im(1, NOW, 2, 1, b"%d" % id_)) for id_ in (20, 30)
            )
            self.storage.pages[User(APP, 1)] = Page(30, 90, True, messages)
            self.assertEqual(
                phone.say(frame(2, 26, version, q(10))),
                [
                    frame(2, 27, version, q(10)),
                    frame(3, 4, version, im(version, NOW, 2, 1, b"20")),
                    frame(4, 4, version, im(version, NOW, 2, 1, b"30")),
                    frame(5, 28, version, q(30)),
                    frame(6, 29, version, q(31)),
                ],
            )

    def test_26_sync_of_nothing_and_of_too_much(self) -> None:
        """END has the client's key; or the newest, if the client is beyond it."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.storage.pages[User(APP, 1)] = Page(10, 10, False, ())
            for seq, (key, end) in enumerate([(10, 10), (99, 10)]):
                self.assertEqual(
                    phone.say(frame(9, 26, version, q(key))),
                    [
                        frame(2 + 2 * seq, 27, version, q(key)),
                        frame(3 + 2 * seq, 28, version, q(end)),
                    ],
                )

    def test_34_sync_key(self) -> None:
        """Not answered; a client that comes with key 0 begins there."""
        for version in self.versions():
            phone = self.phone(1, version)
            self.storage.pages[User(APP, 1)] = Page(40, 40, False, ())
            self.assertEqual(phone.say(frame(2, 34, version, q(40))), [])
            self.assertEqual(
                phone.say(frame(3, 26, version, q(0)))[0], frame(2, 27, version, q(40))
            )


class RoomTests(TableCase):
    """18 to 20."""

    def test_18_enter_19_leave_20_room_im(self) -> None:
        """Entering and leaving are not answered; what is said is acked, and goes to the others."""
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            for phone in (alice, bob):
                self.assertEqual(phone.say(frame(2, 18, version, q(5))), [])
            said = q(1, 5) + b"test room im"
            self.assertEqual(
                alice.say(frame(3, 20, version, said)), [frame(2, 5, version, ack(version, 3))]
            )
            self.assertEqual(bob.heard(), [frame(2, 20, version, said)])
            self.assertEqual(bob.say(frame(3, 19, version, q(5))), [])
            alice.say(frame(4, 20, version, said))
            self.assertEqual(bob.heard(), [])
            self.assertEqual(
                bob.say(frame(4, 20, version, q(2, 5) + b"hi")),
                [frame(3, 5, version, ack(version, 4, 113))],
            )


class CustomerTests(TableCase):
    """24, 25 and 64."""

    def exchanged(
        self, cmd: int, head: bytes, sender: tuple[int, int], receiver: tuple[int, int]
    ) -> None:
        """Stored by both, told and acked like an IM; the time is the server's."""
        for version in self.versions():
            one = self.phone(sender[1], version, sender[0])
            other = self.phone(receiver[1], version, receiver[0])
            self.assertEqual(one.say(frame(2, cmd, version, head + i(5) + b"hi")), [])
            (save,) = self.storage.saves
            self.assertEqual(save.queues, (User(*receiver), User(*sender)))
            save.answer(0, [(500, 400), (600, 300)])
            self.assertEqual(
                other.heard(),
                [
                    frame(2, 37, version, metadata(500, 400)),
                    frame(3, cmd, version, head + i(NOW) + b"hi", PUSH),
                    frame(4, 29, version, q(500)),
                ],
            )
            self.assertEqual(
                one.heard(),
                [
                    frame(2, 37, version, metadata(600, 300)),
                    frame(3, 5, version, ack(version, 2)),
                ],
            )

    def test_24_customer(self) -> None:
        self.exchanged(24, q(APP, 1, 77, 2), (APP, 1), (KEFU, 2))

    def test_25_customer_support(self) -> None:
        self.exchanged(25, q(APP, 1, 77, 2), (KEFU, 2), (APP, 1))

    def test_64_customer_v2(self) -> None:
        self.exchanged(64, q(APP, 1, KEFU, 2), (APP, 1), (KEFU, 2))
        self.exchanged(64, q(KEFU, 2, APP, 1), (KEFU, 2), (APP, 1))

    def test_that_are_refused(self) -> None:
        """No seller 114, a forged sender 110."""
        for version in self.versions():
            phone = self.phone(1, version)
            for seq, (cmd, numbers, status) in enumerate(
                [
                    (24, q(APP, 1, 77, 0), 114),
                    (24, q(APP, 3, 77, 2), 110),
                    (25, q(APP, 3, 77, 1), 110),
                    (64, q(APP, 1, 8, 2), 114),
                ],
                2,
            ):
                said = frame(seq, cmd, version, numbers + i(5) + b"hi")
                self.assertEqual(
                    phone.say(said), [frame(seq, 5, version, ack(version, seq, status))]
                )
            self.assertEqual(self.storage.saves, [])


class MalformedTests(TableCase):
    """Frames that are unknown, or make no sense; and some that do."""

    def test_99_unknown(self) -> None:
        """Closes, empty or not: `000000000000000163010000`, `0000000100000001630100007a`."""
        self.closes(bytes.fromhex("000000000000000163010000"))
        self.closes(bytes.fromhex("0000000100000001630100007a"))

    def test_lengths(self) -> None:
        """32768 and -1 close at once; 32767 is the longest body."""
        self.closes(bytes.fromhex("000080000000000104010000"))
        self.closes(bytes.fromhex("ffffffff0000000104010000"))
        for version in self.versions():
            alice = self.phone(1, version)
            content = bytes(32767 - len(im(version, 5, 1, 2, b"")))
            self.assertEqual(alice.say(frame(2, 4, version, im(version, 5, 1, 2, content), 0)), [])
            self.assertEqual(len(self.storage.saves), 1)

    def test_ping_with_a_body(self) -> None:
        """Answered: what is longer than its layout is read, and the excess dropped. (The original
        closed.)"""
        for version in self.versions():
            phone = self.phone(1, version)
            self.assertEqual(phone.say(frame(2, 13, version, b"x")), [frame(2, 14, version)])

    def test_too_short(self) -> None:
        """A body shorter than its layout closes, for every message that has one."""
        for cmd, length in {
            8: 23, 4: 23, 10: 15, 17: 15, 18: 7, 19: 7, 20: 15, 22: 3, 24: 35, 25: 35, 26: 7,
            30: 15, 34: 7, 35: 15, 64: 16,
        }.items():  # fmt: skip
            self.closes(frame(2, cmd, 1, bytes(length)))

    def test_voip_control(self) -> None:
        """20 bytes are handled, 16 (no content) close."""
        self.closes(frame(2, 64, 1, q(1, 2)))
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            alice.say(frame(2, 64, version, q(1, 2) + i(1)))
            self.assertEqual(bob.heard(), [frame(2, 64, version, q(1, 2) + i(1))])

    def test_long_tokens(self) -> None:
        """130 bytes are accepted: the length is unsigned."""
        for version in self.versions():
            phone = Phone(self.gateway)
            self.gateway.memory.tokens["t" * 130] = User(APP, 1)
            body = bytes([2, 130]) + b"t" * 130 + b"\6device"
            self.assertEqual(phone.say(frame(1, 15, version, body)), [frame(1, 3, version, i(0))])

    def test_a_token_that_is_cut_off(self) -> None:
        """Closes: a length that is beyond the end, or nothing where the device's should be."""
        for body in (b"\2\0", b"\2\x05toke", b"\2\x05token", b"\2\x05token\x06dev"):
            phone = Phone(self.gateway)
            self.assertEqual(phone.say(frame(1, 15, 1, body)), [])
            self.assertTrue(phone.closed, body)

    def test_commands_of_other_links(self) -> None:
        """128 to 138 and 200 to 255 close."""
        for cmd in (128, 130, 138, 200, 220, 251, 255):
            self.closes(frame(2, cmd, 1, q(1, 2, 3)))

    def test_reserved_and_unknown_flags(self) -> None:
        """Byte 11 is never looked at, and of the flags only TEXT is."""
        for version in self.versions():
            alice, bob = self.phone(1, version), self.phone(2, version)
            said = bytearray(frame(2, 17, version, q(1, 2) + b"hi", 0xFF))
            said[11] = 2
            self.assertEqual(alice.say(bytes(said)), [])
            self.assertEqual(bob.heard(), [frame(2, 17, version, q(1, 2) + b"hi")])

    def test_frames_before_the_bad_one_count(self) -> None:
        """They are answered before the connection ends."""
        for version in self.versions():
            phone = self.phone(1, version)
            got = phone.say(frame(2, 13, version), bytes.fromhex("000000000000000163010000"))
            self.assertEqual((got, phone.closed), ([frame(2, 14, version)], True))


class CompleteTests(SynchronousTestCase):
    """The table."""

    def test_every_command_has_a_test_that_names_it(self) -> None:
        """So that whoever adds a message adds its bytes here."""
        source = Path(__file__).read_text("utf-8")
        named = {int(number) for number in re.findall(r"_(\d+)_(?=[a-z])", source)}
        told = {
            cls.number for cls in MESSAGES.values() if cls.senders & (Sender.CLIENT | Sender.SERVER)
        }
        # The answers are in the tests of what they answer.
        self.assertEqual(told - named, {27, 28, 31, 32})


class OrderTests(TableCase):
    """All that a published client says at once."""

    def test_login_room_and_syncs_back_to_back(self) -> None:
        """Answered in order, each with the next seq."""
        for version in self.versions():
            phone = Phone(self.gateway)
            token = self.gateway.grant(1).encode()
            got = phone.say(
                frame(1, 15, version, bytes([3, len(token)]) + token + b"\4guid", OLD_FLAGS),
                frame(2, 18, version, q(5), OLD_FLAGS),
                frame(3, 26, version, q(10), OLD_FLAGS),
                frame(4, 30, version, q(SUPER, 20), OLD_FLAGS),
                frame(0, 20, version, q(1, 5) + b"hi", OLD_FLAGS),
                frame(1, 13, version, b"", OLD_FLAGS),
            )
            self.assertEqual(
                got,
                [
                    frame(1, 3, version, i(0)),
                    frame(2, 27, version, q(10)),
                    frame(3, 28, version, q(0)),
                    frame(4, 31, version, q(SUPER, 20)),
                    frame(5, 32, version, q(SUPER, 0)),
                    frame(6, 5, version, ack(version, 0)),
                    frame(7, 14, version),
                ],
            )
