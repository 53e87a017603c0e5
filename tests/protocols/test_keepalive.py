"""Noticing an end that vanished."""

import socket
from unittest import skipUnless

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.keepalive import IDLE, INTERVAL_SECONDS, PROBES, probe_soon


class OnSocket(StringTransport):
    """A transport that has a socket."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self.handle = handle

    def getHandle(self) -> socket.socket:
        return self.handle


class ProbeSoonTests(SynchronousTestCase):
    """The kernel's options."""

    @skipUnless(hasattr(socket, "TCP_USER_TIMEOUT"), "Linux has these options")
    def test_options(self) -> None:
        """A dead end is noticed within a minute or so, whether something was sent or not."""
        with socket.socket() as handle:
            probe_soon(OnSocket(handle))
            self.assertEqual(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
            tcp = socket.IPPROTO_TCP
            idle = handle.getsockopt(tcp, socket.TCP_KEEPIDLE)
            interval = handle.getsockopt(tcp, socket.TCP_KEEPINTVL)
            probes = handle.getsockopt(tcp, socket.TCP_KEEPCNT)
            self.assertEqual((idle, interval, probes), (IDLE, INTERVAL_SECONDS, PROBES))
            self.assertLessEqual(idle + interval * probes, 60)
            self.assertEqual(handle.getsockopt(tcp, socket.TCP_USER_TIMEOUT), 60_000)

    @skipUnless(hasattr(socket, "TCP_USER_TIMEOUT"), "Linux has these options")
    def test_under_tls(self) -> None:
        """The socket is that of the transport beneath."""
        with socket.socket() as handle:
            wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
            wrapper.makeConnection(OnSocket(handle))
            self.patch(wrapper, "getHandle", object)
            probe_soon(wrapper)
            self.assertEqual(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), IDLE)

    def test_no_socket(self) -> None:
        """A transport without a socket is left alone: the call does not raise."""
        probe_soon(StringTransport())

    def test_unix_socket(self) -> None:
        """A Unix socket gets no options, since no network can fail below it."""
        with socket.socket(socket.AF_UNIX) as handle:
            probe_soon(OnSocket(handle))
            self.assertEqual(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 0)
