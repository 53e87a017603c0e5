"""The shortcuts on the hot path give the same results as the declarations."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire import bodies, client, customers

ID = st.integers(-(1 << 63), (1 << 63) - 1)
I32 = st.integers(-(1 << 31), (1 << 31) - 1)
IMS = st.builds(
    client.IM, sender=ID, receiver=ID, timestamp=I32, msgid=I32, content=st.binary(max_size=40)
)


class StampTests(SynchronousTestCase):
    """Setting the time of a message without decoding it."""

    @given(IMS, st.sampled_from([0, 1, 2, 7]), st.integers(0, (1 << 31) - 1))
    def test_as_decoding_and_encoding(self, im: client.IM, version: int, now: int) -> None:
        """`stamped` turns a body of any version into the layout that is stored."""
        stored = client.IM.decode(bodies.stamped(im.encode(version), version, now))
        self.assertEqual(
            stored,
            client.IM(
                sender=im.sender,
                receiver=im.receiver,
                timestamp=now,
                msgid=im.msgid,
                content=im.content,
            ),
        )

    def test_too_short(self) -> None:
        """`stamped` raises `BodyError` for the same bodies as decoding."""
        for version, least in ((0, 20), (1, 24), (2, 24)):
            for length in range(30):
                body = bytes(length)
                if length < least:
                    with self.assertRaises(BodyError):
                        bodies.stamped(body, version, 1)
                    with self.assertRaises(BodyError):
                        client.IM.decode(body, version)
                else:
                    bodies.stamped(body, version, 1)

    @given(IMS)
    def test_back_to_version_0(self, im: client.IM) -> None:
        """For version 0 the timestamp is removed from IM and GROUP_IM. Other messages are
        unchanged."""
        for number in (client.IM.number, client.GroupIM.number):
            self.assertEqual(bodies.for_version_0(number, im.encode(1)), im.encode(0))
        for other in (client.System.number, customers.Customer.number, customers.CustomerV2.number):
            self.assertEqual(bodies.for_version_0(other, im.encode(1)), im.encode(1))


class KeyTests(SynchronousTestCase):
    """Reading a sync key without decoding the message."""

    def test_as_decoding(self) -> None:
        """`key_of` reads negative keys, ignores excess bytes and refuses short bodies, as decoding
        does."""
        for key in (0, 1, 1 << 52, -1, -(1 << 63)):
            body = client.SyncKey(sync_key=key).encode()
            self.assertEqual(bodies.key_of(body), key)
            self.assertEqual(bodies.key_of(body + b"more"), key)
        for length in range(8):
            with self.assertRaises(BodyError):
                bodies.key_of(bytes(length))
