"""Publications at the gateway that a router forwards them to, in any process."""

from gobelieve.interfaces import Subscriber
from gobelieve.names import Room, User
from gobelieve.wire.publication import Publication
from gobelieve.wire.route import PUBLISH, PUBLISH_GROUP


def forward(subscriber: Subscriber, cmd: int, publication: Publication) -> None:
    """Hand the publication of another gateway to the subscriber's method for its command."""
    appid, receiver, msgid, prev_msgid, _, inner = publication
    if cmd == PUBLISH:
        subscriber.published_to_user(User(appid, receiver), inner, msgid, prev_msgid)
    elif cmd == PUBLISH_GROUP:
        subscriber.published_to_group(appid, receiver, inner, msgid, prev_msgid)
    else:
        subscriber.published_to_room(Room(appid, receiver), inner)
