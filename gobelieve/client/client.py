"""A client on the network.

::

    async def main(reactor):
        alice = Client(reactor, "127.0.0.1:23000", 1001, token)
        await alice.connect()
        await alice.send(1002, '{"text": "hello"}')
        message = await alice.receive()
        print(message.sender, message.content)
        await alice.close()

**Guarantees.** `send` returns when the message is on the server's disk. If the connection is lost
before the ack, the client sends the message again on the next one. So a message is sent *at least
once*: nobody can know whether the first try was stored.

`receive` gives each message once in the life of a client. The `KeyStore` holds the key of the last
message that the program has finished. After a crash the program receives again the message that it
was handling, and those of the last second: *at least once*, and no message is lost.

`ClientCore` has the dialogue, and `Connection` reconnects. `Client` connects them with the program.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, cast

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from gobelieve.client.connection import Connection, Credentials
from gobelieve.client.dialogue.core import ClientCore
from gobelieve.client.dialogue.timeouts import Timing
from gobelieve.client.events import (
    Acked,
    Event,
    LiveReceived,
    MessageReceived,
    Synced,
)
from gobelieve.client.keys import KeyStore, MemoryKeyStore
from gobelieve.client.requests import Requests
from gobelieve.client.waiting.calls import WaitingCalls
from gobelieve.errors import BodyError, ClientClosedError
from gobelieve.interfaces import Turn
from gobelieve.names import Platform
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import Message
from gobelieve.wire.frames import CLIENT_BODY_LIMIT

E = TypeVar("E", bound=Event)


class Client(Requests[Coroutine[Any, Any, Acked]]):
    """One user on one device.

    Requests that the server acks (`send`, `send_group`, `send_room`, `send_customer`...) are
    coroutines. They return when the server has handled the message. All messages but those of rooms
    are stored then. They raise `MessageRefusedError` with the reason if the server refuses the
    message, and `BodyError` if it is too long. Requests without an answer (`send_rt`,
    `report_unread`...) have no effect while there is no connection.

    - `address` is ``host:port`` or an endpoint.
    - `inbox_limit` messages may wait for `receive`. Then the client fetches no more of them; they
      stay on the server.
    - Messages that this device sent are left out, unless `own_messages`: then they come by sync.
    - `appid` is only used for customer service.
    - `retry` gives the seconds before a new connection, from the number of tries that failed.
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
        self.uid = uid
        self.appid = appid
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
            self,
            self.core,
            Credentials.checked(token, platform, device_id),
            reactor=reactor,
            address=address,
            turn=turn or ReactorTurn(reactor),
            retry=retry,
        )
        self._calls = WaitingCalls(
            self.core, limit=inbox_limit, own_messages=own_messages, flush=self._connection.flush
        )
        self._closed_by: Exception | None = None

    # --- the life of a client

    async def connect(self) -> None:
        """Connect, log in and begin to sync. Later the client reconnects if a connection is lost.

        Raises `LoginRefusedError`, or the error of the endpoint if there is no server.
        """
        self._check_open()
        await self._connection.open()

    async def close(self) -> None:
        """Store the keys, close the connection, and wait for its end.

        The program has finished all messages that `receive` gave it.
        """
        self._calls.receiver.inbox.finish()
        await self._close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After an error the last message is not finished. The program receives it again.
        if kind is None:
            self._calls.receiver.inbox.finish()
        await self._close()

    async def _close(self) -> None:
        self._store_keys()
        await self._connection.close(ClientClosedError("the client was closed"))

    @property
    def key(self) -> int:
        """The id of the last message that the client has of the user's queue."""
        return self.core.key()

    def group_key(self, group_id: int) -> int:
        """Return the id of the last message that the client has of a super group's queue."""
        return self.core.key(group_id)

    @property
    def waiting(self) -> int:
        """The number of messages that `receive` would return at once."""
        return self._calls.receiver.inbox.messages

    # --- requests, besides those of `Requests`

    def send(
        self, receiver: int, content: str | bytes, msgid: int = 0
    ) -> Coroutine[Any, Any, Acked]:
        """Send a message to a user."""
        return self.send_im(receiver, content, msgid)

    def enter_room(self, room: int) -> None:
        """Enter a room, now and after every login."""
        self._connection.room = room
        self.core.enter_room(room)
        self._connection.flush()

    def leave_room(self) -> None:
        """Leave the room, and be in none."""
        room, self._connection.room = self._connection.room, 0
        self.core.leave_room(room)
        self._connection.flush()

    def follow(self, group_id: int) -> None:
        """Fetch new messages of a super group, now and after every login.

        Groups with a stored key, and groups with a message or a notify, are followed already.
        """
        self.core.sync(group_id)
        self._connection.flush()

    def ping(self) -> None:
        """Send PING. The event `Ponged` follows."""
        self.core.ping()
        self._connection.flush()

    # --- messages and events

    async def receive(self) -> MessageReceived:
        """Return the next message. The program has finished the one before."""
        message = self._calls.receiver.take()
        if message is None:
            self._check_open()
            message = await self._calls.receiver.next()
        return message

    async def sync_to_end(self, group_id: int = 0) -> int:
        """Fetch messages until the server has no more. Return the key at the end."""
        while True:
            self._check_open()
            ending = self._calls.events.next(Synced)
            self.core.sync(group_id)
            self._connection.flush()
            synced = await ending
            if synced.group_id == group_id and synced.key == synced.before:
                return synced.key

    async def next_event(self, kind: type[E]) -> E:
        """Return the oldest event of this kind that nobody took. Waits if there is none."""
        if issubclass(kind, MessageReceived):
            return cast(E, await self.receive())
        self._check_open()
        return await self._calls.events.take(kind)

    async def receive_live(self) -> Message:
        """Return the next message that is not stored: RT, INPUTING, ROOM_IM, NOTIFICATION,
        VOIP_CONTROL. The client keeps only the newest 1000 events."""
        return (await self.next_event(LiveReceived)).message

    # --- called by the connection

    def events_happened(self, events: list[Event]) -> None:
        """Give the events to the calls that wait for them."""
        self._calls.give(events)

    def second_passed(self) -> None:
        """Store the keys that were reached."""
        self._store_keys()

    def disconnected(self) -> None:
        """Keep messages without an ack for the next login."""
        self._calls.unacked.disconnected()

    def closed(self, why: Exception) -> None:
        """End all calls that wait."""
        self._closed_by = self._closed_by or why
        self._calls.end(why)

    # --- inside

    def _send_unacked(self, message: Message) -> None:
        self.core.send(message)
        self._connection.flush()

    async def _send_acked(self, message: Message) -> Acked:
        self._check_open()
        length = len(message.encode(self.core.version))
        if length > CLIENT_BODY_LIMIT:
            raise BodyError(f"the body has {length} bytes; the limit is {CLIENT_BODY_LIMIT}")
        acked = self._calls.unacked.add(message)
        self._connection.flush()
        return await acked

    def _store_keys(self) -> None:
        inbox = self._calls.receiver.inbox
        keys = inbox.collect()
        if keys:
            try:
                self._key_store.save(keys)
            except Exception:
                self.log.failure("{uid} cannot store its sync keys", uid=self.uid)
                inbox.reached = {**keys, **inbox.reached}
            else:
                for group_id, key in keys.items():
                    self.core.report_key(key, group_id)

    def _check_open(self) -> None:
        if self._closed_by is not None:
            raise ClientClosedError("the client is closed") from self._closed_by
