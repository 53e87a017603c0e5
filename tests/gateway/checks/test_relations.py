"""Friends only, and nobody whom the receiver does not want."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.interfaces import IN_MY_BLACKLIST, IN_YOUR_BLACKLIST, MY_FRIEND, YOUR_FRIEND
from gobelieve.names import AckStatus, User
from gobelieve.wire import client, customers
from tests.gateway.support import APP, KEFU, TestGateway

ALICE, BOB = User(APP, 1), 2
FRIENDS = MY_FRIEND | YOUR_FRIEND


def im(receiver: int = BOB, content: bytes = b"hello") -> client.IM:
    """A message of Alice's."""
    return client.IM(sender=1, receiver=receiver, timestamp=1, msgid=9, content=content)


class PermissionTests(SynchronousTestCase):
    """Alice, of version 2, writes to Bob."""

    def gateway_with(self, friendship: bool, blacklist: bool) -> None:
        """A site that asks for these."""
        self.gateway = TestGateway(enable_friendship=friendship, enable_blacklist=blacklist)
        self.alice = self.gateway.client(1, version=2)

    def setUp(self) -> None:
        self.gateway_with(True, True)

    def statuses(self) -> list[int]:
        """Of the acks that came."""
        return [one.status for one in self.alice.messages() if isinstance(one, client.Ack)]

    def outcome(self, relation: int) -> int:
        """The status; -1 if storage was asked to keep it."""
        self.gateway.relations.at_hand[ALICE, BOB] = relation
        saves = len(self.gateway.storage.saves)
        self.alice.say(im())
        if len(self.gateway.storage.saves) > saves:
            self.assertEqual(self.statuses(), [])
            return -1
        (status,) = self.statuses()
        return status

    def test_every_relation(self) -> None:
        """My friend, your friend, your blacklist, in this order; my own blacklist stops nobody."""
        self.assertEqual(self.outcome(0), AckStatus.NOT_MY_FRIEND)
        self.assertEqual(self.outcome(IN_YOUR_BLACKLIST), AckStatus.NOT_MY_FRIEND)
        self.assertEqual(self.outcome(YOUR_FRIEND), AckStatus.NOT_MY_FRIEND)
        self.assertEqual(self.outcome(MY_FRIEND), AckStatus.NOT_YOUR_FRIEND)
        self.assertEqual(self.outcome(MY_FRIEND | IN_YOUR_BLACKLIST), AckStatus.NOT_YOUR_FRIEND)
        self.assertEqual(self.outcome(FRIENDS | IN_YOUR_BLACKLIST), AckStatus.IN_YOUR_BLACKLIST)
        self.assertEqual(self.outcome(FRIENDS), -1)
        self.assertEqual(self.outcome(FRIENDS | IN_MY_BLACKLIST), -1)
        self.assertEqual(self.gateway.counters["messages_refused"], 6)

    def test_friends_only(self) -> None:
        """Blacklists do not count then."""
        self.gateway_with(True, False)
        self.assertEqual(self.outcome(0), AckStatus.NOT_MY_FRIEND)
        self.assertEqual(self.outcome(FRIENDS | IN_YOUR_BLACKLIST), -1)

    def test_blacklists_only(self) -> None:
        """Strangers may write then."""
        self.gateway_with(False, True)
        self.assertEqual(self.outcome(IN_YOUR_BLACKLIST), AckStatus.IN_YOUR_BLACKLIST)
        self.assertEqual(self.outcome(0), -1)

    def test_a_site_that_asks_for_neither(self) -> None:
        """The gateway does not look up the relation."""
        self.gateway_with(False, False)
        self.assertEqual(self.outcome(IN_YOUR_BLACKLIST), -1)
        self.assertEqual(self.gateway.relations.asked, [])

    def test_to_oneself(self) -> None:
        """The gateway does not look up a relation, and stores the message."""
        self.alice.say(im(1))
        self.assertEqual(len(self.gateway.storage.saves), 1)
        self.assertEqual(self.gateway.relations.asked, [])

    def test_a_refusal_of_an_older_client(self) -> None:
        """Is a plain ack: it is final."""
        old = self.gateway.client(1, version=1, device="old")
        seq = old.say(im())
        self.assertEqual(old.messages(), [client.Ack(seq=seq)])
        self.assertEqual(self.gateway.storage.saves, [])

    def test_only_messages_between_users_are_looked_at(self) -> None:
        """Not live ones, and not customer service."""
        bob = self.gateway.client(BOB)
        self.alice.say(client.RT(sender=1, receiver=BOB, content=b"x"))
        self.assertEqual([one.label for one in bob.messages()], ["RT"])
        said = customers.CustomerV2(
            sender_appid=APP,
            sender=1,
            receiver_appid=KEFU,
            receiver=5,
            timestamp=0,
            content=b"help",
        )
        self.alice.say(said)
        self.assertEqual(len(self.gateway.storage.saves), 1)
        self.assertEqual(self.gateway.relations.asked, [])

    def test_what_must_be_loaded_holds_up_what_comes_behind(self) -> None:
        """The client's next frames wait, and stay in order; other clients do not wait."""
        relations = self.gateway.relations
        relations.stored[ALICE, BOB] = FRIENDS
        relations.waiting = Deferred()
        self.alice.say(im(content=b"one"), im(1, content=b"two"))
        self.alice.say(im(content=b"three"))
        self.assertEqual(self.gateway.storage.saves, [])
        self.assertEqual(self.alice.connection.paused, 1)
        other = self.gateway.client(3)
        other.say(client.Ping())
        self.assertEqual([one.label for one in other.messages()], ["PONG"])
        waiting, relations.waiting = relations.waiting, None
        relations.at_hand[ALICE, BOB] = FRIENDS
        waiting.callback(None)
        said = [client.IM.decode(save.body).content for save in self.gateway.storage.saves]
        self.assertEqual(said, [b"one", b"two", b"three"])
        self.assertEqual(self.alice.connection.paused, 0)
        self.assertEqual(relations.asked, [(ALICE, BOB)])

    def test_the_database_is_away(self) -> None:
        """The gateway stores nothing, and the status tells the client to send the message again."""
        self.gateway.relations.away = True
        self.alice.say(im())
        self.assertEqual(self.statuses(), [AckStatus.RELATIONS_AWAY])
        old = self.gateway.client(1, version=1, device="old")
        old.say(im())
        self.assertEqual(old.messages(), [])
        self.assertEqual(self.gateway.storage.saves, [])
        self.gateway.relations.away = False
        self.gateway.relations.stored[ALICE, BOB] = FRIENDS
        self.alice.say(im())
        self.assertEqual(len(self.gateway.storage.saves), 1)
