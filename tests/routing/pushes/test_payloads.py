"""The items that the push workers read from their lists."""

import json

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.routing.pushes.payloads import RECEIVERS_PER_ITEM, inner_frame, push_items
from gobelieve.wire.client import IM, RT, GroupIM, SyncNotify, System
from gobelieve.wire.customers import Customer, CustomerSupport, CustomerV2
from gobelieve.wire.frames import Frame, encode_frame
from gobelieve.wire.message import Message


def frame(message: Message, version: int = 1) -> Frame:
    """Return the message as the inner frame of a publication."""
    return inner_frame(message.frame(version=version))


class ItemTests(SynchronousTestCase):
    """The bytes of each kind, as recorded from the Go server's router."""

    def check(
        self, message: Message, appid: int, receivers: list[int], *items: tuple[str, str]
    ) -> None:
        """Compare the items of a message, for each version of the inner frame."""
        expected = [(name, line.encode()) for name, line in items]
        for version in (1, 2):
            self.assertEqual(push_items(appid, receivers, frame(message, version)), expected)

    def test_peer(self) -> None:
        """A message between two users has one item in push_queue."""
        message = IM(sender=1, receiver=3, timestamp=5, msgid=0, content=b'{"text":"offline"}')
        line = '{"appid":7,"content":"{\\"text\\":\\"offline\\"}","receiver":3,"sender":1}'
        self.check(message, 7, [3], ("push_queue", line))
        self.assertEqual(
            push_items(7, [3], frame(message, version=0)), [("push_queue", line.encode())]
        )

    def test_group(self) -> None:
        """A message to a group has one item for all receivers."""
        message = GroupIM(sender=1, receiver=100, timestamp=5, msgid=0, content=b'{"text":"group"}')
        line = (
            '{"appid":7,"content":"{\\"text\\":\\"group\\"}","group_id":100,'
            '"receivers":[3,5],"sender":1}'
        )
        self.check(message, 7, [3, 5], ("group_push_queue", line))

    def test_large_group(self) -> None:
        """The receivers of a large group are split over several items, and none is left out."""
        message = GroupIM(sender=1, receiver=100, timestamp=5, msgid=0, content=b"hi")
        everybody = list(range(2 * RECEIVERS_PER_ITEM + 1))
        items = [json.loads(line) for _, line in push_items(7, everybody, frame(message))]
        self.assertEqual([len(item["receivers"]) for item in items], [4000, 4000, 1])
        self.assertEqual([uid for item in items for uid in item["receivers"]], everybody)

    def test_customer(self) -> None:
        """A message of customer service is pushed in both directions."""
        line = (
            '{"appid":1453,"command":%d,"content":"{\\"text\\":\\"help\\"}","customer":1,'
            '"customer_appid":7,"receiver":55,"seller":55,"store":9}'
        )
        for cls, number in ((Customer, 24), (CustomerSupport, 25)):
            message = cls(
                customer_appid=7,
                customer_id=1,
                store_id=9,
                seller_id=55,
                timestamp=5,
                content=b'{"text":"help"}',
            )
            self.check(message, 1453, [55], ("customer_push_queue", line % number))

    def test_customer_v2(self) -> None:
        """A CUSTOMER_V2 message has a list of its own."""
        message = CustomerV2(
            sender_appid=7,
            sender=1,
            receiver_appid=1453,
            receiver=55,
            timestamp=5,
            content=b'{"text":"help"}',
        )
        line = (
            '{"appid":1453,"content":"{\\"text\\":\\"help\\"}","receiver":55,'
            '"receiver_appid":1453,"sender":1,"sender_appid":7}'
        )
        self.check(message, 1453, [55], ("customer_push_queue_v2", line))

    def test_system(self) -> None:
        """A message of the app's server has one item per receiver."""
        message = System(content=b'{"push":"hello"}')
        line = '{"appid":7,"content":"{\\"push\\":\\"hello\\"}","receiver":%d}'
        self.check(
            message, 7, [3, 4], ("system_push_queue", line % 3), ("system_push_queue", line % 4)
        )

    def test_other_kinds(self) -> None:
        """Live kinds and notifies are not pushed."""
        for message in (RT(sender=1, receiver=2, content=b"x"), SyncNotify(sync_key=5)):
            self.assertEqual(push_items(7, [3], frame(message)), [])

    def test_malformed(self) -> None:
        """A message that is too short for its kind is an error. SYSTEM may have any length."""
        for number in (4, 8, 24, 25, 64):
            with self.assertRaises(BodyError):
                push_items(7, [3], inner_frame(encode_frame(number, b"short", 0, 1)))


class InnerFrameTests(SynchronousTestCase):
    """Reading of the inner frame in a publication or push."""

    def test_whole(self) -> None:
        """A whole frame is read with its header and body."""
        self.assertEqual(inner_frame(encode_frame(4, b"ab", 9, 2, 16)), Frame(4, 2, 16, 9, b"ab"))

    def test_anything_else(self) -> None:
        """Bytes that are too short, too long, or have a wrong length are an error."""
        good = encode_frame(4, b"ab")
        for bad in (good + b"z", *(good[:n] for n in range(len(good))), b"\xff" * 12):
            with self.assertRaises(BodyError):
                inner_frame(bad)
