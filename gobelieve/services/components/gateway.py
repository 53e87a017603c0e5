"""The gateway's rules, put together; ``im`` and ``embedded`` give them stores, storage and routers.

`build_gateway` builds each part after those that it needs. It returns a `Gateway` with three small
objects: one for the clients, one for commands from outside, one for the work that is not finished.
"""

from dataclasses import dataclass

from twisted.logger import Logger

from gobelieve.config import ClientsConfig
from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.relations import Permission
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.delivery.publications import Publications
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.reports.reports import Reports
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.gateway.rules.customer import CustomerService
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.gateway.rules.login import Login
from gobelieve.gateway.rules.peer import Peer
from gobelieve.gateway.rules.pings import Pings
from gobelieve.gateway.rules.rooms import RoomMessages
from gobelieve.gateway.rules.sync import Sync
from gobelieve.gateway.rules.table import gather
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import NOBODY, Rules, Session
from gobelieve.gateway.sessions.timeouts import Timeouts
from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit
from gobelieve.interfaces import (
    Connection,
    Routing,
    Time,
    Turn,
    World,
)
from gobelieve.metrics import GatewayCounters
from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.services.components.backends import Backends, Queues
from gobelieve.services.components.gateway_parts import (
    Given,
    Here,
    Messages,
    build_here,
    build_messages,
)
from gobelieve.services.process.options import Coroutines


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The clients that are connected: for the listeners, the routers and the status pages."""

    sessions: Sessions
    rooms: Rooms
    unauthenticated: UnauthenticatedLimit
    timeouts: Timeouts
    registry: ClientRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The ways in which others than clients act on the gateway.

    They are the app's server, the operator, storage and routers that are back, and other gateways.
    """

    app_server_messages: AppServerMessages
    room_bans: RoomBans
    ended_sessions: EndedSessions
    words: WordFilter
    publications: Publications
    catch_up: CatchUp
    group_catch_up: GroupCatchUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Work that is not finished: the shutdown waits for it, and the status pages count it."""

    tasks: Coroutines
    saves_in_flight: SavesInFlight
    fan_out: FanOut
    reports: Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The gateway, as the rest of its daemon sees it."""

    counters: GatewayCounters
    clients: Clients
    controls: Controls
    unfinished: Unfinished


def build_gateway(
    config: ClientsConfig,
    *,
    time: Time,
    turn: Turn,
    backends: Backends,
    storage: Queues,
    routing: Routing,
    counters: GatewayCounters,
) -> Gateway:
    """Build the rules and the parts that they use."""
    tasks, log = Coroutines(), Logger("gobelieve.gateway")
    given = Given(
        config=config,
        world=World(time=time, turn=turn, tasks=tasks, counters=counters, log=log),
        backends=backends,
        storage=storage,
        routing=routing,
    )
    here = build_here(given)
    messages = build_messages(given, here)
    return Gateway(
        counters=counters,
        clients=_clients(given, here, messages, counters),
        controls=_controls(given, here, messages),
        unfinished=Unfinished(
            tasks=tasks,
            saves_in_flight=messages.saves_in_flight,
            fan_out=messages.fan_out,
            reports=here.reports,
        ),
    )


def _controls(given: Given, here: Here, messages: Messages) -> Controls:
    group_posts = GroupPosts(
        world=given.world,
        groups=given.backends.groups,
        queues=given.storage,
        fan_out=messages.fan_out,
        group_messages=messages.group_messages,
        members_here=here.members_here,
        routing=given.routing,
        sessions=here.sessions,
        saves_in_flight=messages.saves_in_flight,
    )
    return Controls(
        app_server_messages=AppServerMessages(
            world=given.world,
            groups=group_posts,
            peer_delivery=messages.peer_delivery,
            saver=given.storage,
            delivery=messages.delivery,
            routing=given.routing,
            saves_in_flight=messages.saves_in_flight,
        ),
        room_bans=here.room_bans,
        ended_sessions=here.ended_sessions,
        words=messages.words,
        publications=Publications(
            sessions=here.sessions,
            rooms=here.rooms,
            members_here=here.members_here,
            counters=given.world.counters,
            direct_push=given.config.direct_push,
        ),
        catch_up=here.catch_up,
        group_catch_up=here.group_catch_up,
    )


