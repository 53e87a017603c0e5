"""Messages between customers and sellers, and the number that they share with calls."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.errors import WireError
from gobelieve.names import AckStatus, User
from gobelieve.wire import Frame, Message, client, customers
from gobelieve.wire.frames import PUSH, TEXT, UNPERSISTENT
from tests.gateway.support import APP, KEFU, TestClient, TestGateway

NOW = 1_700_000_000
CUSTOMER, SELLER = 1, 55


def asks(
    appid: int = APP, customer: int = CUSTOMER, seller: int = SELLER, timestamp: int = 1
) -> customers.Customer:
    """Return the message of a customer, stored if `timestamp` is the server's."""
    return customers.Customer(
        customer_appid=appid,
        customer_id=customer,
        store_id=9,
        seller_id=seller,
        timestamp=timestamp,
        content=b"help",
    )


def answers(seller: int = SELLER, timestamp: int = 1) -> customers.CustomerSupport:
    """Return the message of a seller."""
    return customers.CustomerSupport(
        customer_appid=APP,
        customer_id=CUSTOMER,
        store_id=9,
        seller_id=seller,
        timestamp=timestamp,
        content=b"yes",
    )


def says(sender: User, receiver: User, timestamp: int = 1) -> customers.CustomerV2:
    """Return a message of the later form."""
    return customers.CustomerV2(
        sender_appid=sender.appid,
        sender=sender.uid,
        receiver_appid=receiver.appid,
        receiver=receiver.uid,
        timestamp=timestamp,
        content=b"hello",
    )


class CustomerTestCase(SynchronousTestCase):
    """One customer, one seller, and somebody else of the customer's app."""

    def setUp(self) -> None:
        self.start(TestGateway())

    def start(self, gateway: TestGateway) -> None:
        """Log everybody in, version 2, which sees statuses."""
        self.gateway = gateway
        self.customer = gateway.client(CUSTOMER, version=2, device="c")
        self.seller = gateway.client(SELLER, version=2, device="s", appid=KEFU)
        self.other = gateway.client(2, version=2, device="o")
        gateway.routing.take()

    def refused(self, who: TestClient, message: Message, status: int) -> None:
        """Acked with the status, and neither stored nor told."""
        seq = who.say(message)
        self.assertEqual(who.messages(), [client.Ack(seq=seq, status=status)])
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(self.gateway.routing.take(), [])


class OlderFormTests(CustomerTestCase):
    """The older form: CUSTOMER and CUSTOMER_SUPPORT."""

    def test_a_customers_message_goes_to_the_sellers_queue_in_the_sellers_app(self) -> None:
        """And to the customer's own; with the server's time."""
        self.customer.say(asks())
        (save,) = self.gateway.storage.saves
        self.assertEqual(save.queues, (User(KEFU, SELLER), User(APP, CUSTOMER)))
        self.assertEqual(customers.Customer.decode(save.body), asks(timestamp=NOW))
        self.assertEqual(self.customer.messages(), [])

    def test_the_seller_is_told_and_the_customer_acked_once_it_is_stored(self) -> None:
        """The seller gets metadata, message and notify; the customer gets an ack."""
        seq = self.customer.say(asks(), flag=TEXT)
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        metadata, message, notify = self.seller.told()
        self.assertEqual(metadata.message, client.Metadata(sync_key=500, prev_sync_key=400))
        self.assertEqual(message.message, asks(timestamp=NOW))
        self.assertEqual(message.flag, TEXT | PUSH)
        self.assertEqual(notify.message, client.SyncNotify(sync_key=500))
        self.assertEqual(
            self.customer.messages(),
            [client.Metadata(sync_key=500, prev_sync_key=300), client.Ack(seq=seq)],
        )
        push, to_seller, to_customer = self.gateway.routing.take()
        self.assertEqual(push[:3], ("push", KEFU, (SELLER,)))
        self.assertEqual(to_seller[:3], ("publish", User(KEFU, SELLER), 24))
        self.assertEqual(to_customer[:3], ("publish", User(APP, CUSTOMER), 24))

    def test_a_sellers_answer_goes_the_other_way(self) -> None:
        """To the customer in the customer's app."""
        self.seller.say(answers())
        (save,) = self.gateway.storage.saves
        self.assertEqual(save.queues, (User(APP, CUSTOMER), User(KEFU, SELLER)))
        save.answer(0, [(500, 400), (500, 300)])
        self.assertEqual(self.customer.messages()[1], answers(timestamp=NOW))

    def test_nobody_speaks_as_another_customer_or_seller(self) -> None:
        """Not with another id, nor another app, nor as a seller from the customers' app."""
        forged = AckStatus.FORGED_SENDER
        self.refused(self.other, asks(), forged)
        self.refused(self.customer, asks(appid=8), forged)
        self.refused(self.seller, answers(seller=56), forged)
        self.refused(self.customer, answers(seller=CUSTOMER), forged)

    def test_a_customer_who_names_no_seller_learns_that(self) -> None:
        """The app's backend is to choose one."""
        self.refused(self.customer, asks(seller=0), AckStatus.NO_SELLER)

    def test_a_site_without_sellers_serves_nobody(self) -> None:
        """``kefu_appid`` 0, the default: neither form, in neither direction."""
        self.start(TestGateway(kefu_appid=0))
        nobody = AckStatus.NO_SELLER
        self.refused(self.customer, asks(), nobody)
        self.refused(self.customer, answers(seller=CUSTOMER), nobody)
        self.refused(self.customer, says(User(APP, CUSTOMER), User(0, SELLER)), nobody)

    def test_the_bit_that_old_apps_send_by_accident_does_not_lose_messages(self) -> None:
        """UNPERSISTENT means nothing unless the site says so."""
        self.customer.say(asks(), flag=UNPERSISTENT)
        self.assertEqual(len(self.gateway.storage.saves), 1)

    def test_where_the_site_says_so_unpersistent_messages_are_live_only(self) -> None:
        """Told to the seller here and elsewhere, acked, not stored."""
        self.start(TestGateway(kefu_unpersistent=True))
        seq = self.customer.say(asks(), flag=UNPERSISTENT)
        self.assertEqual(self.seller.messages(), [asks(timestamp=NOW)])
        self.assertEqual(self.customer.messages(), [client.Ack(seq=seq)])
        self.assertEqual(self.gateway.storage.saves, [])
        (told,) = self.gateway.routing.take()
        self.assertEqual(told[:3], ("publish", User(KEFU, SELLER), 24))
        self.assertEqual(told[4], UNPERSISTENT, "without it the router forwards nothing")


