"""The router's pages of online users: ``/online`` for one user, ``/all_online`` for all.

Paths and answers are those of the Go server.

::

    GET /online?appid=7&uid=1001      {"online":true}
    GET /all_online                   [{"appid":7,"users":[1001,1002]},{"appid":8,"users":[1]}]

``/online`` shows the online flag. ``/all_online`` lists all users that the router holds,
whatever their flag.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.http import BAD_REQUEST
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from gobelieve.interfaces import Time

USERS_PER_TURN = 5000
"""Users that are sorted or written in one turn, which takes about a millisecond."""

Id = tuple[int, int]
IsOnline = Callable[[Id], bool]
Held = Callable[[], Sequence[Id]]
"""Returns (appid, uid) of all users that are held, in a sequence that does not change."""

_NUMBER = re.compile(rb"[+-]?[0-9]{1,19}")


def presence_pages(is_online: IsOnline, held: Held, time: Time) -> Mapping[bytes, IResource]:
    """Return the pages by their paths. They are open to all who can connect."""
    return {b"online": OnlinePage(is_online), b"all_online": AllOnlinePage(held, time)}


class OnlinePage(Resource):
    """Shows whether a user is online at any gateway."""

    isLeaf = True

    def __init__(self, is_online: IsOnline) -> None:
        super().__init__()
        self._is_online = is_online

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        appid, uid = _number(request, b"appid"), _number(request, b"uid")
        if appid is None or uid is None:
            request.setResponseCode(BAD_REQUEST)
            return b'{"meta":{"code":400,"message":"invalid query param"}}'
        return b'{"online":true}' if self._is_online((appid, uid)) else b'{"online":false}'


def _number(request: Request, name: bytes) -> int | None:
    """Return the first value of a parameter; None if it is not a 64-bit integer."""
    (text, *_) = request.args.get(name, [b""])
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


class AllOnlinePage(Resource):
    """Lists all users that are held, by app."""

    isLeaf = True

    def __init__(self, held: Held, time: Time) -> None:
        super().__init__()
        self._held = held
        self._time = time

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"application/json")
        ListingWriter(request, _listing(self._held()), self._time)
        return NOT_DONE_YET


def _listing(held: Sequence[Id]) -> Iterator[bytes]:
    """Yield the page in pieces, each the work of a turn; empty ones while users are sorted."""
    apps: dict[int, list[int]] = {}
    users = iter(held)
    while some := list(islice(users, USERS_PER_TURN)):
        for appid, uid in some:
            try:
                apps[appid].append(uid)
            except KeyError:
                apps[appid] = [uid]
        yield b""
    opening = "["
    for appid, uids in apps.items():
        opening += f'{{"appid":{appid},"users":['
        for start in range(0, len(uids), USERS_PER_TURN):
            yield (opening + ",".join(map(str, uids[start : start + USERS_PER_TURN]))).encode()
            opening = ","
        opening = "]},"
    yield b"]}]" if apps else b"[]"


@implementer(IPushProducer)
class ListingWriter:
    """Writes a page piece by piece, one per turn, as fast as the browser reads.

    Twisted would ask a pull producer for pieces for 10 ms without a pause.
    """

    def __init__(self, request: Request, pieces: Iterator[bytes], time: Time) -> None:
        self._request = request
        self._pieces = pieces
        self._time = time
        self._paused = self._over = self._due = False
        request.notifyFinish().addBoth(self._finished)
        request.registerProducer(self, True)
        self._schedule()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._schedule()

    def stopProducing(self) -> None:
        self._over = True

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self._time.callLater(0, self._write)

    def _write(self) -> None:
        self._due = False
        if self._over or self._paused:
            return
        piece = next(self._pieces, None)
        if piece is None:
            self._request.unregisterProducer()
            self._request.finish()
            return
        if piece:
            self._request.write(piece)
        self._schedule()

    def _finished(self, result: Failure | None) -> None:
        self._over = True
