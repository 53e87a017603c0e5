"""Listening, and a port that cannot be had."""

import sys

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import Address
from gobelieve.services.process import listening
from gobelieve.services.process.listening import Listening
from gobelieve.services.process.starting import StartError


class ListeningTests(SynchronousTestCase):
    """On a reactor that only writes down what it is asked."""

    def make(self, host: str) -> Listening:
        """A listener that uses the reactor of this test."""
        self.reactor = MemoryReactor()
        service = Listening(Address(host, 4444), Factory())
        service._service.endpoint._reactor = self.reactor  # type: ignore[attr-defined]
        return service

    def test_the_host(self) -> None:
        """The service listens on the host of the address; without one on every interface."""
        for host, interface in (("127.0.0.1", "127.0.0.1"), ("", "0.0.0.0"), ("::1", "::1")):
            service = self.make(host)
            service.privilegedStartService()
            service.startService()
            ((port, _, backlog, where),) = self.reactor.tcpServers
            self.assertEqual((port, where), (4444, interface))
            self.assertEqual(backlog, listening.BACKLOG)
            service.stopService()

    def test_a_port_that_is_taken_is_one_clear_line(self) -> None:
        """The start ends with one line, without a traceback."""
        self.patch(sys, "excepthook", sys.excepthook)
        service = self.make("127.0.0.1")

        def taken(*arguments: object, **named: object) -> None:
            raise CannotListenError("127.0.0.1", 4444, OSError(98, "Address already in use"))

        self.patch(self.reactor, "listenTCP", taken)
        error = self.assertRaises(StartError, service.privilegedStartService)
        self.assertEqual(str(error), "cannot listen on 127.0.0.1:4444: Address already in use")
