"""Messages from a few members to many: in an ordinary group, a super group, or a room.

All members are connected, and some of them send. A message is done when it is acked and every other
member has it. Then its sender sends the next, so each sender has a fixed number of messages in
flight. At the end each acked message must have come to every member once, in the order of its
sender. All clients run in this process, which needs more CPU time than the daemons.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from gobelieve.bench.daemons import all_in_one, three_daemons
from gobelieve.bench.databases import Crowd, write_to_sqlite
from gobelieve.bench.member import Member
from gobelieve.bench.p2p import APP, DRAIN_SECONDS, FIRST_UID, LOGIN_SECONDS, connect, grant
from gobelieve.bench.processes import Running
from gobelieve.event_loop.reactor import Reactor
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.wire import client

ID = 4242
"""The id of the group or of the room."""
AT_ONCE = 50
"""Members that log in at the same time."""


class Speaker:
    """Keeps a fixed number of a member's messages in flight."""

    def __init__(self, member: Member, others: int, message: type[Any], size: int) -> None:
        self.member = member
        self._others = others
        self._message = message
        self._filler = b"x" * max(0, size - 10)
        self.going = False
        self.sent = self.acked = self.refused = self.done = self.delivered = 0
        self.delays: list[float] = []
        self._open: dict[int, list[float]] = {}
        """By the message's number: the arrivals that are missing, and the time of sending."""
        self._seqs: dict[int, int] = {}
        member.acked = self._answered

    def begin(self, window: int) -> None:
        """Keep `window` messages in flight from now on."""
        self.going = True
        for _ in range(window):
            self.say()

    def say(self) -> None:
        """Send the next message."""
        self.sent += 1
        content = b"%010d" % self.sent + self._filler
        # The msgid makes each message different. Messages of rooms have none.
        fields = {"sender": self.member.uid, "receiver": ID, "content": content}
        if self._message is client.GroupIM:
            fields["msgid"] = self.sent
        body = self._message(**fields).encode()
        self._open[self.sent] = [self._others + 1, time.perf_counter()]
        self._seqs[self.member.say(self._message.number, body)] = self.sent

    def came(self, number: int) -> None:
        """Note that a member has this message."""
        self.delivered += 1
        self._step(number)

    def _answered(self, seq: int, status: int) -> None:
        number = self._seqs.pop(seq)
        if status:
            self.refused += 1
        else:
            self.acked += 1
        self._step(number)

    def _step(self, number: int) -> None:
        left = self._open[number]
        left[0] -= 1
        if not left[0]:
            del self._open[number]
            self.done += 1
            self.delays.append(time.perf_counter() - left[1])
            if self.going:
                self.say()


