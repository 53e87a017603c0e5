"""A client on the network.

::

    async def main(reactor):
        alice = Client(reactor, "127.0.0.1:23000", 1001, token)
        await alice.connect()
        await alice.send(1002, '{"text": "hello"}')
        message = await alice.receive()
        print(message.sender, message.content)
        await alice.close()

**What it promises.** `send` returns when the message is on the server's disk. If the connection
is lost before the ack, the message is sent again on the next one, since nobody can know whether
the first was stored: *at least once*. `receive` gives every message once in the life of a client.
The key in the `KeyStore` follows what the user is done with, so that after a crash the message
under way, and those of the last second, come again: *at least once* here too, and never lost.

The dialogue is `ClientCore`'s; here are the connection, the reconnecting, the clock, and those
who wait.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gobelieve.client.core import ClientCore
from gobelieve.client.events import (
    Acked,
    Broken,
    Event,
    KeyMoved,
    LoggedIn,
    LoginRefused,
    MessageReceived,
    Overdue,
    Synced,
)
from gobelieve.client.inbox import Inbox
from gobelieve.client.keys import KeyStore, MemoryKeyStore
from gobelieve.client.link import Link, LinkFactory
from gobelieve.client.waiting import EventQueue
from gobelieve.config import parse_address
from gobelieve.errors import BodyError, ClientClosedError, LoginRefusedError, MessageRefusedError
from gobelieve.interfaces import Turn
from gobelieve.names import Platform
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Message, client
from gobelieve.wire.frames import CLIENT_BODY_LIMIT

E = TypeVar("E", bound=Event)

CLOSE_TIMEOUT = 5.0
"""Seconds until a connection that does not close is cut."""
REFUSALS = 3
"""Logins refused one after another until a client that was logged in before gives up."""


@dataclass(eq=False, slots=True)
class _Sending:
    """A message that has no ack yet."""

    message: Message
    acked: Deferred[Acked] = field(default_factory=Deferred)


class Client:
    """One user on one device.

    `address` is ``host:port`` or an endpoint. `inbox_limit` is how many messages may wait for
    `receive` before no more are fetched; they stay with the server. Messages that this device
    wrote itself are left out unless `own_messages`.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: str | IStreamClientEndpoint,
        uid: int,
        token: str,
        *,
        platform: int = Platform.ANDROID,
        device_id: str = "gobelieve",
        key_store: KeyStore | None = None,
        version: int = 2,
        own_messages: bool = False,
        inbox_limit: int = 10_000,
        retry: Callable[[int], float] | None = None,
        turn: Turn | None = None,
    ) -> None:
        if isinstance(address, str):
            address = HostnameEndpoint(reactor, *parse_address(address))
        self.uid = uid
        self._reactor = reactor
        self._identity = (token, platform, device_id)
        self._own_messages = own_messages
        self._inbox_limit = inbox_limit
        self._key_store = key_store or MemoryKeyStore()
        self.core = ClientCore(uid, version=version, keys=self._key_store.load(), report_keys=False)
        self._service = ClientService(
            address,
            LinkFactory(self, turn or ReactorTurn(reactor)),
            retryPolicy=retry or backoffPolicy(initialDelay=0.5, maxDelay=10.0),
            clock=reactor,
        )
        self._ticker = LoopingCall(self._tick)
        self._ticker.clock = reactor
        self._link: Link | None = None
        self._room = 0
        self._logged_in = False
        self._refusals = 0
        self._first_login: Deferred[None] | None = None
        self._outbox: deque[_Sending] = deque()
        self._sent: dict[int, _Sending] = {}
        self._inbox = Inbox()
        self._receivers: deque[Deferred[MessageReceived]] = deque()
        self._events = EventQueue()
        self._answers: list[tuple[_Sending, Acked]] = []
        self._end: Exception | None = None

    # --- the life of a client

    async def connect(self) -> None:
        """Connect, log in, begin to sync. After this, connections that are lost are renewed.

        Raises `LoginRefusedError`, or what the endpoint says if there is no server.
        """
        self._check_open()
        if self._service.running:
            return
        first: Deferred[None] = Deferred()
        self._first_login = first
        self._service.startService()
        self._ticker.start(1.0, now=False)
        try:
            await self._service.whenConnected(failAfterFailures=1)
            await first
        except Exception as why:
            # The service tells of its failure from within, and cannot be stopped there.
            await deferLater(self._reactor, 0)
            await self._stop(why)
            raise
        finally:
            self._first_login = None

    async def close(self) -> None:
        """Keep the keys, end the connection, wait until it is gone."""
        if self._end is None:
            self._inbox.done()
            self._keep_keys()
            self._flush()
            await self._stop(ClientClosedError("the client was closed"))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def key(self) -> int:
        """How far this client is in the user's queue."""
        return self.core.key()

    # --- messages that are acked

    async def send(self, receiver: int, content: str | bytes, msgid: int = 0) -> Acked:
        """Send to a user; returns when the message is stored.

        Raises `MessageRefusedError` if the server will not have it, `BodyError` if it is too long.
        """
        return await self._send(
            client.IM(sender=self.uid, receiver=receiver, msgid=msgid, content=_bytes(content))
        )

    async def send_group(self, group_id: int, content: str | bytes, msgid: int = 0) -> Acked:
        """The same to a group."""
        return await self._send(
            client.GroupIM(sender=self.uid, receiver=group_id, msgid=msgid, content=_bytes(content))
        )

    async def send_room(self, room: int, content: str | bytes) -> Acked:
        """Say something in the room that was entered; nothing is stored."""
        return await self._send(
            client.RoomIM(sender=self.uid, receiver=room, content=_bytes(content))
        )

    # --- requests without an answer; without effect while there is no connection

    def enter_room(self, room: int) -> None:
        """Be in this room, and in it again after a reconnection."""
        self._room = room
        self.core.enter_room(room)
        self._flush()

    def leave_room(self) -> None:
        """Be in no room."""
        room, self._room = self._room, 0
        self.core.leave_room(room)
        self._flush()

    def send_rt(self, receiver: int, content: str | bytes) -> None:
        """To the receiver's connections, if there are any."""
        self.core.send_rt(receiver, content)
        self._flush()

    def send_inputing(self, receiver: int) -> None:
        """We are typing."""
        self.core.send_inputing(receiver)
        self._flush()

    def report_unread(self, count: int) -> None:
        """The number on the app's badge."""
        self.core.report_unread(count)
        self._flush()

    def ping(self) -> None:
        """`Ponged` follows."""
        self.core.ping()
        self._flush()

    # --- what comes

    async def receive(self) -> MessageReceived:
        """The next message; also says that the one before is done with."""
        message = self._inbox.take()
        if message is not None:
            if self.core.holding and self._inbox.messages <= self._inbox_limit // 2:
                self.core.resume()
                self._flush()
            return message
        self._check_open()
        waiting: Deferred[MessageReceived] = Deferred(self._receivers.remove)
        self._receivers.append(waiting)
        return await waiting

    async def sync_to_end(self, group_id: int = 0) -> int:
        """Fetch until there is nothing more; the key then."""
        while True:
            self._check_open()
            ending = self._events.next(Synced)
            self.core.sync(group_id)
            self._flush()
            synced = await ending
            if synced.group_id == group_id and synced.key == synced.before:
                return synced.key

    async def next_event(self, kind: type[E]) -> E:
        """The oldest event of this kind that nobody took; waits if there is none.

        Messages are for `receive`, and not found here.
        """
        self._check_open()
        return await self._events.take(kind)

    # --- called by the link

    def connected(self, link: Link) -> None:
        """Say everything at once; the server answers in order."""
        self._link = link
        self.core.connect()
        self.core.log_in(*self._identity)
        if self._room:
            self.core.enter_room(self._room)
        if not self.core.holding:
            self.core.sync_all()
        self._flush()

    def received(self, link: Link, data: bytes) -> None:
        """Bytes came."""
        if link is self._link:
            self._happened(self.core.receive_data(data))

    def disconnected(self, link: Link, reason: Failure) -> None:
        """What has no ack is to be sent again, before what was not sent yet."""
        self._link = None
        self._logged_in = False
        self._outbox.extendleft(reversed(self._sent.values()))
        self._sent = {}
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(reason)

    # --- events

    def _happened(self, events: list[Event]) -> None:
        for event in events:
            rule = _RULES.get(type(event))
            if rule is not None:
                rule(self, event)
        self._flush()
        # Those who wait are told last, when all is in its place: they may call us again.
        answers, self._answers = self._answers, []
        for sending, ack in answers:
            if ack.status:
                sending.acked.errback(MessageRefusedError(ack.status))
            else:
                sending.acked.callback(ack)
        self._wake_receivers()
        for event in events:
            if not isinstance(event, MessageReceived | KeyMoved):
                self._events.put(event)

    def _logged(self, event: LoggedIn) -> None:
        self._logged_in = True
        self._refusals = 0
        while self._outbox:
            self._send_out(self._outbox.popleft())
        if self._first_login is not None and not self._first_login.called:
            self._first_login.callback(None)

    def _refused(self, event: LoginRefused) -> None:
        self._refusals += 1
        refused = LoginRefusedError(event.status)
        if self._first_login is not None and not self._first_login.called:
            self._first_login.errback(refused)
        elif self._refusals >= REFUSALS:
            self.log.warn("{uid} gives up: {why}", uid=self.uid, why=refused)
            Deferred.fromCoroutine(self._stop(refused))
        else:
            # Upstream refuses a login for a Redis that is away, too.
            self._give_up("login refused")

    def _acked(self, event: Acked) -> None:
        sending = self._sent.pop(event.seq, None)
        if sending is not None:
            self._answers.append((sending, event))

    def _message_came(self, event: MessageReceived) -> None:
        if event.is_self and not self._own_messages:
            return
        self._inbox.put(event)
        if self._inbox.messages >= self._inbox_limit and not self._receivers:
            self.core.hold()

    def _key_moved(self, event: KeyMoved) -> None:
        self._inbox.put(event)

    def _gone(self, event: Overdue | Broken) -> None:
        why = f"{event.what} is overdue" if isinstance(event, Overdue) else event.why
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        self.log.warn("{uid} gives its connection up: {why}", uid=self.uid, why=why)
        if self._link is not None:
            self._link.abort()

    # --- inside

    async def _send(self, message: Message) -> Acked:
        self._check_open()
        length = len(message.encode(self.core.version))
        if length > CLIENT_BODY_LIMIT:
            raise BodyError(f"a body of {length} bytes, the limit is {CLIENT_BODY_LIMIT}")
        sending = _Sending(message)
        if self._logged_in:
            self._send_out(sending)
            self._flush()
        else:
            self._outbox.append(sending)
        return await sending.acked

    def _send_out(self, sending: _Sending) -> None:
        self._sent[self.core.send(sending.message)] = sending

    def _flush(self) -> None:
        frames = self.core.frames_to_send()
        if self._link is not None:
            self._link.send(frames)

    def _tick(self) -> None:
        self._keep_keys()
        self._flush()
        if self._link is not None:
            self._happened(self.core.tick())

    def _keep_keys(self) -> None:
        keys = self._inbox.collect()
        if keys:
            try:
                self._key_store.save(keys)
            except OSError:
                self.log.failure("{uid} cannot keep its sync keys", uid=self.uid)
                self._inbox.reached = {**keys, **self._inbox.reached}
            else:
                for group_id, key in keys.items():
                    self.core.report_key(key, group_id)

    def _wake_receivers(self) -> None:
        while self._receivers and self._inbox.messages:
            message = self._inbox.take()
            if message is not None:
                self._receivers.popleft().callback(message)

    def _check_open(self) -> None:
        if self._end is not None:
            raise ClientClosedError("the client is closed") from self._end

    async def _stop(self, why: Exception) -> None:
        self._end = why
        if self._ticker.running:
            self._ticker.stop()
        link = self._link
        if link is not None:
            link.flush()
        stopping = self._service.stopService()
        cut = self._reactor.callLater(CLOSE_TIMEOUT, _abort, link)
        waiting: list[Deferred[Any]] = [s.acked for s in [*self._sent.values(), *self._outbox]]
        waiting += [*self._receivers, *self._events.waiting()]
        self._sent, self._outbox, self._receivers = {}, deque(), deque()
        for told in waiting:
            told.errback(why)
        await stopping
        if cut.active():
            cut.cancel()


def _abort(link: Link | None) -> None:
    if link is not None:
        link.abort()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


_RULES: dict[type[Any], Callable[[Client, Any], None]] = {
    LoggedIn: Client._logged,
    LoginRefused: Client._refused,
    Acked: Client._acked,
    MessageReceived: Client._message_came,
    KeyMoved: Client._key_moved,
    Overdue: Client._gone,
    Broken: Client._gone,
}
