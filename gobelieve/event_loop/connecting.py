"""Staying connected to a peer without a log line per attempt.

`ClientService` logs each attempt, and does not say why one failed. Here it logs nothing, and its
endpoint logs each reason once.
"""

from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from gobelieve.interfaces import Log
from gobelieve.support.throttled_log import ThrottledLog


class QuietClientService(ClientService):
    """A `ClientService` that logs nothing."""

    _log = Logger("gobelieve.connecting", observer=LogPublisher())


@implementer(IStreamClientEndpoint)
class ReportingEndpoint:
    """Connects by another endpoint, and logs why that fails: a reason again only after another one,
    or after `works`. `what` begins the line."""

    def __init__(self, endpoint: IStreamClientEndpoint, what: str, log: Log) -> None:
        self._endpoint = endpoint
        self._what = what
        self._throttled = ThrottledLog(log)
        self.why = "not connected yet"
        """Why the last attempt failed, or the last connection ended."""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Make one attempt, and report its failure."""
        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting.addErrback(self._not_connected)

    def failed(self, why: str) -> None:
        """Log why an attempt failed; the owner calls this when a connection ended."""
        self.why = why
        self._throttled.warn_of("failed", why, "{what}: {why}", what=self._what)

    def works(self) -> None:
        """The peer is as it should be: the next reason is logged, even if it is an old one."""
        self._throttled.reset("failed")

    def _not_connected(self, failure: Failure) -> Any:
        # A cancelled attempt is our own stop.
        if not failure.check(CancelledError, ConnectingCancelledError):
            self.failed(failure.getErrorMessage())
        return failure
