"""Login: a client proves with a token which user it belongs to."""

from datetime import date

from gobelieve.errors import BackendError
from gobelieve.gateway.checks.ended_sessions import EndedSessions
from gobelieve.gateway.checks.recent_changes import LoginsInFlight
from gobelieve.gateway.checks.room_bans import RoomBans
from gobelieve.gateway.reports.reports import Reports
from gobelieve.gateway.rules.table import receives
from gobelieve.gateway.sessions.registry import Sessions
from gobelieve.gateway.sessions.session import Rules, Session
from gobelieve.gateway.sessions.unauthenticated_limit import UnauthenticatedLimit
from gobelieve.interfaces import DeviceNumbers, Identity, Routing, Seen, Tokens, World
from gobelieve.names import MOBILE, Platform
from gobelieve.wire import client
from gobelieve.wire.frames import Frame

ACCEPTED, REFUSED = 0, 1
WRONG_TOKENS = 3
"""A client that sent so many unknown tokens is cut off."""


class Login:
    """AUTH_TOKEN: who is it, which device, and from now on one of the user's sessions.

    A token that is unknown is answered by status 1; the client may try again, three times in all.
    When the token's store does not answer, the connection is closed without a status: to a client
    that is a lost connection and it comes again, while status 1 would say that the token is bad.
    `rules` are those of sessions that are logged in.
    """

    def __init__(
        self,
        *,
        world: World,
        tokens: Tokens,
        devices: DeviceNumbers,
        routing: Routing,
        sessions: Sessions,
        unauthenticated: UnauthenticatedLimit,
        logins: LoginsInFlight,
        ended_sessions: EndedSessions,
        room_bans: RoomBans,
        reports: Reports,
        rules: Rules,
    ) -> None:
        self._tokens = tokens
        self._devices = devices
        self._routing = routing
        self._sessions = sessions
        self._unauthenticated = unauthenticated
        self._logins = logins
        self._ended_sessions = ended_sessions
        self._room_bans = room_bans
        self._unread = reports.unread
        self._daily = reports.daily
        self._rules = rules
        self._time = world.time
        self._tasks = world.tasks
        self._counters = world.counters
        self._log = world.log

    @receives(client.AuthToken, before_login=True, after_login=False)
    def auth_token(self, session: Session, frame: Frame) -> None:
        """Begin a login; what the client sends behind it waits."""
        asked = client.AuthToken.decode(frame.body, frame.version)
        session.hold()
        self._tasks.start(self._log_in(session, asked, frame.version))

    async def _log_in(self, session: Session, asked: client.AuthToken, version: int) -> None:
        login = self._logins.begin()
        try:
            await self._decide(login, session, asked, version)
        finally:
            self._logins.end(login)

    async def _decide(
        self, login: int, session: Session, asked: client.AuthToken, version: int
    ) -> None:
        try:
            identity = await self._identify(asked.token)
            device = await self._device(asked) if identity is not None else 0
        except BackendError:
            self._counters.add("logins_without_backend")
            peer = session.connection.peer
            self._log.info("{peer} cannot log in now: its token cannot be looked up", peer=peer)
            session.connection.close()
            return
        if session.closed:
            return
        if identity is not None and self._ended_sessions.ended_since(login, identity.user):
            # Whether the token is still good is found out when the client comes again.
            session.connection.close()
        elif identity is not None:
            changed = self._room_bans.changed_since(login, identity.user, identity.forbidden)
            identity = identity._replace(forbidden=changed)
            self._accept(session, identity, device, asked.platform, version)
            # What is published before the routers know of the user does not come. So the SYNC that
            # the client sent behind its login is to be answered after that.
            self._routing.when_known(session.user, session.release)
        elif self._refuse(session):
            session.release()

    async def _identify(self, token: bytes) -> Identity | None:
        try:
            return await self._tokens.find(token.decode())
        except UnicodeDecodeError:
            return None

    async def _device(self, asked: client.AuthToken) -> int:
        # Browsers make up a device id each time; they all are device 0.
        if asked.platform == Platform.WEB or not asked.device_id:
            return 0
        # It need not be text; the stores want some.
        device_id = asked.device_id.decode(errors="backslashreplace")
        return await self._devices.number(device_id, asked.platform)

    def _refuse(self, session: Session) -> bool:
        """True if the client may try again."""
        self._counters.add("logins_refused")
        self._log.info("{peer} has a token that is unknown", peer=session.connection.peer)
        session.wrong_tokens += 1
        session.send(client.AuthStatus.number, client.AuthStatus(status=REFUSED).encode())
        if session.wrong_tokens < WRONG_TOKENS:
            return True
        session.connection.close()
        return False

    def _accept(
        self, session: Session, identity: Identity, device: int, platform: int, version: int
    ) -> None:
        self._counters.add("logins")
        session.user = identity.user
        session.version = min(version, 2)
        session.device = device
        session.platform = platform
        session.forbidden = identity.forbidden
        session.online = platform in MOBILE or not identity.notification_on
        session.rules = self._rules
        session.send(client.AuthStatus.number, client.AuthStatus(status=ACCEPTED).encode())
        self._log.debug(
            "user {uid} of app {appid} logged in from {peer}, platform {platform}, device {device}",
            uid=session.user.uid,
            appid=session.user.appid,
            peer=session.connection.peer,
            platform=platform,
            device=device,
        )
        self._unauthenticated.left(session.connection)
        self._sessions.add(session)
        self._unread.put(session.user, 0)
        today = date.fromtimestamp(self._time.seconds()).toordinal()
        self._daily.put(Seen(*session.user, today), 1)
