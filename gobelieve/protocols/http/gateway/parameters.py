"""Parameters that operations of several modules have."""

from gobelieve.names import User
from gobelieve.protocols.http.declarations.parameters import Parameter, Parameters
from gobelieve.protocols.http.declarations.shapes import Integer

ID = Integer()
APPID = Parameter("appid", ID, "The app.")
UID = Parameter("uid", ID, "The user.")
SENDER = Parameter(
    "sender", ID, "The uid of the author. It is not checked whether the user exists."
)
RECEIVER = Parameter("receiver", ID, "The uid of the receiver.")


class OfUser(Parameters):
    """A user of an app."""

    appid = APPID
    uid = UID

    @property
    def user(self) -> User:
        """Return the user that the parameters name."""
        return User(self.appid, self.uid)


class ToUser(Parameters):
    """A sender and a receiver, both users of one app."""

    appid = APPID
    sender = SENDER
    receiver = RECEIVER
