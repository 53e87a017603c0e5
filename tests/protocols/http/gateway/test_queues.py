"""Reading queues and looking after sessions, over HTTP."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gobelieve.errors import StorageError
from gobelieve.interfaces import Page
from gobelieve.names import AckStatus, User
from gobelieve.protocols.http.gateway.queue_reader import MESSAGES_PER_READ
from gobelieve.wire import client, customers
from gobelieve.wire.message import Message
from gobelieve.wire.storage import StoredMessage
from tests.gateway.support import APP, KEFU
from tests.protocols.http_case import WITH_KEY, ApiCase
from tests.web import Wire

ALICE, BOB = User(APP, 1), User(APP, 2)
IM = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=b"hi")
NOTICE = client.GroupNotification(content=b"{}")
SYSTEM = client.System(content=b"{}")
QUERY = "?appid=7&uid=2"


def stored(msgid: int, message: Message) -> StoredMessage:
    """Return a message as storage has it."""
    return StoredMessage(msgid, 3, message.number, message.encode())


class LatestTests(ApiCase):
    """The newest messages: ``/load_latest_message``."""

    def test_messages_are_shown_as_in_the_go_server(self) -> None:
        """Keys are sorted, and characters are escaped as Go does."""
        customer = customers.Customer(
            customer_appid=7, customer_id=2, store_id=9, seller_id=55, timestamp=6, content=b"a&b"
        )
        later = customers.CustomerV2(
            sender_appid=7, sender=2, receiver_appid=KEFU, receiver=55, timestamp=7, content=b"\xff"
        )
        group = client.GroupIM(sender=1, receiver=100, timestamp=8, msgid=0, content=b"g")
        rows = [stored(n * 32, m) for n, m in enumerate((IM, NOTICE, customer, later, group), 1)]
        self.storage.pages[BOB] = Page(rows[0].msgid, rows[-1].msgid, False, rows)
        response = self.get(f"/load_latest_message{QUERY}&limit=10")
        self.assertEqual(
            (response.code, response.headers["content-type"]), (200, "application/json")
        )
        self.assertEqual(
            response.body.decode(),
            '{"data":['
            '{"command":4,"content":"hi","id":32,"receiver":2,"sender":1,"timestamp":5},'
            '{"command":24,"content":"a\\u0026b","customer_appid":7,"customer_id":2,"id":96,'
            '"seller_id":55,"store_id":9,"timestamp":6},'
            '{"command":64,"content":"\\ufffd","id":128,"receiver":55,"receiver_appid":1453,'
            '"sender":2,"sender_appid":7,"timestamp":7},'
            '{"command":8,"content":"g","id":160,"receiver":100,"sender":1,"timestamp":8}]}',
        )

    def test_limits(self) -> None:
        """A limit below 1 counts as 1; storage is asked for one page at a time."""
        for limit, asked in ((0, 1), (-5, 1), (10, 10), (1 << 62, MESSAGES_PER_READ)):
            self.get(f"/load_latest_message{QUERY}&limit={limit}")
            self.assertEqual(self.storage.asked.pop()[3], asked)

    def test_an_empty_queue(self) -> None:
        """The answer is an empty list."""
        self.assertEqual(self.get(f"/load_latest_message{QUERY}&limit=1").body, b'{"data":[]}')

    def test_errors(self) -> None:
        """A parameter that is missing or not a number is 400; without storage the answer is 503."""
        for query in ("?appid=7&uid=2", "?uid=2&limit=1", f"{QUERY}&limit=1.0", f"{QUERY}&limit="):
            response = self.get(f"/load_latest_message{query}")
            self.assertEqual((response.code, response.message), (400, "invalid query param"))
        self.storage.pages[BOB] = StorageError(AckStatus.STORAGE_AWAY, "gone")
        for path in (
            f"/load_latest_message{QUERY}&limit=1",
            f"/load_history_message{QUERY}&last_id=1",
            f"/load_history_message{QUERY}&before_id=1",
            f"/get_offline_count{QUERY}",
            f"/get_offline_count{QUERY}&sync_key=1",
        ):
            response = self.get(path)
            self.assertEqual((response.code, response.message), (503, "storage away"), path)


class Queue:
    """A queue that storage gives in pages of `page_size` messages."""

    def __init__(self, case: ApiCase, count: int, page_size: int) -> None:
        self.rows = [stored(n, IM) for n in range(1, count + 1)]
        self.page_size = page_size
        case.patch(case.storage, "fetch", self.fetch)
        case.patch(case.storage, "fetch_before", self.fetch_before)

    async def fetch(self, user: User, after: int, limit: int = 0) -> Page:
        found = [row for row in self.rows if row.msgid > after][: min(limit, self.page_size)]
        newest = len(self.rows)
        last = found[-1].msgid if found else newest
        return Page(last, newest, last < newest, found)

    async def fetch_before(self, user: User, before: int, limit: int) -> Page:
        rows = [row for row in self.rows if row.msgid < before]
        found = rows[-min(limit, self.page_size) :]
        last = found[0].msgid if found else before
        return Page(last, len(self.rows), last > 1, found)


class HistoryTests(ApiCase):
    """Messages after or before an id: ``/load_history_message``."""

    def ids(self, query: str) -> tuple[list[int], bool, int]:
        answer: dict[str, Any] = self.get(f"/load_history_message{QUERY}{query}").json
        return [one["id"] for one in answer["data"]], answer["more"], answer["next_id"]

    def test_forward(self) -> None:
        """All newer messages come, however storage cuts them, up to the limit."""
        Queue(self, 25, 10)
        self.assertEqual(self.ids("&last_id=0"), (list(range(1, 26)), False, 25))
        self.assertEqual(self.ids("&last_id=3&limit=15"), (list(range(4, 19)), True, 18))
        self.assertEqual(self.ids("&last_id=18&limit=15"), (list(range(19, 26)), False, 25))
        self.assertEqual(self.ids("&last_id=25"), ([], False, 25))
        self.assertEqual(self.ids("&last_id=99"), ([], False, 99))

    def test_backward(self) -> None:
        """The newest messages before an id come, oldest first."""
        Queue(self, 25, 10)
        self.assertEqual(self.ids("&before_id=26&limit=15"), (list(range(11, 26)), True, 11))
        self.assertEqual(self.ids("&before_id=11&limit=15"), (list(range(1, 11)), False, 1))
        self.assertEqual(self.ids("&before_id=1"), ([], False, 1))
        Queue(self, 0, 10)
        self.assertEqual(self.ids("&before_id=5"), ([], False, 5))

    def test_messages_that_are_not_shown_count(self) -> None:
        """A caller that reads on gets past messages that are not shown."""
        rows = [stored(1, SYSTEM), stored(2, NOTICE)]
        self.storage.pages[BOB] = Page(2, 9, True, rows)
        self.assertEqual(self.ids("&last_id=0&limit=2"), ([], True, 2))

    def test_a_large_answer_ends_early(self) -> None:
        """The answer tells that there is more."""
        queue = Queue(self, 1, 1)
        long = client.IM(sender=1, receiver=2, timestamp=5, msgid=0, content=bytes(32000))
        queue.rows = [stored(n, long) for n in range(1, 1001)]
        found, more, at = self.ids("&last_id=0")
        self.assertTrue(more)
        self.assertEqual((found[-1], at), (len(found), len(found)))
        self.assertLess(len(found) * 32000, 5 << 20)
        found, more, at = self.ids("&before_id=1001")
        self.assertTrue(more and found[-1] == 1000 and at == found[0])

    def test_errors(self) -> None:
        """Exactly one of the two ids is required, and a limit in its range."""
        for query in ("", "&last_id=1&before_id=2", "&last_id=x", "&last_id=1&limit=0"):
            response = self.get(f"/load_history_message{QUERY}{query}")
            self.assertEqual((response.code, response.message), (400, "invalid query param"), query)


class CountTests(ApiCase):
    """The number of unread messages: ``/get_offline_count``."""

    def count(self, query: str = "") -> int:
        answer: dict[str, Any] = self.get(f"/get_offline_count{QUERY}{query}").json
        count: int = answer["data"]["count"]
        return count

    def test_the_form_of_2018(self) -> None:
        """The count is 1 if another author's message follows the last reported key."""
        own = client.IM(sender=2, receiver=1, timestamp=5, msgid=0, content=b"")
        support = customers.CustomerSupport(
            customer_appid=7, customer_id=2, store_id=1, seller_id=2, timestamp=1, content=b""
        )
        for message, count in (
            (IM, 1),
            (own, 0),
            (SYSTEM, 1),
            (NOTICE, 1),
            (customers.Customer(**{f: getattr(support, f) for f in _FIELDS}), 0),
            (support, 1),
        ):
            self.storage.pages[BOB] = Page(9, 9, False, [stored(9, message)])
            self.assertEqual(self.count(), count, message)
        self.gateway.memory.sync_keys[BOB] = 5
        self.count()
        self.assertEqual(self.storage.fetched[-1], (BOB, 5))

    def test_many_own_messages(self) -> None:
        """All pages are read until one has a message of another author."""
        queue = Queue(self, 25, 10)
        own = client.IM(sender=2, receiver=1, timestamp=5, msgid=0, content=b"")
        queue.rows[:] = [stored(n, own) for n in range(1, 25)]
        queue.page_size = 10
        self.patch(
            self.storage, "fetch", lambda user, after, limit=10: queue.fetch(user, after, 10)
        )
        self.assertEqual(self.count(), 0)
        queue.rows.append(stored(25, IM))
        self.assertEqual(self.count(), 1)

    def test_with_a_key(self) -> None:
        """All messages after the key count; key 0 stands for the reported one."""
        self.storage.pages[BOB] = Page(9, 9, False, [stored(n, IM) for n in (3, 6, 9)])
        self.assertEqual(self.count("&sync_key=3"), 2)
        self.gateway.memory.sync_keys[BOB] = 6
        self.assertEqual(self.count("&sync_key=0"), 1)


_FIELDS = ("customer_appid", "customer_id", "store_id", "seller_id", "timestamp", "content")


class CancelTests(ApiCase):
    """Requests of clients that hang up."""

    def test_hanging_up_while_storage_is_read(self) -> None:
        """The read from storage is cancelled."""
        cancelled: list[object] = []
        page: Deferred[Page] = Deferred(cancelled.append)
        self.patch(self.storage, "fetch", lambda user, after, limit=0: page)
        wire = Wire(self.site)
        wire.send("GET", f"/load_history_message{QUERY}&last_id=1", None, WITH_KEY)
        wire.channel.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(cancelled), 1)
        self.assertEqual((self.flushLoggedErrors(), wire.responses()), ([], []))


class IdleTests(ApiCase):
    """Operations that do nothing."""

    def test_they_do_nothing(self) -> None:
        """The answer is 200, whatever the request contains."""
        for path in ("/init_message_queue", "/dequeue_message?appid=7&uid=2&msgid=x"):
            for response in (self.get(path), self.post(path, b"{{")):
                self.assertEqual((response.code, response.body), (200, b""))
