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

The dialogue is `ClientCore`'s, the coming back `Connection`'s; here are those who wait.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from gobelieve.client.connection import Connection
from gobelieve.client.core import ClientCore
from gobelieve.client.events import (
    Acked,
    Event,
    KeyMoved,
    LiveReceived,
    LoggedIn,
    MessageReceived,
    Synced,
)
from gobelieve.client.inbox import Inbox
from gobelieve.client.keys import KeyStore, MemoryKeyStore
from gobelieve.client.patience import Timing
from gobelieve.client.requests import Requests
from gobelieve.client.sending import Sendings
from gobelieve.client.waiting import EventQueue
from gobelieve.config import parse_address
from gobelieve.errors import BodyError, ClientClosedError
from gobelieve.interfaces import Turn
from gobelieve.names import Platform
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Message, client
from gobelieve.wire.frames import CLIENT_BODY_LIMIT

E = TypeVar("E", bound=Event)


class Client(Requests[Coroutine[Any, Any, Acked]]):
    """One user on one device.

    Requests that are acked (`send`, `send_group`, `send_room`, `send_customer`...) are to be
    awaited: they return when the server is done with the message, which for all but rooms means
    that it is stored. They raise `MessageRefusedError`, which has the reason, if the server will
    not have it, and `BodyError` if it is too long. Requests without an answer (`send_rt`,
    `report_unread`...) have no effect while there is no connection.

    `address` is ``host:port`` or an endpoint. `inbox_limit` is how many messages may wait for
    `receive` before no more are fetched; they stay with the server. Messages that this device
    wrote itself are left out unless `own_messages`; then each comes by sync. `appid` is named by
    customer service alone.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        address: str | IStreamClientEndpoint,
        uid: int,
        token: str,
        *,
        appid: int = 0,
        platform: int = Platform.ANDROID,
        device_id: str = "gobelieve",
        key_store: KeyStore | None = None,
        version: int = 2,
        timing: Timing = Timing(),  # noqa: B008 a tuple
        own_messages: bool = False,
        inbox_limit: int = 10_000,
        retry: Callable[[int], float] | None = None,
        turn: Turn | None = None,
    ) -> None:
        if isinstance(address, str):
            address = HostnameEndpoint(reactor, *parse_address(address))
        # A token that no frame has room for is told of here, not at the first connection.
        login = client.AuthToken(
            platform=platform, token=token.encode(), device_id=device_id.encode()
        )
        login.encode()
        self.uid = uid
        self.appid = appid
        self._own_messages = own_messages
        self._inbox_limit = inbox_limit
        self._key_store = key_store or MemoryKeyStore()
        self.core = ClientCore(
            uid,
            appid=appid,
            version=version,
            keys=self._key_store.load(),
            report_keys=False,
            skip_own=not own_messages,
            timing=timing,
        )
        self._connection = Connection(
            reactor,
            address,
            self.core,
            (token, platform, device_id),
            self,
            turn or ReactorTurn(reactor),
            retry,
        )
        self._sendings = Sendings(self.core.send)
        self._inbox = Inbox()
        self._receivers: deque[Deferred[MessageReceived]] = deque()
        self._events = EventQueue()
        self._end: Exception | None = None

    # --- the life of a client

    async def connect(self) -> None:
        """Connect, log in, begin to sync. After this, connections that are lost are renewed.

        Raises `LoginRefusedError`, or what the endpoint says if there is no server.
        """
        self._check_open()
        await self._connection.open()

    async def close(self) -> None:
        """Keep the keys, end the connection, wait until it is gone.

        What `receive` gave is done with.
        """
        self._inbox.done()
        await self._close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._inbox.done()
        # Else the message that was given last is not done with, and will come again.
        await self._close()

    async def _close(self) -> None:
        self._keep_keys()
        await self._connection.close(ClientClosedError("the client was closed"))

    @property
    def key(self) -> int:
        """How far this client is in the user's queue."""
        return self.core.key()

    def group_key(self, group_id: int) -> int:
        """How far it is in a super group's."""
        return self.core.key(group_id)

    @property
    def waiting(self) -> int:
        """How many messages have come that `receive` would give at once."""
        return self._inbox.messages

    # --- requests, beside those of `Requests`

    def send(
        self, receiver: int, content: str | bytes, msgid: int = 0
    ) -> Coroutine[Any, Any, Acked]:
        """Send to a user."""
        return self.send_im(receiver, content, msgid)

    def enter_room(self, room: int) -> None:
        """Be in this room, and in it again after a reconnection."""
        self._connection.room = room
        self.core.enter_room(room)
        self._connection.flush()

    def leave_room(self) -> None:
        """Be in no room."""
        room, self._connection.room = self._connection.room, 0
        self.core.leave_room(room)
        self._connection.flush()

    def follow(self, group_id: int) -> None:
        """Fetch what is new in a super group's queue, now and after every login.

        Groups whose keys are kept, and groups from which something came, are followed already.
        """
        self.core.sync(group_id)
        self._connection.flush()

    def ping(self) -> None:
        """`Ponged` follows."""
        self.core.ping()
        self._connection.flush()

    # --- what comes

    async def receive(self) -> MessageReceived:
        """The next message; also says that the one before is done with."""
        message = self._inbox.take()
        if message is not None:
            if self.core.holding and self._inbox.messages <= self._inbox_limit // 2:
                self.core.resume()
                self._connection.flush()
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
            self._connection.flush()
            synced = await ending
            if synced.group_id == group_id and synced.key == synced.before:
                return synced.key

    async def next_event(self, kind: type[E]) -> E:
        """The oldest event of this kind that nobody took; waits if there is none."""
        if issubclass(kind, MessageReceived):
            return cast(E, await self.receive())
        self._check_open()
        return await self._events.take(kind)

    async def receive_live(self) -> Message:
        """The next message that is stored nowhere: RT, INPUTING, ROOM_IM, NOTIFICATION,
        VOIP_CONTROL. Only the newest thousand events wait."""
        return (await self.next_event(LiveReceived)).message

    # --- called by the connection

    def happened(self, events: list[Event]) -> None:
        """Put all in its place, then tell those who wait."""
        for event in events:
            match event:
                case LoggedIn():
                    self._sendings.begin()
                case Acked():
                    self._sendings.ack(event)
                case MessageReceived():
                    self._message_came(event)
                case KeyMoved():
                    self._inbox.put(event)
        # Those who wait are told last, when all is in its place: they may call us again.
        self._sendings.tell()
        self._wake_receivers()
        for event in events:
            if not isinstance(event, MessageReceived):
                self._events.put(event)

    def ticked(self) -> None:
        """Keep the keys that were reached."""
        self._keep_keys()

    def lost(self) -> None:
        """What has no ack waits for the next login."""
        self._sendings.lose()

    def ended(self, why: Exception) -> None:
        """Tell everybody who waits."""
        self._end = self._end or why
        receivers, self._receivers = self._receivers, deque()
        for told in [*self._sendings.give_up(), *receivers, *self._events.waiting()]:
            told.errback(why)

    # --- inside

    def _message_came(self, event: MessageReceived) -> None:
        if event.is_self and not self._own_messages:
            return
        self._inbox.put(event)
        if self._inbox.messages >= self._inbox_limit and not self._receivers:
            self.core.hold()

    def _say(self, message: Message) -> None:
        self.core.send(message)
        self._connection.flush()

    async def _ask(self, message: Message) -> Acked:
        self._check_open()
        length = len(message.encode(self.core.version))
        if length > CLIENT_BODY_LIMIT:
            raise BodyError(f"a body of {length} bytes, the limit is {CLIENT_BODY_LIMIT}")
        acked = self._sendings.add(message)
        self._connection.flush()
        return await acked

    def _keep_keys(self) -> None:
        keys = self._inbox.collect()
        if keys:
            try:
                self._key_store.save(keys)
            except Exception:
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
