"""The router's rules: what is done with each thing that a gateway says.

It knows links only as something that takes a command and a body (`Link`), so that a gateway on a
socket and one in the same process are alike. It looks at the head of a publication and at the
header of the inner frame; the rest is opaque and passed on as it came. A body that makes no sense
is a `BodyError`, which concerns the link that sent it and no other.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from gobelieve.errors import BodyError, FrameError
from gobelieve.interfaces import Log
from gobelieve.metrics import Counters
from gobelieve.routing.older import for_version_0
from gobelieve.routing.pushes.decisions import Decisions, Pushes
from gobelieve.routing.pushes.grace import Grace
from gobelieve.routing.pushes.groups import GroupPushes
from gobelieve.routing.table import Table
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.wire import route
from gobelieve.wire.frames import PUSH, UNPERSISTENT
from gobelieve.wire.message import LIVE, STORED
from gobelieve.wire.publication import Publication, peek
from gobelieve.wire.route import peek_id, peek_push, peek_user


class Link(Hashable, Protocol):
    """A gateway, as the router sees it. Compared by identity."""

    version: int
    """The highest version of an outer frame that came from it: 0 or 1."""

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """Send a frame. Returns at once, whatever the gateway does."""


Rule = Callable[["Router", Link, bytes, int], None]

RULES: dict[int, Rule] = {}
"""By command: what the router does with (link, body, version)."""


def rule(cmd: int) -> Callable[[Rule], Rule]:
    """Declare the rule for a command."""

    def declare(apply: Rule) -> Rule:
        if cmd in RULES:
            raise TypeError(f"there is a rule for {cmd} already")
        RULES[cmd] = apply
        return apply

    return declare


def _is_question(cmd: int, flag: int) -> bool:
    """Return whether a publication asks for pushes, and is not a message to forward.

    The seed published stored messages for the push decision alone: its devices got them by a SYNC.
    With the flag PUSH it is a delivery. UNPERSISTENT marks a delivery too, but only of the kinds
    that may go unstored: old clients set it in others by accident. A kind that shares its number
    with a live one is never a question: the gateways that have it ask by the command PUSH.
    """
    if flag & PUSH or cmd not in STORED or cmd in LIVE:
        return False
    facts = STORED[cmd].facts
    return facts.pushed_as is not None and not (facts.unpersistent and flag & UNPERSISTENT)


class Router:
    """The rules over one table.

    Without `pushes` nobody gets a push. Without `grace` who is not there is offline. Without
    `groups`, which may be set later, nobody knows whom the push of a super group concerns.
    """

    def __init__(
        self,
        pushes: Pushes | None,
        *,
        counters: Counters,
        log: Log,
        push_system: bool = True,
        grace: Grace | None = None,
    ) -> None:
        self.table: Table[Link] = Table()
        self.decisions = Decisions(
            pushes, self.table, grace, push_system=push_system, counters=counters, log=log
        )
        self.groups: GroupPushes | None = None
        self.grace = grace
        self._counters = counters
        self._throttled = ThrottledLog(log)

    def opened(self, link: Link) -> None:
        """A gateway came."""
        self.table.open(link)
        if self.grace is not None:
            self.grace.opened(link)

    def closed(self, link: Link) -> None:
        """A gateway is gone, and whom it held with it."""
        online = self.table.close(link)
        if self.grace is not None:
            self.grace.closed(link, online)

    def start(self) -> None:
        """From now on gateways may come."""
        if self.grace is not None:
            self.grace.begin()

    def settle(self) -> None:
        """Decide what is kept, by what is known now."""
        if self.grace is not None:
            self.grace.stop()

    def stop(self) -> None:
        """Decide all that waits and can be decided: links end after this."""
        self.settle()
        if self.groups is not None:
            self.groups.stop()

    def received(self, link: Link, cmd: int, body: bytes, version: int) -> None:
        """A gateway said something; `WireError` if it makes no sense."""
        if version:
            link.version = version = 1
        apply = RULES.get(cmd)
        if apply is not None:
            apply(self, link, body, version)
        elif body:
            raise FrameError(f"command {cmd} is not allowed here")
        else:
            # As upstream's router: a PING, or whatever it is, is harmless and not answered.
            self._counters.add("unknown_commands")

    # --- who is where

    @rule(route.SUBSCRIBE)
    def _subscribe(self, link: Link, body: bytes, version: int) -> None:
        appid, uid, online = peek_user(body)
        self.table.subscribe(link, (appid, uid), online != 0)

    @rule(route.UNSUBSCRIBE)
    def _unsubscribe(self, link: Link, body: bytes, version: int) -> None:
        self.table.unsubscribe(link, peek_id(body))

    @rule(route.SUBSCRIBE_ROOM)
    def _subscribe_room(self, link: Link, body: bytes, version: int) -> None:
        self.table.subscribe_room(link, peek_id(body))

    @rule(route.UNSUBSCRIBE_ROOM)
    def _unsubscribe_room(self, link: Link, body: bytes, version: int) -> None:
        self.table.unsubscribe_room(link, peek_id(body))

    @rule(route.MARK)
    def _mark(self, link: Link, body: bytes, version: int) -> None:
        abilities = 0 if self.groups is None else route.DECIDES_GROUP_PUSHES
        link.forward(route.MARKED, bytes((abilities,)), route.OUTER_VERSION)
        if self.grace is not None:
            self.grace.marked(link)

    # --- publications

    @rule(route.PUBLISH)
    def _publish(self, link: Link, body: bytes, version: int) -> None:
        appid, uid, _, inner, flag = peek(body, version)
        if _is_question(inner, flag):
            self.decisions.ask(appid, [uid], Publication.read(body, version).inner)
        else:
            holders = self.table.holders((appid, uid))
            self._forward(holders, link, route.PUBLISH, body, version)

    @rule(route.PUBLISH_GROUP)
    def _publish_group(self, link: Link, body: bytes, version: int) -> None:
        appid, group_id, _, inner, flag = peek(body, version)
        if _is_question(inner, flag):
            self._ask_group(appid, group_id, Publication.read(body, version).inner)
        else:
            self._forward(self.table.links, link, route.PUBLISH_GROUP, body, version)

    @rule(route.PUBLISH_ROOM)
    def _publish_room(self, link: Link, body: bytes, version: int) -> None:
        appid, room, *_ = peek(body, version)
        holders = self.table.holders_of_room((appid, room))
        self._forward(holders, link, route.PUBLISH_ROOM, body, version)

    def _forward(
        self, links: Sequence[Link], source: Link, cmd: int, body: bytes, version: int
    ) -> None:
        older: list[bytes] | None = None
        for link in links:
            if link is source:
                continue
            if link.version:
                link.forward(cmd, body, version)
                continue
            if older is None:
                older = self._older(cmd, body, version)
            for converted in older:
                link.forward(cmd, converted, 0)

    def _older(self, cmd: int, body: bytes, version: int) -> list[bytes]:
        try:
            return for_version_0(cmd, body, version)
        except BodyError as why:
            # Neither end did wrong, so nobody is cut off.
            self._count("publications_too_long", str(why))
            return []

    # --- pushes

    @rule(route.PUSH)
    def _push(self, link: Link, body: bytes, version: int) -> None:
        appid, receivers, start, end = peek_push(body, version)
        self.decisions.ask(appid, receivers, body[start:end])

    def _ask_group(self, appid: int, group_id: int, inner: bytes) -> None:
        if self.groups is not None:
            self.groups.ask(appid, group_id, inner)
        elif self.decisions.pushes is not None:
            self._throttled.warn(
                "undecided",
                "gateways ask who of group {group} gets a push, and this router knows no groups:"
                " set mysqldb_datasource; logged once",
                group=group_id,
            )
            self._counters.add("group_pushes_undecided")

    def _count(self, name: str, why: str) -> None:
        # Only the first time, so that a busy log is not flooded.
        self._throttled.debug(name, "{name}: {why}", name=name, why=why)
        self._counters.add(name)
