"""What a router passes on, at the gateway it reaches, wherever that is."""

from gobelieve.interfaces import Subscriber
from gobelieve.names import Room, User
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP


def forward(subscriber: Subscriber, cmd: int, told: Publication) -> None:
    """Tell a gateway what another one publishes."""
    if cmd == PUBLISH:
        user = User(told.appid, told.receiver)
        subscriber.published_to_user(user, told.inner, told.msgid, told.prev_msgid)
    elif cmd == PUBLISH_GROUP:
        ids = told.msgid, told.prev_msgid
        subscriber.published_to_group(told.appid, told.receiver, told.inner, *ids)
    else:
        subscriber.published_to_room(Room(told.appid, told.receiver), told.inner)
