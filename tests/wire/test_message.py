"""The declaration of messages: `@message` and the table `MESSAGES`."""

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.wire import MESSAGES, Message, Sender, client, customers, sent_by
from gobelieve.wire.layout import I8, I32, I64, Inner16, Many, Rest, Short
from gobelieve.wire.message import message, since


class DeclarationTests(SynchronousTestCase):
    """The decorator `message` and its table."""

    def test_a_number_declared_twice(self) -> None:
        """A number that is taken fails at the declaration, and the error names both messages."""
        with self.assertRaises(TypeError) as caught:

            @message(4, "ANOTHER", senders=Sender.CLIENT)
            class Another(Message):
                sender: I64

        self.assertIn("ANOTHER: 4 is IM already", str(caught.exception))
        self.assertIs(MESSAGES[4], client.IM)

    def test_a_twin(self) -> None:
        """A twin shares its number knowingly, and the table keeps the first message."""
        self.assertIs(MESSAGES[64], customers.CustomerV2)
        self.assertEqual(customers.VoipControl.number, 64)

    def test_frozen_and_compared_by_value(self) -> None:
        """Messages are frozen and compared by value."""
        one = client.Sync(sync_key=1)
        self.assertEqual(one, client.Sync(sync_key=1))
        with self.assertRaises(FrozenInstanceError):
            one.sync_key = 2  # type: ignore[misc]

    def test_who_may_send(self) -> None:
        """`sent_by` returns what the declarations allow a client to send."""
        allowed = sent_by(Sender.CLIENT)
        self.assertLessEqual({1, 2, 4, 5, 8, 13, 14, 15, 17, 26, 37, 64}, allowed)
        self.assertEqual(allowed & {3, 7, 21, 27, 28, 29, 130, 200, 230}, frozenset())

    def test_variable_fields_between_fixed_ones(self) -> None:
        """A field of any kind may be at any place, in any version."""

        @message(99, "MIXED", senders=Sender.NOBODY, twin=True)
        class Mixed(Message):
            first: I8
            name: Short
            count: I32 = since(1, default=-1)
            numbers: Many
            last: I64
            inner: Inner16
            rest: Rest

        mixed = Mixed(
            first=1, name=b"n", count=5, numbers=(1, -2), last=3, inner=b"in", rest=b"rest"
        )
        for version in (0, 1, 2):
            read = Mixed.decode(mixed.encode(version), version)
            self.assertEqual(read.count, 5 if version else -1)
            self.assertEqual((read.numbers, read.last, read.rest), ((1, -2), 3, b"rest"))
        body = mixed.encode(2)
        for length in range(len(body) - 4):
            with self.assertRaises(BodyError):
                Mixed.decode(body[:length], 2)
