"""The routing table, compared with a simple model."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.routing.table import Table

LINKS = ("a", "b", "c")
IDS = [(7, 1), (7, 2), (8, 1)]


class Naive:
    """A simple model of the table, which scans all links."""

    def __init__(self) -> None:
        self.users: dict[str, dict[tuple[int, int], bool]] = {}
        self.rooms: dict[str, set[tuple[int, int]]] = {}

    def apply(self, name: str, link: str, id_: tuple[int, int], online: bool) -> None:
        """Apply a step to the model."""
        if name == "open":
            self.users[link], self.rooms[link] = {}, set()
        elif name == "close":
            del self.users[link], self.rooms[link]
        elif name == "subscribe":
            self.users[link][id_] = online
        elif name == "unsubscribe":
            self.users[link].pop(id_, None)
        elif name == "subscribe_room":
            self.rooms[link].add(id_)
        else:
            self.rooms[link].discard(id_)


def step(table: Table[str], name: str, link: str, id_: tuple[int, int], online: bool) -> None:
    """Apply a step to the table."""
    call: Callable[..., Any] = getattr(table, name)
    if name in ("open", "close"):
        call(link)
    elif name == "subscribe":
        call(link, id_, online)
    else:
        call(link, id_)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["turn", "subscribe", "subscribe", "unsubscribe", "subscribe_room", "unsubscribe_room"]
        ),
        st.sampled_from(LINKS),
        st.sampled_from(IDS),
        st.booleans(),
    ),
    max_size=60,
)


class TableTests(SynchronousTestCase):
    """Look-ups of users and rooms by link, and of links by user and room."""

    @settings(max_examples=200)
    @given(STEPS)
    def test_the_table_agrees_with_the_model(
        self, steps: list[tuple[str, str, tuple[int, int], bool]]
    ) -> None:
        """After any steps in any order, look-ups agree with a scan over all links."""
        table: Table[str] = Table()
        naive = Naive()
        for name, link, id_, online in steps:
            is_open = link in naive.users
            if name == "turn" or not is_open:
                name = "close" if is_open else "open"
            step(table, name, link, id_, online)
            naive.apply(name, link, id_, online)
            self.assertCountEqual(table.links, naive.users)
            for any_id in IDS:
                holds = [k for k, users in naive.users.items() if any_id in users]
                self.assertCountEqual(table.holders(any_id), holds)
                self.assertEqual(
                    table.is_online(any_id), any(naive.users[k][any_id] for k in holds)
                )
                rooms = [k for k, rooms in naive.rooms.items() if any_id in rooms]
                self.assertCountEqual(table.holders_of_room(any_id), rooms)
            self.assertEqual(len(table), len({u for users in naive.users.values() for u in users}))

    def test_online_anywhere(self) -> None:
        """A user is online if one gateway says so, and its last report counts."""
        table: Table[str] = Table()
        table.open("a")
        table.open("b")
        table.subscribe("a", (7, 1), False)
        self.assertFalse(table.is_online((7, 1)))
        table.subscribe("b", (7, 1), True)
        self.assertTrue(table.is_online((7, 1)))
        table.subscribe("b", (7, 1), False)
        self.assertFalse(table.is_online((7, 1)))
        self.assertEqual(set(table.holders((7, 1))), {"a", "b"})

    def test_offline(self) -> None:
        """The users who are online nowhere are returned in the order given."""
        table: Table[str] = Table()
        table.open("a")
        table.subscribe("a", (7, 2), True)
        table.subscribe("a", (7, 4), False)
        self.assertEqual(table.offline(7, [5, 4, 2, 1]), [5, 4, 1])
        self.assertEqual(table.offline(8, [2]), [2])

    def test_close_unknown(self) -> None:
        """Closing a link that is not open does nothing."""
        table: Table[str] = Table()
        table.open("a")
        table.close("b")
        table.close("a")
        table.close("a")
        self.assertEqual(table.links, ())

    def test_a_closed_link_leaves_no_entry(self) -> None:
        """Gateways can connect and disconnect for years without a leak."""
        table: Table[str] = Table()
        table.open("b")
        table.subscribe("b", (7, 1), True)
        for _ in range(3):
            table.open("a")
            for uid in range(10):
                table.subscribe("a", (7, uid), True)
                table.subscribe_room("a", (7, uid))
            table.close("a")
        self.assertEqual(len(table), 1)
        for index in (table._users, table._online, table._rooms):
            self.assertEqual(set(index._held), {"b"})
            self.assertEqual(set(index._alone), {"b"})
            self.assertLessEqual(set(index.holders), {(7, 1)})

    def test_holders_while_a_link_goes(self) -> None:
        """A link may be closed while the holders of a user are iterated."""
        table: Table[str] = Table()
        for link in LINKS:
            table.open(link)
            table.subscribe(link, (7, 1), True)
        seen = []
        for link in table.holders((7, 1)):
            seen.append(link)
            table.close(link)
        self.assertEqual(seen, list(LINKS))
        self.assertEqual(table.holders((7, 1)), ())
