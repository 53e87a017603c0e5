"""One connection to Redis, made safe for us: txredisapi with hiredis, in a protocol of our own.

txredisapi encodes commands, decodes replies and keeps replies and commands in step. `RedisLink`
adds the point at which a connection counts as dead. Connecting, waiting and retrying are done by
`gobelieve.backends.redis.service`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from gobelieve.errors import BackendError


class ReplyError(BackendError):
    """The reply of Redis is an error; `reply` is its text."""

    def __init__(self, reply: str) -> None:
        super().__init__(f"Redis answered: {reply}")
        self.reply = reply


class LinkOwner(Protocol):
    """The service that opened a connection."""

    def link_opened(self, link: "RedisLink") -> None:
        """Handle a new connection. Redis has not sent anything on it yet."""

    def link_lost(self, link: "RedisLink", why: str) -> None:
        """Handle the end of a connection. Its outstanding commands fail right after this call."""

    def published(self, channel: bytes, content: bytes) -> None:
        """Handle a message of a channel to which the connection is subscribed."""


class RedisLink(TwistedProtocol, TimeoutMixin):
    """A connection that drops itself when Redis owes replies and is silent for `timeout` seconds.

    So commands behind a frozen Redis cannot collect without limit: txredisapi alone would keep the
    command of a caller that gave up. Only a connection that `subscribes` may send SUBSCRIBE.
    """

    transport: ITCPTransport

    def __init__(
        self, owner: LinkOwner, timeout: float, reactor: IReactorTime, subscribes: bool = False
    ) -> None:
        self.callLater = reactor.callLater  # type: ignore[assignment,method-assign]
        self._owner = owner
        self._timeout = timeout
        self._redis = _protocol_class()(owner.published if subscribes else None)
        self._why = "the connection was closed"

    @property
    def outstanding(self) -> int:
        """The number of commands that were sent and have no reply yet."""
        return len(self._redis.replyQueue.waiting)

    def ask(self, args: tuple[Any, ...]) -> Deferred[Any]:
        """Send a command. The Deferred fires once, with the reply or a `BackendError`."""
        if not self.outstanding:
            self.setTimeout(self._timeout)
        reply: Deferred[Any] = self._redis.execute_command(*args)
        return reply.addErrback(_raise_backend_error)

    def drop(self, why: str) -> None:
        """Close the connection at once; the outstanding commands fail."""
        self._why = why
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self._redis.makeConnection(self.transport)
        self._owner.link_opened(self)

    def dataReceived(self, data: bytes) -> None:
        self.resetTimeout()
        try:
            self._redis.dataReceived(data)
        except _txredisapi().InvalidData:
            self.drop("what answers there is not Redis")
        if not self.outstanding:
            self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.drop(f"silent for {self._timeout:g} s")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        self._owner.link_lost(self, self._why)
        self._redis.connectionLost(reason)


def _txredisapi() -> Any:
    """Return the module. It is imported on demand, since it imports the reactor."""
    import txredisapi

    return txredisapi


@cache
def _protocol_class() -> Callable[[Callable[[bytes, bytes], None] | None], Any]:
    """Return txredisapi's protocol, which passes messages of channels to a callback if it has one.

    Such messages arrive between the replies, and answer no command.
    """

    class BytesProtocol(_txredisapi().HiredisProtocol):  # type: ignore[misc]
        def __init__(self, published: Callable[[bytes, bytes], None] | None) -> None:
            # Otherwise b"007" would arrive as 7, and other replies as str or bytes by chance.
            super().__init__(charset=None, convertNumbers=False)
            self._published = published

        def replyReceived(self, reply: Any) -> None:
            published = self._published
            if published and type(reply) is list and len(reply) == 3 and reply[0] == b"message":
                published(reply[1], reply[2])
            else:
                super().replyReceived(reply)

    return BytesProtocol


def _raise_backend_error(failure: Failure) -> NoReturn:
    if failure.check(_txredisapi().ResponseError):
        raise ReplyError(str(failure.value))
    raise BackendError(f"Redis: {failure.getErrorMessage()}")
