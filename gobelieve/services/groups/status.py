"""The status of the parts that are there only if the app has groups and relations."""

from gobelieve.services.groups.groups import GroupManagerService, GroupStatus
from gobelieve.services.groups.relations import RelationsService, RelationStatus
from gobelieve.services.status.pages import PartStatus


def optional_parts(
    groups: GroupManagerService | None, relations: RelationsService | None = None
) -> dict[str, PartStatus]:
    """Return the status of each part that is there, by its name in ``/summary``."""
    parts: dict[str, PartStatus] = {}
    if groups is not None:
        parts["groups"] = GroupStatus(groups)
    if relations is not None:
        parts["relations"] = RelationStatus(relations)
    return parts
