"""The router's rules: one per command that a gateway sends.

A gateway is a `Link`, which takes a command and a body. A gateway on a socket and one in the same
process are therefore alike. The router reads the head of a publication and the header of the inner
frame. The rest is opaque to it, and forwarded unchanged.

A malformed body raises `BodyError`, which concerns only the link that sent it.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from gobelieve.errors import BodyError, FrameError
from gobelieve.interfaces import World
from gobelieve.routing.older import for_version_0
from gobelieve.routing.pushes.decisions import Decisions
from gobelieve.routing.pushes.groups import GroupPushes
from gobelieve.routing.table import Table
from gobelieve.support.throttled_log import ThrottledLog
from gobelieve.wire import route
from gobelieve.wire.frames import PUSH, UNPERSISTENT
from gobelieve.wire.message import LIVE, STORED
from gobelieve.wire.publication import Publication, peek
from gobelieve.wire.route import peek_id, peek_push, peek_user


class Link(Hashable, Protocol):
    """A gateway, as the router sees it; compared by identity."""

    version: int
    """The highest version of an outer frame that came from the gateway: 0 or 1."""

    def forward(self, cmd: int, body: bytes, version: int) -> None:
        """Send a frame; returns at once, whatever the gateway does."""


Rule = Callable[["Router", Link, bytes, int], None]

RULES: dict[int, Rule] = {}
"""The rules by command; a rule takes (router, link, body, version)."""


def rule(cmd: int) -> Callable[[Rule], Rule]:
    """Declare the rule of a command."""

    def declare(apply: Rule) -> Rule:
        if cmd in RULES:
            raise TypeError(f"there is a rule for {cmd} already")
        RULES[cmd] = apply
        return apply

    return declare


def _is_push_request(cmd: int, flag: int) -> bool:
    """Return True if a publication only requests pushes, and is not a message to forward.

    The seed published stored messages for the push decision alone; its clients fetched them by a
    SYNC. The flag PUSH marks a delivery. UNPERSISTENT marks a delivery too, but only for kinds that
    may go unstored: old clients set it in others by accident. A kind that shares its number with a
    live one never requests a push, since the gateways that have it send the command PUSH.
    """
    if flag & PUSH or cmd not in STORED or cmd in LIVE:
        return False
    facts = STORED[cmd].facts
    return facts.pushed_as is not None and not (facts.unpersistent and flag & UNPERSISTENT)


class Router:
    """The rules over one routing table. `groups`: None if the router has no database of groups."""

    def __init__(
        self, decisions: Decisions, *, world: World, groups: GroupPushes | None = None
    ) -> None:
        self.table: Table[Link] = decisions.table
        self.decisions = decisions
        self.grace = decisions.grace
        self.groups = groups
        self._counters = world.counters
        self._throttled = ThrottledLog(world.log)

    def opened(self, link: Link) -> None:
        """Add the link of a gateway."""
        self.table.open(link)
        self.grace.opened(link)

    def closed(self, link: Link) -> None:
        """Remove the link of a gateway, with all users and rooms that it held."""
        online = self.table.close(link)
        self.grace.closed(link, online)

    def start(self) -> None:
        """Start, when gateways can connect."""
        self.grace.begin()

    def settle(self) -> None:
        """Make the postponed decisions by what is known now."""
        self.grace.stop()

    def stop(self) -> None:
        """Decide on all pushes that wait, as far as possible; call this before the links end."""
        self.settle()
        if self.groups is not None:
            self.groups.stop()

    def received(self, link: Link, cmd: int, body: bytes, version: int) -> None:
        """Handle a frame of a gateway; `WireError` if it is malformed or not allowed."""
        if version:
            link.version = version = 1
        apply = RULES.get(cmd)
        if apply is not None:
            apply(self, link, body, version)
        elif body:
            raise FrameError(f"command {cmd} is not allowed here")
        else:
            # The Go server ignores an unknown command, such as a PING, and so does this router.
            self._counters.add("unknown_commands")

    # --- users and rooms

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
        self.grace.marked(link)

    # --- publications

    @rule(route.PUBLISH)
    def _publish(self, link: Link, body: bytes, version: int) -> None:
        appid, uid, _, inner, flag = peek(body, version)
        if _is_push_request(inner, flag):
            self.decisions.ask(appid, [uid], Publication.read(body, version).inner)
        else:
            holders = self.table.holders((appid, uid))
            self._forward(holders, link, route.PUBLISH, body, version)

    @rule(route.PUBLISH_GROUP)
    def _publish_group(self, link: Link, body: bytes, version: int) -> None:
        appid, group_id, _, inner, flag = peek(body, version)
        if _is_push_request(inner, flag):
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
            # Neither gateway made a mistake, so no link is closed.
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
                "gateways request pushes for group {group}, and this router knows no groups:"
                " set mysqldb_datasource; logged once",
                group=group_id,
            )
            self._counters.add("group_pushes_undecided")

    def _count(self, name: str, why: str) -> None:
        self._throttled.debug(name, "{name}: {why}", name=name, why=why)
        self._counters.add(name)
