"""The assembly, start and stop of the router daemon."""

import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import ImrConfig, load
from gobelieve.interfaces import Group
from gobelieve.metrics import Counters
from gobelieve.protocols.router.listener import DRAIN_TIMEOUT, RouteFactory
from gobelieve.protocols.turn import ReactorTurn
from gobelieve.routing.build import build_router
from gobelieve.routing.pushes.writer import PushWriter
from gobelieve.services.imr import Options, PushService, RouteService, makeService
from gobelieve.services.process.options import Coroutines
from gobelieve.services.process.ordered import OrderedService
from gobelieve.wire.client import IM, GroupIM
from tests.fakes.reactor import FakeReactor
from tests.fakes.world import world
from tests.routing.pushes.test_groups import FakeGroups
from tests.routing.support import FakePushes

SAMPLE = Path(__file__).parents[2] / "etc" / "imr.toml"


def made(*arguments: str) -> OrderedService:
    """Return the service for a command line."""
    options = Options()
    options.parseOptions(arguments)
    return makeService(options, FakeReactor())


def keys(config: Any) -> dict[str, Any]:
    """Return the keys of a dataclass by their names in TOML."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {k: keys(v) if is_dataclass(v) else v for k, v in values.items()}


class OptionsTests(SynchronousTestCase):
    """The command line and the configuration of the router."""

    def test_sample(self) -> None:
        """The sample names every key, each with its default."""
        self.assertEqual(tomllib.loads(SAMPLE.read_text()), keys(ImrConfig()))
        self.assertEqual(load(ImrConfig, str(SAMPLE)), ImrConfig())

    def test_malformed_addresses(self) -> None:
        """Malformed addresses are refused before anything starts."""
        for key in ("listen", "redis.address"):
            with self.assertRaises(usage.UsageError) as caught:
                Options().parseOptions(["--set", f"{key}=nowhere"])
            self.assertIn(f"{key}: 'nowhere' is not host:port", str(caught.exception))

    def test_unknown_key(self) -> None:
        """An unknown key is refused."""
        with self.assertRaises(usage.UsageError):
            Options().parseOptions(["--set", "listne=:4444"])


class ServiceTests(SynchronousTestCase):
    """The services of the router daemon."""

    def test_children(self) -> None:
        """Redis starts before the pushes and stops after them."""
        service = made("--config", str(SAMPLE))
        names = [child.name for child in service]
        self.assertEqual(names, ["hangup", "cluster", "redis", "push", "route", "tcp"])
        for name in ("redis", "push", "route", "tcp"):
            self.assertEqual(service.getServiceNamed(name).name, name)

    def test_without_pushes(self) -> None:
        """Without pushes and groups there is no Redis."""
        service = made("--set", "push_disabled=true")
        self.assertEqual([child.name for child in service], ["hangup", "cluster", "route", "tcp"])

    def test_groups(self) -> None:
        """The router knows groups if a database is configured, and reports that to gateways."""
        for source, known in (("", False), ("mysql://u:p@127.0.0.1/groups", True)):
            route: Any = made("--set", f"mysqldb_datasource={source}").getServiceNamed("route")
            self.assertEqual(route.router.groups is not None, known)

    def test_nothing_happens_before_the_start(self) -> None:
        """Nothing listens or connects before the service is started."""
        options = Options()
        options.parseOptions([])
        reactor = FakeReactor()
        makeService(options, reactor)
        self.assertEqual(reactor.tcpServers + reactor.tcpClients, [])
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_plugin(self) -> None:
        """The command twistd finds the plugin of the router."""
        (maker,) = (p for p in getPlugins(IServiceMaker) if p.tapname == "gobelieve-imr")
        self.assertIs(maker.makeService, makeService)
        self.assertIs(maker.options, Options)


class Lists:
    """Push lists that answer when the test says so."""

    def __init__(self) -> None:
        self.answer: Deferred[None] = Deferred()

    async def append(self, items: object) -> None:
        await self.answer


class StopTests(SynchronousTestCase):
    """The stop of the router's services."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = ReactorTurn(self.clock)
        self.counters = Counters()

    def test_push(self) -> None:
        """The stop waits for the answer to the present write of pushes."""
        lists = Lists()
        writer = PushWriter(
            lists,
            world=world(
                time=self.clock, turn=self.turn, tasks=Coroutines(), counters=self.counters
            ),
            limit=10,
        )
        service = PushService(writer)
        service.startService()
        writer.add([("push_queue", b"{}")])
        stopped = service.stopService()
        self.assertNoResult(stopped)
        lists.answer.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.counters["pushes_written"], 1)

    def test_route(self) -> None:
        """The stop decides on the kept pushes, and then waits for the links to end."""
        pushes = FakePushes()
        router = build_router(
            pushes,
            world=world(time=self.clock, counters=self.counters),
            limit=100,
            grace_after_start=10,
            grace_after_loss=3,
        )
        factory = RouteFactory(router, turn=self.turn, counters=self.counters, unread_limit=1000)
        service = RouteService(router, factory, self.clock)
        service.startService()
        link = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport = StringTransport()
        link.makeConnection(transport)
        inner = IM(sender=1, receiver=2, msgid=0, content=b"hi").frame()
        router.decisions.ask(7, [2], inner)
        self.assertEqual(pushes, [])
        stopped = service.stopService()
        self.assertEqual(len(pushes), 1)
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(stopped)
        link.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopped)
        self.assertEqual(router.table.links, ())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_route_waits_for_groups(self) -> None:
        """The stop waits some seconds for groups that a push needs."""
        for found in (True, False):
            pushes, groups = FakePushes(), FakeGroups()
            groups.there[100] = Group(100, 7, True, {2: 0})
            router = build_router(
                pushes,
                world=world(time=self.clock, tasks=Coroutines(), counters=self.counters),
                limit=100,
                groups=groups,
            )
            assert router.groups is not None
            service = RouteService(
                router,
                RouteFactory(router, turn=self.turn, counters=self.counters, unread_limit=1000),
                self.clock,
            )
            service.startService()
            said = GroupIM(sender=1, receiver=100, msgid=0, content=b"hi")
            router.groups.ask(7, 100, said.frame())
            stopped = service.stopService()
            self.assertNoResult(stopped)
            if found:
                groups.answer()
            else:
                self.clock.advance(DRAIN_TIMEOUT)
            self.successResultOf(stopped)
            self.assertEqual(len(pushes), int(found))
            self.assertFalse(service.running)
            self.assertEqual(self.clock.getDelayedCalls(), [])