def _clients(given: Given, here: Here, messages: Messages, counters: GatewayCounters) -> Clients:
    config = given.config
    room_messages = RoomMessages(
        rooms=here.rooms,
        sessions=here.sessions,
        delivery=messages.delivery,
        routing=given.routing,
        counters=counters,
        at_once=config.rooms_at_once,
    )
    unauthenticated = UnauthenticatedLimit(
        counters, config.anonymous_limit, config.anonymous_limit_per_address
    )
    pings = Pings(here.reports.unread)
    after_login = _after_login(given, here, messages, room_messages, pings)
    login = _login(given, here, unauthenticated, after_login)
    timeouts = Timeouts(
        counters,
        idle=max(1, round(config.idle_timeout)),
        login=max(1, round(config.auth_timeout)),
        write=max(1, round(config.write_timeout)),
    )
    lifecycle = _SessionLifecycle(
        gather(login, pings).before_login, here.sessions, room_messages, counters
    )
    return Clients(
        sessions=here.sessions,
        rooms=here.rooms,
        unauthenticated=unauthenticated,
        timeouts=timeouts,
        registry=ClientRegistry(lifecycle.begin, lifecycle.end, timeouts, unauthenticated),
    )


def _after_login(
    given: Given, here: Here, messages: Messages, room_messages: RoomMessages, pings: Pings
) -> Rules:
    config, world = given.config, given.world
    peer = Peer(
        world=world,
        peer_delivery=messages.peer_delivery,
        delivery=messages.delivery,
        permission=_permission(given),
        words=messages.words,
    )
    customer_service = CustomerService(
        world=world,
        peer_delivery=messages.peer_delivery,
        delivery=messages.delivery,
        peer=peer,
        kefu_appid=config.kefu_appid,
        unpersistent=config.kefu_unpersistent,
    )
    sync = Sync(
        world=world,
        reader=given.storage,
        queues=given.storage,
        membership=messages.membership,
        reports=here.reports,
        catch_up=here.catch_up,
        group_catch_up=here.group_catch_up,
        sync_self=config.sync_self,
    )
    holders = (pings, peer, customer_service, messages.group_messages, room_messages, sync)
    return gather(*holders).after_login


def _permission(given: Given) -> Permission | None:
    """Return the check of relations; None if the site has none."""
    friendship, blacklist = given.config.enable_friendship, given.config.enable_blacklist
    relations, counters = given.backends.relations, given.world.counters
    if relations is None or not (friendship or blacklist):
        return None
    return Permission(relations, friendship=friendship, blacklist=blacklist, counters=counters)


def _login(given: Given, here: Here, unauthenticated: UnauthenticatedLimit, rules: Rules) -> Login:
    return Login(
        world=given.world,
        tokens=given.backends.tokens,
        devices=given.backends.devices,
        routing=given.routing,
        sessions=here.sessions,
        unauthenticated=unauthenticated,
        logins=here.logins,
        ended_sessions=here.ended_sessions,
        room_bans=here.room_bans,
        reports=here.reports,
        rules=rules,
    )


class _SessionLifecycle:
    """Begins and ends the sessions of connections."""

    def __init__(
        self,
        rules: Rules,
        sessions: Sessions,
        room_messages: RoomMessages,
        counters: GatewayCounters,
    ) -> None:
        self._rules = rules
        self._sessions = sessions
        self._room_messages = room_messages
        self._counters = counters
        self._log = Logger("gobelieve.gateway")

    def begin(self, connection: Connection, tick: int) -> Session:
        """Return the session of a connection that is not logged in yet."""
        return Session(connection, self._rules, self._counters, tick)

    def end(self, session: Session) -> None:
        """Remove a session whose connection has ended."""
        self._room_messages.closed(session)
        self._sessions.remove(session)
        if session.user is not NOBODY:
            self._log.debug(
                "user {uid} of app {appid} is gone from {peer}",
                uid=session.user.uid,
                appid=session.user.appid,
                peer=session.connection.peer,
            )
