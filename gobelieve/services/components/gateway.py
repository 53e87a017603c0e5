"""The gateway's rules, put together. What they talk to is given: see ``im`` and ``embedded``."""

from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from gobelieve.backends.tokens.jwt import JwtTokens
from gobelieve.config import ClientsConfig
from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.membership import Membership
from gobelieve.gateway.checks.recent_changes import LoginsInFlight
from gobelieve.gateway.checks.relations import Permission
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.gateway.rules.app_server_messages import AppServerMessages
from gobelieve.gateway.rules.customer import CustomerService
from gobelieve.gateway.rules.group_posts import GroupPosts
from gobelieve.gateway.rules.groups import GroupMessages
from gobelieve.gateway.rules.login import Login
from gobelieve.gateway.rules.peer import Peer
from gobelieve.gateway.rules.rooms import RoomMessages
from gobelieve.gateway.rules.sync import Sync
from gobelieve.gateway.rules.table import RuleTables, gather
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.gateway.sessions.session import NOBODY, Session
from gobelieve.gateway.sessions.timeouts import Timeouts
from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit
from gobelieve.interfaces import (
    Connection,
    DailyUsers,
    DeviceNumbers,
    Groups,
    MessageReader,
    MessageSaver,
    PendingMessages,
    Preferences,
    Relations,
    Routing,
    SuperGroupQueues,
    SyncKeys,
    Time,
    Tokens,
    UnreadCounts,
)
from gobelieve.metrics import GatewayCounters
from gobelieve.names import GroupReader, User
from gobelieve.protocols.clients.client_registry import ClientRegistry
from gobelieve.services.process.options import Coroutines


@dataclass(frozen=True)
class Backends:
    """Where the gateway keeps what it knows of users."""

    tokens: Tokens
    devices: DeviceNumbers
    sync_keys: SyncKeys[User]
    group_sync_keys: SyncKeys[GroupReader]
    unread: UnreadCounts
    daily: DailyUsers
    preferences: Preferences
    pending: PendingMessages
    groups: Groups | None
    """None where the site has no groups."""
    relations: Relations | None
    """None where everybody may write to everybody."""


class Queues(MessageSaver, MessageReader, SuperGroupQueues, Protocol):
    """Storage, with all that it can do for the gateway."""


def tokens(config: ClientsConfig, kept: Tokens, preferences: Preferences) -> Tokens:
    """How clients prove who they are: by tokens that are kept, or by signed ones."""
    if config.auth_method == "jwt":
        return JwtTokens([config.jwt_signing_key, *config.jwt_former_keys], preferences)
    return kept