class LaterFormTests(CustomerTestCase):
    """CUSTOMER_V2, and what else has its number."""

    def test_either_side_may_be_the_seller(self) -> None:
        """The first queue is the receiver's, whoever that is."""
        customer, seller = User(APP, CUSTOMER), User(KEFU, SELLER)
        self.customer.say(says(customer, seller))
        self.seller.say(says(seller, customer))
        there, back = self.gateway.storage.saves
        self.assertEqual(there.queues, (seller, customer))
        self.assertEqual(back.queues, (customer, seller))
        self.assertEqual(customers.CustomerV2.decode(there.body), says(customer, seller, NOW))

    def test_the_receiver_gets_it_like_any_stored_message(self) -> None:
        """The receiver gets metadata, message and notify."""
        said = says(User(APP, CUSTOMER), User(KEFU, SELLER))
        self.customer.say(said)
        self.gateway.storage.saves[0].answer(0, [(500, 400), (500, 300)])
        labels = [type(one).label for one in self.seller.messages()]
        self.assertEqual(labels, ["METADATA", "CUSTOMER_V2", "SYNC_NOTIFY"])

    def test_two_users_of_which_none_is_a_seller_are_refused(self) -> None:
        """They have IM for that."""
        said = says(User(APP, CUSTOMER), User(APP, 2))
        self.refused(self.customer, said, AckStatus.NO_SELLER)

    def test_the_signalling_of_a_call_is_passed_on_live(self) -> None:
        """VOIP_CONTROL of 2018: as it came, not stored, not acked; however long it is."""
        for content in (b"\0\0\0\1", b"x" * 40):
            body = customers.VoipControl(sender=CUSTOMER, receiver=2, content=content).encode()
            self.customer.session.received([Frame(64, 1, 0, 9, body)])
            (frame,) = self.other.connection.frames
            self.other.connection.frames.clear()
            self.assertEqual((frame.cmd, frame.body), (64, body))
            self.assertEqual(
                self.gateway.routing.take(), [("publish", User(APP, 2), 64, body, 0, 0, 0)]
            )
        self.assertEqual(self.customer.messages(), [])
        self.assertEqual(self.gateway.storage.saves, [])

    def test_a_call_under_anothers_name_is_dropped(self) -> None:
        """Upstream checked nothing here."""
        body = customers.VoipControl(sender=3, receiver=2, content=b"dial").encode()
        self.customer.session.received([Frame(64, 1, 0, 9, body)])
        self.assertEqual(self.other.connection.frames, [])
        self.assertEqual(self.gateway.counters["forged_senders"], 1)

    def test_what_is_too_short_for_both_ends_the_connection(self) -> None:
        """A body without sender and receiver is an error, as in the Go server."""
        for size in (0, 8, 16):
            somebody = self.gateway.client(3)
            somebody.session.received([Frame(64, 1, 0, 9, bytes(size))])
            self.assertIsInstance(somebody.connection.cut_for, WireError)
