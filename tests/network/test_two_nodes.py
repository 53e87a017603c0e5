"""Every kind of message from one gateway to another, with real processes.

There are two gateways, two routers and two storages, so sender and receiver use different ones.
Super groups have their own router and storage.
"""

from typing import Any

from gobelieve.client import Client
from gobelieve.errors import MessageRefusedError
from gobelieve.names import AckStatus, User
from gobelieve.wire import client, customers
from tests.network.processes import APPID
from tests.network.sites import KEFU, ORDINARY, SUPER, SiteCase, two_nodes
from tests.servers import missing


class TwoNodeCase(SiteCase):
    """A site with two gateways."""

    skip = missing("redis-server", "mariadbd", "mariadb-install-db")

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.cluster = await two_nodes(self, "two_nodes")

    async def client(self, uid: int, gateway: int, device: str = "", **options: Any) -> Client:
        """Return a client of one gateway, connected and synced."""
        device_id = device or f"phone of {uid}"
        return await self.begin(self.cluster.client(uid, gateway, device_id=device_id, **options))


class PeerTests(TwoNodeCase):
    """Messages from user to user."""

    async def test_from_user_to_user(self) -> None:
        """Stored and live messages arrive. All steps use one cluster, which takes seconds to
        start."""
        await self.stored_messages()
        await self.live_messages()

    async def stored_messages(self) -> None:
        """Send messages to receivers of both storages and routers, and to the sender's other
        device. From the second one on they are pushed, once and in order, in every version."""
        alice = await self.client(1, 0)
        tablet = await self.client(1, 1, "tablet")
        others = [await self.client(2, 1), await self.client(3, 1, version=1)]
        others.append(await self.client(4, 1, version=0))
        for bob in others:
            for content in (b"first", b"second", b"third"):
                await alice.send(bob.uid, content)
                message = await self.soon(bob.receive(), f"{bob.uid} gets {content!r}")
                self.assertEqual((message.sender, message.content), (1, content))
                self.assertEqual(message.pushed, content != b"first")
        await self.get([b"first", b"second", b"third"] * 3, tablet)
        await others[0].send(1, "back")
        await self.get([b"back"], alice, tablet)
        longest = bytes(32767 - 24)
        await alice.send(2, longest)
        await self.get([longest], others[0], tablet)
        await self.nothing_more(alice, tablet, *others)

    async def live_messages(self) -> None:
        """Send RT, INPUTING and VOIP_CONTROL to all devices of the receiver."""
        alice = await self.client(31, 0)
        bobs = [await self.client(32, 1), await self.client(32, 0, "tablet")]
        alice.send_rt(32, "rt")
        alice.send_inputing(32)
        alice.send_voip(32, b"\0\0\0\1")
        for bob in bobs:
            heard = [await self.soon(bob.receive_live(), "it is heard") for _ in range(3)]
            self.assertEqual(
                heard,
                [
                    client.RT(sender=31, receiver=32, content=b"rt"),
                    client.Inputing(sender=31, receiver=32),
                    customers.VoipControl(sender=31, receiver=32, content=b"\0\0\0\1"),
                ],
            )
        await self.nothing_more(alice, *bobs)