class Gateway:
    """The rules, wired to each other. Its attributes are what listeners, links and pages need."""

    def __init__(
        self,
        config: ClientsConfig,
        time: Time,
        backends: Backends,
        storage: Queues,
        routing: Routing,
        counters: GatewayCounters,
    ) -> None:
        self.counters = counters
        self.tasks = Coroutines()
        self.saves_in_flight = SavesInFlight()
        self._config = config
        self._time = time
        self._backends = backends
        self._storage = storage
        self._routing = routing
        self._log = Logger("gobelieve.gateway")
        self._add_who_is_here()
        self._add_what_clients_report()
        self._add_rooms()
        self._add_messages()
        self._add_groups()
        self._add_posting()
        self.tables = self._rules()
        self.timeouts = Timeouts(
            counters,
            idle=max(1, round(config.idle_timeout)),
            login=max(1, round(config.auth_timeout)),
            write=max(1, round(config.write_timeout)),
        )
        self.registry = ClientRegistry(
            self._new_session, self._gone, self.timeouts, self.unauthenticated
        )

    def _add_who_is_here(self) -> None:
        config, counters = self._config, self.counters
        self.sessions = Sessions(self._routing)
        self.unauthenticated = UnauthenticatedLimit(
            counters, config.anonymous_limit, config.anonymous_limit_per_address
        )
        self.rooms = Rooms(self._routing)
        self.delivery = Delivery(
            self.sessions, self.rooms, self._routing, counters, config.direct_push
        )
        self._logins = LoginsInFlight()
        self.ended_sessions = EndedSessions(
            self.sessions,
            self._logins,
            self._time,
            counters,
            Logger("gobelieve.gateway.checks.ended_sessions"),
        )
        self.catch_up = CatchUp(self.sessions, self._storage, self._time, self.tasks, counters)

    def _add_what_clients_report(self) -> None:
        backends, interval = self._backends, self._config.sync_key_interval
        behind = (self._time, self.tasks, self.counters, interval)
        self.keys = KeptKeys(backends.sync_keys, *behind)
        self.group_keys = KeptKeys(backends.group_sync_keys, *behind)
        self.unread = WriteBehind(backends.unread.set, "unread_counts", *behind)
        self.daily = WriteBehind(backends.daily.add, "daily_users", *behind)

    def _add_rooms(self) -> None:
        self.room_messages = RoomMessages(
            self.rooms,
            self.sessions,
            self.delivery,
            self._routing,
            self.counters,
            self._config.rooms_at_once,
        )
        self.room_bans = RoomBans(
            self.sessions,
            self._backends.preferences,
            self._logins,
            time=self._time,
            tasks=self.tasks,
            counters=self.counters,
            log=Logger("gobelieve.gateway.checks.room_bans"),
        )

    def _add_messages(self) -> None:
        self.words = WordFilter(self._config.filter_all)
        self._peer_delivery = PeerDelivery(
            self._storage, self.delivery, self._routing, self.saves_in_flight, self.counters
        )
        self._peer = Peer(
            self._peer_delivery,
            self.delivery,
            self._permission(),
            self.words,
            self._time,
            self.tasks,
            self.counters,
        )

    def _permission(self) -> Permission | None:
        """None where nobody has to be asked."""
        friendship, blacklist = self._config.enable_friendship, self._config.enable_blacklist
        relations = self._backends.relations
        if relations is None or not (friendship or blacklist):
            return None
        return Permission(
            relations, friendship=friendship, blacklist=blacklist, counters=self.counters
        )

    def _add_groups(self) -> None:
        groups, storage, routing = self._backends.groups, self._storage, self._routing
        time, tasks, counters = self._time, self.tasks, self.counters
        self._membership = Membership(groups, counters)
        self.fan_out = FanOut(
            self._backends.pending,
            storage,
            storage,
            self.delivery,
            routing,
            time=time,
            tasks=Coroutines(),  # these go on when sessions have ended
            counters=counters,
            log=Logger("gobelieve.gateway.fan_out"),
        )
        self._members_here = GroupMembersHere(groups, self.sessions, time, tasks, counters)
        self.group_catch_up = GroupCatchUp(
            groups, storage, self._members_here, time, tasks, counters
        )
        self._group_messages = GroupMessages(
            self._membership,
            storage,
            self.fan_out,
            self._members_here,
            self.delivery,
            routing,
            self.saves_in_flight,
            self.words,
            time,
            tasks,
            counters,
        )
        self.delivery.group_audience = self._group_messages.published

    def _add_posting(self) -> None:
        groups = GroupPosts(
            self._backends.groups,
            self._storage,
            self.fan_out,
            self._group_messages,
            self._members_here,
            self._routing,
            self.sessions,
            self.saves_in_flight,
            self._time,
            self.counters,
        )
        self.app_server_messages = AppServerMessages(
            groups,
            self._peer_delivery,
            self._storage,
            self.delivery,
            self._routing,
            self.saves_in_flight,
            self._time,
            self.counters,
        )

    def _rules(self) -> RuleTables:
        config = self._config
        customer_service = CustomerService(
            self._peer_delivery,
            self.delivery,
            self._peer,
            self._time,
            self.counters,
            config.kefu_appid,
            config.kefu_unpersistent,
        )
        sync = Sync(
            self._storage,
            self._storage,
            self._membership,
            self.keys,
            self.group_keys,
            self.catch_up,
            self.group_catch_up,
            self.tasks,
            self.counters,
            config.sync_self,
        )
        return gather(
            self._login(),
            self._peer,
            customer_service,
            self._group_messages,
            self.room_messages,
            sync,
        )

    def _login(self) -> Login:
        return Login(
            self._backends.tokens,
            self._backends.devices,
            self.unread,
            self.daily,
            self.room_bans,
            self.ended_sessions,
            self._logins,
            self.sessions,
            self.unauthenticated,
            self._routing,
            self._time,
            self.tasks,
            self.counters,
            lambda: self.tables.after_login,
            self._log,
        )

    def _new_session(self, connection: Connection, tick: int) -> Session:
        return Session(connection, self.tables.before_login, self.counters, tick)

    def _gone(self, session: Session) -> None:
        self.room_messages.closed(session)
        self.sessions.remove(session)
        if session.user is not NOBODY:
            self._log.debug(
                "user {uid} of app {appid} is gone from {peer}",
                uid=session.user.uid,
                appid=session.user.appid,
                peer=session.connection.peer,
            )
