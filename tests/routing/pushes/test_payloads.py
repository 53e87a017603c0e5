"""What the push workers find in their lists."""

import json

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import BodyError
from gobelieve.routing.pushes.payloads import RECEIVERS_PER_ITEM, inner_frame, push_items
from gobelieve.wire.client import IM, RT, GroupIM, SyncNotify, System
from gobelieve.wire.customers import Customer, CustomerSupport, CustomerV2
from gobelieve.wire.frames import Frame, encode_frame
from gobelieve.wire.message import Message


def frame(said: Message, version: int = 1) -> Frame:
    """As it comes out of a publication."""
    return inner_frame(said.frame(version=version))


class ItemTests(SynchronousTestCase):
    """The bytes of each kind, as upstream's router was seen to write them."""

    def check(
        self, said: Message, appid: int, receivers: list[int], *items: tuple[str, str]
    ) -> None:
        """The items of a message, whatever version the inner frame has."""
        expected = [(name, line.encode()) for name, line in items]
        for version in (1, 2):
            self.assertEqual(push_items(appid, receivers, frame(said, version)), expected)

    def test_peer(self) -> None:
        """A message between two users."""
        said = IM(sender=1, receiver=3, timestamp=5, msgid=0, content=b'{"text":"offline"}')
        line = '{"appid":7,"content":"{\\"text\\":\\"offline\\"}","receiver":3,"sender":1}'
        self.check(said, 7, [3], ("push_queue", line))
        self.assertEqual(
            push_items(7, [3], frame(said, version=0)), [("push_queue", line.encode())]
        )

    def test_group(self) -> None:
        """A message to a group: one item for all."""
        said = GroupIM(sender=1, receiver=100, timestamp=5, msgid=0, content=b'{"text":"group"}')
        line = (
            '{"appid":7,"content":"{\\"text\\":\\"group\\"}","group_id":100,'
            '"receivers":[3,5],"sender":1}'
        )
        self.check(said, 7, [3, 5], ("group_push_queue", line))

    def test_large_group(self) -> None:
        """Is split, so that no item is endless, and nobody is left out."""
        said = GroupIM(sender=1, receiver=100, timestamp=5, msgid=0, content=b"hi")
        everybody = list(range(2 * RECEIVERS_PER_ITEM + 1))
        items = [json.loads(line) for _, line in push_items(7, everybody, frame(said))]
        self.assertEqual([len(item["receivers"]) for item in items], [4000, 4000, 1])
        self.assertEqual([uid for item in items for uid in item["receivers"]], everybody)

    def test_customer(self) -> None:
        """A message of customer service, either way."""
        line = (
            '{"appid":1453,"command":%d,"content":"{\\"text\\":\\"help\\"}","customer":1,'
            '"customer_appid":7,"receiver":55,"seller":55,"store":9}'
        )
        for cls, number in ((Customer, 24), (CustomerSupport, 25)):
            said = cls(
                customer_appid=7,
                customer_id=1,
                store_id=9,
                seller_id=55,
                timestamp=5,
                content=b'{"text":"help"}',
            )
            self.check(said, 1453, [55], ("customer_push_queue", line % number))

    def test_customer_v2(self) -> None:
        """A message of customer service in its later form."""
        said = CustomerV2(
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
        self.check(said, 1453, [55], ("customer_push_queue_v2", line))

    def test_system(self) -> None:
        """A message of the backend, an item for each receiver."""
        said = System(content=b'{"push":"hello"}')
        line = '{"appid":7,"content":"{\\"push\\":\\"hello\\"}","receiver":%d}'
        self.check(
            said, 7, [3, 4], ("system_push_queue", line % 3), ("system_push_queue", line % 4)
        )

    def test_other_kinds(self) -> None:
        """Are not pushed."""
        for said in (RT(sender=1, receiver=2, content=b"x"), SyncNotify(sync_key=5)):
            self.assertEqual(push_items(7, [3], frame(said)), [])

    def test_malformed(self) -> None:
        """A message that is too short for its kind is an error. Any length does for SYSTEM."""
        for number in (4, 8, 24, 25, 64):
            with self.assertRaises(BodyError):
                push_items(7, [3], inner_frame(encode_frame(number, b"short", 0, 1)))


class InnerFrameTests(SynchronousTestCase):
    """The bytes of one frame."""

    def test_whole(self) -> None:
        """Header and body."""
        self.assertEqual(inner_frame(encode_frame(4, b"ab", 9, 2, 16)), Frame(4, 2, 16, 9, b"ab"))

    def test_anything_else(self) -> None:
        """Is an error: cut short, too long, or with a length that is a lie."""
        good = encode_frame(4, b"ab")
        for bad in (good + b"z", *(good[:n] for n in range(len(good))), b"\xff" * 12):
            with self.assertRaises(BodyError):
                inner_frame(bad)
