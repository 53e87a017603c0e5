"""What a user may ask of the server, in words instead of messages."""

from typing import Generic, TypeVar

from gobelieve.names import User
from gobelieve.wire import Message, client, customers

R = TypeVar("R")


class Requests(Generic[R]):
    """Requests that need nothing but a way to send; for a subclass that has one.

    Those that are acked give what `_ask` gives; the others have no answer.
    """

    uid: int
    appid: int
    """Our application, which only customer service names on the wire."""

    def _ask(self, message: Message) -> R:
        """Send a message that is acked."""
        raise NotImplementedError

    def _say(self, message: Message) -> None:
        """Send one that is not."""
        raise NotImplementedError

    # --- acked

    def send_im(self, receiver: int, content: str | bytes, msgid: int = 0) -> R:
        """A message to a user; `msgid` is a number of our own, which comes back with it."""
        return self._ask(
            client.IM(sender=self.uid, receiver=receiver, msgid=msgid, content=as_bytes(content))
        )

    def send_group(self, group_id: int, content: str | bytes, msgid: int = 0) -> R:
        """A message to a group of either kind."""
        return self._ask(
            client.GroupIM(
                sender=self.uid, receiver=group_id, msgid=msgid, content=as_bytes(content)
            )
        )

    def send_room(self, room: int, content: str | bytes) -> R:
        """Say something in the room that was entered; nothing is stored."""
        return self._ask(client.RoomIM(sender=self.uid, receiver=room, content=as_bytes(content)))

    def send_customer(self, seller: int, content: str | bytes, store_id: int = 0) -> R:
        """As a customer to a seller, in the form of 2018 to 2021."""
        return self._ask(
            customers.Customer(
                customer_appid=self.appid,
                customer_id=self.uid,
                store_id=store_id,
                seller_id=seller,
                timestamp=0,
                content=as_bytes(content),
            )
        )

    def send_support(self, customer: User, content: str | bytes, store_id: int = 0) -> R:
        """As a seller to a customer, in the form of 2018 to 2021."""
        return self._ask(
            customers.CustomerSupport(
                customer_appid=customer.appid,
                customer_id=customer.uid,
                store_id=store_id,
                seller_id=self.uid,
                timestamp=0,
                content=as_bytes(content),
            )
        )

    def send_customer_v2(self, receiver: User, content: str | bytes) -> R:
        """Customer to seller or seller to customer, in the form since 2021."""
        return self._ask(
            customers.CustomerV2(
                sender_appid=self.appid,
                sender=self.uid,
                receiver_appid=receiver.appid,
                receiver=receiver.uid,
                timestamp=0,
                content=as_bytes(content),
            )
        )

    # --- without an answer

    def send_rt(self, receiver: int, content: str | bytes) -> None:
        """To the receiver's connections, if there are any."""
        self._say(client.RT(sender=self.uid, receiver=receiver, content=as_bytes(content)))

    def send_inputing(self, receiver: int) -> None:
        """We are typing."""
        self._say(client.Inputing(sender=self.uid, receiver=receiver))

    def send_voip(self, receiver: int, content: bytes) -> None:
        """Signalling of a call; the content is not empty, and below 20 bytes in all apps."""
        self._say(customers.VoipControl(sender=self.uid, receiver=receiver, content=content))

    def report_unread(self, count: int) -> None:
        """The number on the app's badge."""
        self._say(client.UnreadCount(count=count))


def as_bytes(content: str | bytes) -> bytes:
    """What goes over the wire for a text."""
    return content.encode() if isinstance(content, str) else content
