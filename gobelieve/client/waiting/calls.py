"""All calls of the program that wait: for acks, for messages, and for events."""

from collections.abc import Callable

from gobelieve.client.dialogue.core import ClientCore
from gobelieve.client.events import Acked, Event, KeyMoved, LoggedIn, MessageReceived
from gobelieve.client.waiting.event_queue import EventQueue
from gobelieve.client.waiting.receiver import Receiver
from gobelieve.client.waiting.unacked import UnackedMessages


class WaitingCalls:
    """Gives each event to the calls that wait for it. The arguments are those of `Receiver`."""

    def __init__(
        self, core: ClientCore, *, limit: int, own_messages: bool, flush: Callable[[], None]
    ) -> None:
        self.unacked = UnackedMessages(core.send)
        self.receiver = Receiver(core, limit=limit, own_messages=own_messages, flush=flush)
        self.events = EventQueue()

    def give(self, events: list[Event]) -> None:
        """Update the state first, then end the calls that wait."""
        for event in events:
            match event:
                case LoggedIn():
                    self.unacked.logged_in()
                case Acked():
                    self.unacked.ack(event)
                case MessageReceived() | KeyMoved():
                    self.receiver.put(event)
        # A call that ends may call the client again, so the state is complete before.
        self.unacked.answer_callers()
        self.receiver.answer_callers()
        for event in events:
            if not isinstance(event, MessageReceived):
                self.events.put(event)

    def end(self, why: Exception) -> None:
        """End all calls with an error."""
        parts = (self.unacked, self.receiver, self.events)
        for caller in [caller for part in parts for caller in part.take_callers()]:
            caller.errback(why)
