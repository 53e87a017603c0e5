"""Builds a router of its parts."""

from gobelieve.interfaces import Groups, World
from gobelieve.routing.pushes.decisions import Decisions, Pushes
from gobelieve.routing.pushes.grace import Grace
from gobelieve.routing.pushes.groups import GroupPushes
from gobelieve.routing.router import Router
from gobelieve.routing.table import Table


def build_router(
    pushes: Pushes | None,
    *,
    world: World,
    limit: int,
    groups: Groups | None = None,
    push_system: bool = True,
    grace_after_start: float = 0.0,
    grace_after_loss: float = 0.0,
) -> Router:
    """Build a router that pushes to `pushes`; None: it pushes nothing.

    `limit`: the most pushes that may wait for the grace period, and the most messages that may
    wait for their groups. The arguments for the grace periods are seconds; see `Grace`.
    """
    grace = Grace(world, after_start=grace_after_start, after_loss=grace_after_loss, limit=limit)
    decisions = Decisions(
        pushes, table=Table(), grace=grace, push_system=push_system, counters=world.counters
    )
    group_pushes = None
    if groups is not None:
        group_pushes = GroupPushes(groups, decisions, world=world, limit=limit)
    return Router(decisions, world=world, groups=group_pushes)