class GroupTests(TwoNodeCase):
    """Messages to ordinary groups and super groups."""

    async def test_groups(self) -> None:
        """Messages to an ordinary group and a super group arrive. Both use one cluster."""
        await self.ordinary_group()
        await self.super_group()

    async def refused(self, outsider: Client, group: int) -> None:
        with self.assertRaises(MessageRefusedError) as refused:
            await outsider.send_group(group, "let me in")
        self.assertEqual(refused.exception.status, AckStatus.NOT_GROUP_MEMBER)

    async def ordinary_group(self) -> None:
        """Send messages to members at both gateways and storages, to an offline one, and to the
        sender's other device. A user who is no member gets nothing and may send nothing."""
        alice = await self.client(1, 0)
        tablet = await self.client(1, 1, "tablet")
        others = [await self.client(uid, uid % 2) for uid in (2, 3, 4, 5)]
        outsider = await self.client(11, 1)
        contents = [b"%d" % n for n in range(5)]
        for content in contents:
            await alice.send_group(ORDINARY, content)
        await self.get(contents, tablet, *others)
        await others[1].send_group(ORDINARY, "back")
        await self.get([b"back"], alice, tablet, *(one for one in others if one is not others[1]))
        await self.refused(outsider, ORDINARY)
        away = await self.client(6, 1)
        await self.get([*contents, b"back"], away)
        await self.nothing_more(alice, tablet, outsider, away, *others)

    async def super_group(self) -> None:
        """Send messages by the queue of a super group. From the second one on they are pushed."""
        alice = await self.client(21, 0)
        tablet = await self.client(21, 1, "tablet")
        others = [await self.client(uid, uid % 2) for uid in (22, 23, 24, 25)]
        outsider = await self.client(12, 1)
        contents = [b"%d" % n for n in range(5)]
        for content in contents:
            await alice.send_group(SUPER, content)
            # One at a time, so that no client is syncing when the next message is pushed.
            for one in (tablet, *others):
                message = await self.soon(one.receive(), f"{one.uid} gets {content!r}")
                self.assertEqual((message.content, message.group_id), (content, SUPER))
                self.assertEqual(message.pushed, content != b"0")
                await self.soon(one.sync_to_end(SUPER), "its key is known")
        await others[1].send_group(SUPER, "back")
        back = (alice, tablet, *(one for one in others if one is not others[1]))
        await self.get([b"back"], *back)
        self.assertEqual({one.key for one in back}, {0}, "their own queues stay as they are")
        await self.refused(outsider, SUPER)
        outsider.follow(SUPER)
        away = await self.client(26, 1)
        away.follow(SUPER)
        await self.get([*contents, b"back"], away)
        await self.nothing_more(alice, tablet, outsider, away, *others, group=SUPER)
        self.assertEqual({one.group_key(SUPER) for one in (*back, away)}, {alice.group_key(SUPER)})


class RoomAndCustomerTests(TwoNodeCase):
    """Rooms, and customer service."""

    async def test_rooms_and_customers(self) -> None:
        """Messages of rooms and of customer service arrive. Both use one cluster."""
        await self.rooms()
        await self.customers()

    async def rooms(self) -> None:
        """Send messages to a room. Users in it get them in order, at either gateway. Users who
        left, and those in other rooms or apps, get nothing."""
        alice = await self.client(1, 0)
        others = [await self.client(2, 1), await self.client(3, 0), await self.client(4, 1)]
        for room in (5, 6):
            await self.enter(room, alice, *others)
            elsewhere = await self.client(5, 1)
            await self.enter(room + 1, elsewhere)
            stranger = await self.begin(
                self.cluster.client(6, 1, appid=8, device_id=f"stranger {room}")
            )
            await self.enter(room, stranger)
            contents = [b"%d" % n for n in range(20)]
            for content in contents:
                await alice.send_room(room, content)
            await self.get_live(contents, *others)
            leaver = others[0]
            leaver.leave_room()
            leaver.ping()
            await alice.send_room(room, "after")
            await self.get_live([b"after"], *others[1:])
            # These messages come after any that should not have come.
            for one in (leaver, elsewhere):
                alice.send_rt(one.uid, "end")
                await self.get_live([b"end"], one)
            await stranger.send_room(room, "from another app")
        self.assertEqual(alice.waiting, 0)

    async def customers(self) -> None:
        """Send messages between a customer and a seller of another app, at two gateways. Their
        other devices get them too."""
        customer = await self.client(41, 0)
        tablet = await self.client(41, 1, "tablet")
        seller = await self.begin(self.cluster.client(42, 1, appid=KEFU, device_id="desk"))
        till = await self.begin(self.cluster.client(42, 0, appid=KEFU, device_id="till"))
        await customer.send_customer(42, "how much", store_id=9)
        await self.get([b"how much"], seller, till, tablet)
        await seller.send_support(User(APPID, 41), "five", store_id=9)
        await self.get([b"five"], customer, tablet, till)
        await customer.send_customer_v2(User(KEFU, 42), "and these")
        await self.get([b"and these"], seller, till, tablet)
        await seller.send_customer_v2(User(APPID, 41), "six")
        message = await self.soon(customer.receive(), "the answer")
        self.assertIsInstance(message.message, customers.CustomerV2)
        self.assertEqual((message.content, message.pushed), (b"six", True))
        await self.get([b"six"], tablet, till)
        await self.nothing_more(customer, tablet, seller, till)
        # A user of another app with the customer's uid gets nothing.
        namesake = await self.begin(self.cluster.client(41, 1, appid=8, device_id="namesake"))
        self.assertEqual(namesake.waiting, 0)
