"""The parts of the gateway that its rules share."""

from dataclasses import dataclass

from twisted.logger import Logger

from gobelieve.config import ClientsConfig
from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.membership import Membership
from gobelieve.gateway.checks.recent_changes import LoginsInFlight
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.checks.word_filter import WordFilter
from gobelieve.gateway.delivery.catch_up import CatchUp, GroupCatchUp
from gobelieve.gateway.delivery.delivery import Delivery
from gobelieve.gateway.delivery.group_members_here import GroupMembersHere
from gobelieve.gateway.delivery.peer_delivery import PeerDelivery
from gobelieve.gateway.fan_out.fan_out import FanOut
from gobelieve.gateway.reports.reports import Reports
from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.gateway.rules.groups import GroupMessages
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.rooms import Rooms
from gobelieve.gateway.sessions.saves_in_flight import SavesInFlight
from gobelieve.interfaces import (
    Routing,
    World,
)
from gobelieve.services.components.backends import Backends, Queues
from gobelieve.services.process.options import Coroutines


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The configuration, and what lies outside of the rules."""

    config: ClientsConfig
    world: World
    backends: Backends
    storage: Queues
    routing: Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The parts that deal with the users who are connected here."""

    sessions: Sessions
    rooms: Rooms
    members_here: GroupMembersHere
    logins: LoginsInFlight
    ended_sessions: EndedSessions
    room_bans: RoomBans
    catch_up: CatchUp
    group_catch_up: GroupCatchUp
    reports: Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The parts that store and deliver messages."""

    delivery: Delivery
    saves_in_flight: SavesInFlight
    peer_delivery: PeerDelivery
    words: WordFilter
    membership: Membership
    fan_out: FanOut
    group_messages: GroupMessages


def build_here(given: Given) -> Here:
    """Build the parts that deal with the users who are connected here."""
    world, backends, storage = given.world, given.backends, given.storage
    sessions, logins = Sessions(given.routing), LoginsInFlight()
    members_here = GroupMembersHere(backends.groups, sessions, world)
    return Here(
        sessions=sessions,
        rooms=Rooms(given.routing),
        members_here=members_here,
        logins=logins,
        ended_sessions=EndedSessions(
            sessions, logins, world.logging_to(Logger("gobelieve.gateway.checks.ended_sessions"))
        ),
        room_bans=RoomBans(
            world=world.logging_to(Logger("gobelieve.gateway.checks.room_bans")),
            sessions=sessions,
            preferences=backends.preferences,
            logins=logins,
        ),
        catch_up=CatchUp(sessions, storage, world),
        group_catch_up=GroupCatchUp(
            world=world, groups=backends.groups, queues=storage, members_here=members_here
        ),
        reports=_reports(given),
    )


def _reports(given: Given) -> Reports:
    world, backends, interval = given.world, given.backends, given.config.sync_key_interval
    return Reports(
        keys=KeptKeys(backends.sync_keys, world, interval),
        group_keys=KeptKeys(backends.group_sync_keys, world, interval),
        unread=WriteBehind(
            backends.unread.set, world=world, what="unread_counts", interval=interval
        ),
        daily=WriteBehind(backends.daily.add, world=world, what="daily_users", interval=interval),
    )


def build_messages(given: Given, here: Here) -> Messages:
    """Build the parts that store and deliver messages."""
    config, world, storage, routing = given.config, given.world, given.storage, given.routing
    delivery = Delivery(
        sessions=here.sessions, rooms=here.rooms, routing=routing, direct_push=config.direct_push
    )
    saves_in_flight, words = SavesInFlight(), WordFilter(config.filter_all)
    membership = Membership(given.backends.groups, world.counters)
    fan_out = _fan_out(given, delivery)
    return Messages(
        delivery=delivery,
        saves_in_flight=saves_in_flight,
        peer_delivery=PeerDelivery(
            saver=storage,
            delivery=delivery,
            routing=routing,
            saves_in_flight=saves_in_flight,
            counters=world.counters,
        ),
        words=words,
        membership=membership,
        fan_out=fan_out,
        group_messages=GroupMessages(
            world=world,
            membership=membership,
            queues=storage,
            fan_out=fan_out,
            members_here=here.members_here,
            delivery=delivery,
            routing=routing,
            saves_in_flight=saves_in_flight,
            words=words,
        ),
    )


def _fan_out(given: Given, delivery: Delivery) -> FanOut:
    # Its tasks go on when the sessions have ended.
    outliving = given.world.running(Coroutines())
    return FanOut(
        world=outliving.logging_to(Logger("gobelieve.gateway.fan_out")),
        pending=given.backends.pending,
        saver=given.storage,
        reader=given.storage,
        delivery=delivery,
        routing=given.routing,
    )
