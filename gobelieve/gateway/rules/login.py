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
"""The number of unknown tokens after which the connection is closed."""


class Login:
    """The rule for AUTH_TOKEN: finds the user and the device, and adds the session to the user's.

    The gateway answers an unknown token with status 1. The client may send `WRONG_TOKENS` in all.
    If the store of tokens does not answer, the connection is closed without a status: the client
    then connects again, while status 1 would mean that its token is bad. `rules` are those of a
    session that is logged in.
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
        """Begin a login; the frames behind it wait until it has ended."""
        request = client.AuthToken.decode(frame.body, frame.version)
        session.hold()
        self._tasks.start(self._log_in(session, request, frame.version))

    async def _log_in(self, session: Session, request: client.AuthToken, version: int) -> None:
        login = self._logins.begin()
        try:
            await self._decide(login, session, request, version)
        finally:
            self._logins.end(login)

    async def _decide(
        self, login: int, session: Session, request: client.AuthToken, version: int
    ) -> None:
        try:
            identity = await self._identify(request.token)
            device = await self._device(request) if identity is not None else 0
        except BackendError:
            self._counters.add("logins_without_backend")
            peer = session.connection.peer
            self._log.info("{peer} cannot log in now: its token cannot be looked up", peer=peer)
            session.connection.close()
            return
        if session.closed:
            return
        if identity is not None and self._ended_sessions.ended_since(login, identity.user):
            # The client connects again, and then its token is looked up anew.
            session.connection.close()
        elif identity is not None:
            changed = self._room_bans.changed_since(login, identity.user, identity.forbidden)
            identity = identity._replace(forbidden=changed)
            self._accept(session, identity, device, request.platform, version)
            # Publications do not arrive before the routers know the user. The SYNC that the client
            # sent behind its login must be answered after that.
            self._routing.when_known(session.user, session.release)
        elif self._refuse(session):
            session.release()

    async def _identify(self, token: bytes) -> Identity | None:
        try:
            return await self._tokens.find(token.decode())
        except UnicodeDecodeError:
            return None

    async def _device(self, request: client.AuthToken) -> int:
        # A browser makes up a new device id each time; all browsers are device 0.
        if request.platform == Platform.WEB or not request.device_id:
            return 0
        # A device id need not be text, but the stores need text.
        device_id = request.device_id.decode(errors="backslashreplace")
        return await self._devices.number(device_id, request.platform)

    def _refuse(self, session: Session) -> bool:
        """Answer an unknown token. Return True if the client may send another."""
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
