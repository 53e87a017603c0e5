"""What a client does with each message: which are stored, which are live, which are acked."""

from gobelieve.wire import Message, client


def _numbered(*classes: type[Message]) -> dict[int, type[Message]]:
    return {cls.number: cls for cls in classes}


STORED = _numbered(
    client.IM,
    client.GroupIM,
    client.GroupNotification,
    client.System,
    client.Customer,
    client.CustomerSupport,
    client.CustomerV2,
)
"""What comes in a sync, or pushed."""

LIVE = _numbered(client.RT, client.Inputing, client.RoomIM, client.Notification, client.VoipControl)
"""What comes as it is said."""

ACKED = (
    client.IM,
    client.GroupIM,
    client.RoomIM,
    client.Customer,
    client.CustomerSupport,
    client.CustomerV2,
)
"""What the server answers by ACK."""