class Measurement:
    """One of the three measurements, as ``python -m gobelieve.bench`` uses it."""

    def __init__(self, name: str, members: int, message: type[Any], super_group: bool) -> None:
        self._name = name
        self._members = members
        self._message = message
        self._super = super_group

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of this measurement."""
        number, policies = self._members, ["commit", "interval", "never"]
        parser.add_argument("--embedded", action="store_true", help="measure the all-in-one daemon")
        parser.add_argument(
            "--fsync", default="commit", choices=policies, help="the sync policy of storage"
        )
        parser.add_argument("--members", type=int, default=number, help="connected members")
        parser.add_argument("--senders", type=int, default=4, help="members that send")
        parser.add_argument("--window", type=int, default=4, help="messages in flight per sender")
        parser.add_argument("--size", type=int, default=100, help="bytes of content")
        parser.add_argument("--seconds", type=float, default=5.0, help="measured time")
        parser.add_argument("--warmup", type=float, default=1.0, help="seconds before it")

    def crowd(self, options: argparse.Namespace) -> Crowd | None:
        """Return the group for the database."""
        if self._message is client.RoomIM:
            return None
        uids = range(FIRST_UID, FIRST_UID + options.members)
        return Crowd(APP, ID, self._super, uids)

    @contextmanager
    def start(self, options: argparse.Namespace) -> Iterator[Running]:
        """Start the daemons that the options name."""
        settings = [f"fsync={options.fsync}"]
        crowd = self.crowd(options)
        if not options.embedded:
            with three_daemons(settings, crowd=crowd) as running:
                yield running
            return
        with all_in_one(settings) as running:
            if crowd is not None:
                write_to_sqlite(running.data, crowd)
            yield running

    async def run(self, reactor: Reactor, running: Running, options: argparse.Namespace) -> bool:
        """Measure and print. Return False if a message was lost, doubled, out of order or
        refused."""
        speakers: dict[int, Speaker] = {}
        members = await self._connect(reactor, running, options, speakers)
        for member in members[: options.senders]:
            speakers[member.uid] = Speaker(member, len(members) - 1, self._message, options.size)
        # The first message has no previous id, so members sync. After that pushes follow directly.
        next(iter(speakers.values())).say()
        await _drained(reactor, speakers)
        for speaker in speakers.values():
            speaker.begin(options.window)
        await deferLater(reactor, options.warmup)
        for speaker in speakers.values():
            speaker.delays.clear()
        before, cpu = _counts(speakers), running.cpu_seconds()
        began = time.perf_counter()
        await deferLater(reactor, options.seconds)
        took = time.perf_counter() - began
        spent = {name: now - cpu[name] for name, now in running.cpu_seconds().items()}
        counts = [now - then for now, then in zip(_counts(speakers), before, strict=True)]
        for speaker in speakers.values():
            speaker.going = False
        await _drained(reactor, speakers)
        return self._print(options, took, spent, counts, speakers, members)

    async def _connect(
        self,
        reactor: Reactor,
        running: Running,
        options: argparse.Namespace,
        speakers: dict[int, Speaker],
    ) -> list[Member]:
        tokens = [f"bench-token-{n}" for n in range(options.members)]
        await grant(reactor, running, tokens)
        turn = ReactorTurn(reactor)

        def came(sender: int, number: int) -> None:
            speakers[sender].came(number)

        queue = ID if self._super else 0
        members = [Member(turn, FIRST_UID + n, queue, came) for n in range(options.members)]

        async def enter(member: Member, token: str) -> None:
            await connect(reactor, running, member, token)
            if self._message is client.RoomIM:
                member.say(client.EnterRoom.number, client.EnterRoom(room=ID).encode())
            ponged: Deferred[None] = Deferred()
            member.ponged = lambda: ponged.callback(None)
            # PONG comes when the routers know the member.
            member.say(client.Ping.number, b"")
            await ponged.addTimeout(LOGIN_SECONDS, reactor)

        pairs = list(zip(members, tokens, strict=True))
        for start in range(0, len(pairs), AT_ONCE):
            some = [Deferred.fromCoroutine(enter(*pair)) for pair in pairs[start : start + AT_ONCE]]
            await gatherResults(some)
        return members

    def _print(
        self,
        options: argparse.Namespace,
        took: float,
        spent: dict[str, float],
        counts: Sequence[int],
        speakers: dict[int, Speaker],
        members: Sequence[Member],
    ) -> bool:
        messages, deliveries = counts
        lost = sum(s.acked * (len(members) - 1) - s.delivered for s in speakers.values())
        doubled = sum(m.doubled for m in members)
        disordered = sum(m.disordered for m in members)
        refused = sum(s.refused for s in speakers.values())
        delays = sorted(delay for s in speakers.values() for delay in s.delays)
        each = max(deliveries, 1)
        print(
            f"{self._name}, {len(members)} members, {options.senders} senders,"
            f" window {options.window}, {options.size} bytes"
        )
        print(f"  messages/s    {messages / took:10,.0f}   (acked, and with every member)")
        print(f"  deliveries/s  {deliveries / took:10,.0f}")
        for name, seconds in spent.items():
            print(f"  us CPU {name:10}{seconds / each * 1e6:7.2f}")
        print(f"  us CPU total     {sum(spent.values()) / each * 1e6:7.2f}   (a delivery)")
        for share in (50, 99):
            at = delays[min(len(delays) - 1, len(delays) * share // 100)] if delays else 0.0
            print(f"  ms to all p{share}     {at * 1e3:6.2f}")
        print(f"  by sync       {sum(m.synced for m in members):10,}")
        print(f"  lost {lost}, doubled {doubled}, out of order {disordered}, refused {refused}")
        return not (lost or doubled or disordered or refused)


def _counts(speakers: dict[int, Speaker]) -> tuple[int, int]:
    return (
        sum(one.done for one in speakers.values()),
        sum(one.delivered for one in speakers.values()),
    )


async def _drained(reactor: Reactor, speakers: dict[int, Speaker]) -> None:
    end = time.perf_counter() + DRAIN_SECONDS
    while time.perf_counter() < end and any(s.done < s.sent for s in speakers.values()):
        await deferLater(reactor, 0.05)
