"""What a user may ask of the server, in words instead of messages."""

from gobelieve.wire import Message, client


class Requests:
    """Requests that need nothing but a way to send; for a subclass that has one.

    Those that return a seq are acked by it.
    """

    uid: int

    def send(self, message: Message, flag: int = 0) -> int:
        """Send a message; its seq."""
        raise NotImplementedError

    def send_im(self, receiver: int, content: str | bytes, msgid: int = 0) -> int:
        """A message to a user; `msgid` is a number of our own, which comes back with it."""
        return self.send(
            client.IM(sender=self.uid, receiver=receiver, msgid=msgid, content=as_bytes(content))
        )

    def send_group(self, group_id: int, content: str | bytes, msgid: int = 0) -> int:
        """A message to a group of either kind."""
        return self.send(
            client.GroupIM(
                sender=self.uid, receiver=group_id, msgid=msgid, content=as_bytes(content)
            )
        )

    def send_room(self, room: int, content: str | bytes) -> int:
        """Say something in the room that was entered."""
        return self.send(client.RoomIM(sender=self.uid, receiver=room, content=as_bytes(content)))

    def enter_room(self, room: int) -> None:
        """Be in this room, and in no other."""
        self.send(client.EnterRoom(room=room))

    def leave_room(self, room: int) -> None:
        """Be in no room."""
        self.send(client.LeaveRoom(room=room))

    def send_rt(self, receiver: int, content: str | bytes) -> None:
        """To the receiver's connections, if there are any."""
        self.send(client.RT(sender=self.uid, receiver=receiver, content=as_bytes(content)))

    def send_inputing(self, receiver: int) -> None:
        """We are typing."""
        self.send(client.Inputing(sender=self.uid, receiver=receiver))

    def report_unread(self, count: int) -> None:
        """The number on the app's badge."""
        self.send(client.UnreadCount(count=count))

    def report_key(self, key: int, group_id: int = 0) -> None:
        """Everything up to this key is safe with us."""
        if key <= 0:
            return
        if group_id:
            self.send(client.GroupSyncKey(group_id=group_id, sync_key=key))
        else:
            self.send(client.SyncKey(sync_key=key))


def as_bytes(content: str | bytes) -> bytes:
    """What goes over the wire for a text."""
    return content.encode() if isinstance(content, str) else content
