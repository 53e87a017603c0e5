"""The gateway's rules, put together. What they talk to is given: see ``im`` and ``embedded``."""

from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from gobelieve.backends.jwt import JwtTokens
from gobelieve.config import ClientsConfig
from gobelieve.gateway.audience import Audience
from gobelieve.gateway.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.customer import CustomerService
from gobelieve.gateway.delivery import Delivery
from gobelieve.gateway.endings import Endings
from gobelieve.gateway.exchange import Exchange
from gobelieve.gateway.fan_out import FanOut
from gobelieve.gateway.groups import GroupMessages
from gobelieve.gateway.lobby import Lobby
from gobelieve.gateway.login import Login
from gobelieve.gateway.membership import Membership
from gobelieve.gateway.peer import Peer
from gobelieve.gateway.permission import Permission
from gobelieve.gateway.posting import Posting
from gobelieve.gateway.room_messages import RoomMessages
from gobelieve.gateway.rooms import Rooms
from gobelieve.gateway.rules import RuleTables, gather
from gobelieve.gateway.session import NOBODY, Rules, Session
from gobelieve.gateway.sessions import Sessions
from gobelieve.gateway.speakers import Speakers
from gobelieve.gateway.sync import Sync
from gobelieve.gateway.sync_keys import KeptKeys
from gobelieve.gateway.underway import Underway
from gobelieve.gateway.watch import Watch
from gobelieve.gateway.word_filter import WordFilter
from gobelieve.gateway.write_behind import WriteBehind
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
    Seen,
    SuperGroupQueues,
    SyncKeys,
    Time,
    Tokens,
    UnreadCounts,
)
from gobelieve.metrics import Tally
from gobelieve.names import GroupReader, User
from gobelieve.protocols.client_listener import Reception
from gobelieve.services.common import Coroutines


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


@dataclass(frozen=True)
class Gateway:
    """The parts that listeners and links need."""

    reception: Reception
    sessions: Sessions
    lobby: Lobby
    rooms: Rooms
    room_messages: RoomMessages
    speakers: Speakers
    endings: Endings
    words: WordFilter
    delivery: Delivery
    fan_out: FanOut
    catch_up: CatchUp
    group_catch_up: GroupCatchUp
    keys: KeptKeys[User]
    group_keys: KeptKeys[GroupReader]
    unread: WriteBehind[User]
    daily: WriteBehind[Seen]
    underway: Underway
    watch: Watch
    tables: RuleTables
    posting: Posting
    tasks: Coroutines
    tally: Tally


def compose(
    config: ClientsConfig,
    time: Time,
    backends: Backends,
    storage: Queues,
    routing: Routing,
    tally: Tally,
) -> Gateway:
    """Wire the rules to each other."""
    tasks = Coroutines()
    log = Logger("gobelieve.gateway")
    sessions = Sessions(routing)
    lobby = Lobby(tally, config.anonymous_limit, config.anonymous_limit_per_address)
    rooms = Rooms(routing)
    delivery = Delivery(sessions, rooms, routing, tally, config.direct_push)
    catch_up = CatchUp(sessions, storage, time, tasks, tally)
    interval = config.sync_key_interval
    keys = KeptKeys(backends.sync_keys, time, tasks, tally, interval)
    group_keys = KeptKeys(backends.group_sync_keys, time, tasks, tally, interval)
    unread = WriteBehind(backends.unread.set, "unread_counts", time, tasks, tally, interval)
    daily = WriteBehind(backends.daily.add, "daily_users", time, tasks, tally, interval)
    underway = Underway()
    words = WordFilter(config.filter_all)
    room_messages = RoomMessages(rooms, sessions, delivery, routing, tally, config.rooms_at_once)
    speakers = Speakers(
        sessions,
        room_messages,
        backends.preferences,
        time=time,
        tasks=tasks,
        tally=tally,
        log=Logger("gobelieve.gateway.speakers"),
    )
    membership = Membership(backends.groups, tasks, tally)
    fan_out = FanOut(
        backends.pending,
        storage,
        storage,
        delivery,
        routing,
        time=time,
        tasks=Coroutines(),  # these go on when sessions have ended
        tally=tally,
        log=Logger("gobelieve.gateway.fan_out"),
    )
    audience = Audience(backends.groups, sessions, time, tasks, tally)
    group_catch_up = GroupCatchUp(backends.groups, storage, audience, time, tasks, tally)
    group_messages = GroupMessages(
        membership, storage, fan_out, audience, delivery, routing, underway, words, time, tally
    )
    delivery.group_audience = group_messages.published
    exchange = Exchange(storage, delivery, routing, underway, tally)
    permission = _permission(config, backends.relations, tasks, tally)
    peer = Peer(exchange, delivery, permission, words, time, tally)
    posting = Posting(
        exchange,
        group_messages,
        fan_out,
        audience,
        storage,
        storage,
        delivery,
        routing,
        sessions,
        backends.groups,
        underway,
        time,
        tally,
    )
    kefu = (config.kefu_appid, config.kefu_unpersistent)

    def after_login() -> Rules:
        return tables.after_login

    tables = gather(
        Login(
            backends.tokens,
            backends.devices,
            unread,
            daily,
            speakers,
            sessions,
            lobby,
            routing,
            time,
            tasks,
            tally,
            after_login,
            log,
        ),
        peer,
        CustomerService(exchange, delivery, peer, time, tally, *kefu),
        group_messages,
        room_messages,
        Sync(
            storage,
            storage,
            membership,
            keys,
            group_keys,
            catch_up,
            group_catch_up,
            tasks,
            tally,
            config.sync_self,
        ),
    )
    watch = Watch(
        tally,
        idle=max(1, round(config.idle_timeout)),
        login=max(1, round(config.auth_timeout)),
        write=max(1, round(config.write_timeout)),
    )

    def new_session(connection: Connection, tick: int) -> Session:
        return Session(connection, tables.before_login, tally, tick)

    def gone(session: Session) -> None:
        room_messages.closed(session)
        sessions.remove(session)
        if session.user is not NOBODY:
            log.debug(
                "user {uid} of app {appid} is gone from {peer}",
                uid=session.user.uid,
                appid=session.user.appid,
                peer=session.connection.peer,
            )

    reception = Reception(new_session, gone, watch, lobby)
    return Gateway(
        reception,
        sessions,
        lobby,
        rooms,
        room_messages,
        speakers,
        Endings(sessions, tally, Logger("gobelieve.gateway.endings")),
        words,
        delivery,
        fan_out,
        catch_up,
        group_catch_up,
        keys,
        group_keys,
        unread,
        daily,
        underway,
        watch,
        tables,
        posting,
        tasks,
        tally,
    )


def _permission(
    config: ClientsConfig, relations: Relations | None, tasks: Coroutines, tally: Tally
) -> Permission | None:
    """None where nobody has to be asked."""
    friendship, blacklist = config.enable_friendship, config.enable_blacklist
    if relations is None or not (friendship or blacklist):
        return None
    return Permission(relations, friendship, blacklist, tasks, tally)
