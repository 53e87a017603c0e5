"""All that clients report about themselves, as one object."""

from dataclasses import dataclass

from gobelieve.gateway.reports.sync_keys import KeptKeys
from gobelieve.gateway.reports.write_behind import WriteBehind
from gobelieve.interfaces import Seen
from gobelieve.names import GroupReader, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Reports of clients, collected and written behind."""

    keys: KeptKeys[User]
    """How far users have read their own queues."""
    group_keys: KeptKeys[GroupReader]
    """How far users have read the queues of super groups."""
    unread: WriteBehind[User]
    """Counts of unread messages, for the push workers."""
    daily: WriteBehind[Seen]
    """Users who logged in on a day."""

    async def flush(self) -> None:
        """Write all that waits."""
        await self.keys.flush()
        await self.group_keys.flush()
        await self.unread.flush()
        await self.daily.flush()
