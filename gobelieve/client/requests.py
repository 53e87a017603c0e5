"""The requests of a client as methods, so that the program need not build messages."""

from typing import Generic, TypeVar

from gobelieve.names import User
from gobelieve.wire import Message, client, customers

R = TypeVar("R")


class Requests(Generic[R]):
    """Requests for a subclass that can send messages.

    Requests that the server acks return the result of `_send_acked`. The others have no answer.
    """

    uid: int
    appid: int
    """The application of the user. Only messages of customer service contain it."""

    def _send_acked(self, message: Message) -> R:
        """Send a message that the server acks."""
        raise NotImplementedError

    def _send_unacked(self, message: Message) -> None:
        """Send a message without an answer."""
        raise NotImplementedError

    # --- acked

    def send_im(self, receiver: int, content: str | bytes, msgid: int = 0) -> R:
        """Send a message to a user. `msgid` is a number of the sender; the receiver gets it too."""
        return self._send_acked(
            client.IM(sender=self.uid, receiver=receiver, msgid=msgid, content=as_bytes(content))
        )

    def send_group(self, group_id: int, content: str | bytes, msgid: int = 0) -> R:
        """Send a message to an ordinary group or a super group."""
        return self._send_acked(
            client.GroupIM(
                sender=self.uid, receiver=group_id, msgid=msgid, content=as_bytes(content)
            )
        )

    def send_room(self, room: int, content: str | bytes) -> R:
        """Send a message to the room that the client is in. It is not stored."""
        return self._send_acked(
            client.RoomIM(sender=self.uid, receiver=room, content=as_bytes(content))
        )

    def send_customer(self, seller: int, content: str | bytes, store_id: int = 0) -> R:
        """Send a message from a customer to a seller, in the format of 2018 to 2021."""
        return self._send_acked(
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
        """Send a message from a seller to a customer, in the format of 2018 to 2021."""
        return self._send_acked(
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
        """Send a message between customer and seller, in the format since 2021."""
        return self._send_acked(
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
        """Send a message to the connections that the receiver has now. It is not stored."""
        self._send_unacked(client.RT(sender=self.uid, receiver=receiver, content=as_bytes(content)))

    def send_inputing(self, receiver: int) -> None:
        """Show the receiver that the user is typing."""
        self._send_unacked(client.Inputing(sender=self.uid, receiver=receiver))

    def send_voip(self, receiver: int, content: bytes) -> None:
        """Send a signal of a call. The content has 1 to 19 bytes in all apps."""
        self._send_unacked(
            customers.VoipControl(sender=self.uid, receiver=receiver, content=content)
        )

    def report_unread(self, count: int) -> None:
        """Report the number on the app's badge."""
        self._send_unacked(client.UnreadCount(count=count))


def as_bytes(content: str | bytes) -> bytes:
    """Return the bytes of a text in UTF-8; bytes are returned unchanged."""
    return content.encode() if isinstance(content, str) else content
