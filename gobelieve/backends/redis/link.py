"""One connection to Redis: txredisapi's protocol with hiredis, made safe for us.

Known here: what txredisapi needs so that bytes stay bytes, and when a connection is as good as
dead. Connecting, waiting and retrying are `gobelieve.backends.redis.service`'s.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.protocols.policies import TimeoutMixin

from gobelieve.errors import BackendError


class ErrorReply(BackendError):  # noqa: N818 - what Redis calls it
    """Redis answered, and the answer is an error; `reply` is its text."""

    def __init__(self, reply: str) -> None:
        super().__init__(f"Redis answered: {reply}")
        self.reply = reply


class Link(Protocol):
    """A connection, as the service uses it."""

    outstanding: int
    """Commands sent whose reply has not come."""

    def ask(self, args: tuple[Any, ...]) -> Deferred[Any]:
        """Send a command. The Deferred fires once, with the reply or a `BackendError`."""

    def drop(self, why: str) -> None:
        """Close at once; whatever is outstanding fails."""


class LinkOwner(Protocol):
    """Who is told of a connection's life."""

    def linked(self, link: Link) -> None:
        """It is there, but Redis has not said anything yet."""

    def link_lost(self, link: Link, why: str) -> None:
        """It is gone. What is outstanding on it fails right after this call."""

    def published(self, channel: bytes, content: bytes) -> None:
        """A message of a channel that was subscribed to on it."""


@cache
def link_class(subscribed: bool = False) -> Callable[[LinkOwner, float, IReactorTime], Any]:
    """The protocol class; `subscribed` for connections that subscribe to channels. Made on
    demand, since importing txredisapi imports the reactor."""
    import txredisapi

    def plain(failure: Any) -> Any:
        if failure.check(txredisapi.ResponseError):
            raise ErrorReply(str(failure.value))
        raise BackendError(f"Redis: {failure.getErrorMessage()}")

    class RedisLink(txredisapi.HiredisProtocol, TimeoutMixin):
        """Silent for `timeout` seconds with replies outstanding, it drops itself.

        That bounds what piles up behind a Redis which is frozen: txredisapi alone would
        forget who gave up waiting, but keep their commands.
        """

        def __init__(self, owner: LinkOwner, timeout: float, reactor: IReactorTime) -> None:
            # Without these two, b"007" would arrive as 7 and other bytes as text or bytes.
            super().__init__(charset=None, convertNumbers=False)
            self.callLater = reactor.callLater  # type: ignore[assignment,method-assign]
            self._owner = owner
            self._timeout = timeout
            self._why = "the connection was closed"

        @property
        def outstanding(self) -> int:
            return len(self.replyQueue.waiting)

        def ask(self, args: tuple[Any, ...]) -> Deferred[Any]:
            if not self.replyQueue.waiting:
                self.setTimeout(self._timeout)
            reply: Deferred[Any] = self.execute_command(*args)
            return reply.addErrback(plain)

        def drop(self, why: str) -> None:
            self._why = why
            self.transport.abortConnection()

        def connectionMade(self) -> None:
            super().connectionMade()
            self._owner.linked(self)

        def dataReceived(self, data: bytes, unpause: bool = False) -> None:
            self.resetTimeout()
            try:
                super().dataReceived(data, unpause)
            except txredisapi.InvalidData:
                self.drop("what answers there is not Redis")
            if not self.replyQueue.waiting:
                self.setTimeout(None)

        def timeoutConnection(self) -> None:
            self.drop(f"silent for {self._timeout:g} s")

        def connectionLost(self, reason: Any) -> None:
            self.setTimeout(None)
            self._owner.link_lost(self, self._why)
            super().connectionLost(reason)

    class SubscribedLink(RedisLink):
        """Messages of channels come between the replies, and are none."""

        def replyReceived(self, reply: Any) -> None:
            if type(reply) is list and len(reply) == 3 and reply[0] == b"message":
                self._owner.published(reply[1], reply[2])
            else:
                super().replyReceived(reply)

    return SubscribedLink if subscribed else RedisLink
