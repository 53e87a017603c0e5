"""The security of the links between our own daemons."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import (
    ClusterConfig,
    EmbeddedConfig,
    ImConfig,
    ImrConfig,
    ImsConfig,
    is_loopback,
    load,
    parse_address,
)
from gobelieve.errors import ConfigError
from gobelieve.protocols.cluster.endpoints import (
    AuthenticatedEndpoint,
    AuthenticatedFactory,
    PlainEndpoint,
    PlainFactory,
)
from gobelieve.protocols.cluster.handshake import ConnectorGreeting
from gobelieve.protocols.tls import TLSFactory
from gobelieve.services import embedded, imr, ims
from gobelieve.services.components.cluster import DANGERS, Cluster
from gobelieve.services.process.starting import StartError
from gobelieve.wire.cluster import Port
from tests.certificates import Authority
from tests.fakes.reactor import FakeReactor
from tests.protocols.logs import Events

SECRET = "sixteen bytes or so"


class ConfigTests(SynchronousTestCase):
    """The table [cluster] of the configuration."""

    def test_all_daemons_have_the_table(self) -> None:
        """Each daemon has the table [cluster] with the same keys, and shows no secret."""
        for kind in (ImConfig, ImrConfig, ImsConfig, EmbeddedConfig):
            config: Any = load(kind, None, [f"cluster.secret={SECRET}"])
            self.assertEqual(config.cluster.secret, SECRET)
            self.assertNotIn(SECRET, repr(config))

    def test_keys_that_contradict_each_other(self) -> None:
        """Keys that contradict each other are refused; the error names them and shows no secret."""
        for settings, why in (
            (["secret=sixteen bytes ok"], None),
            (["secret=too short"], "at least 16 bytes"),
            ([f"secret={SECRET}", "secret_file=x"], "both set"),
            (["cert_file=x"], "must be set together"),
            (["cert_file=x", "key_file=y"], "must be set together"),
            (["cert_file=x", "key_file=y", "ca_file=z"], None),
        ):
            overrides = [f"cluster.{setting}" for setting in settings]
            if why is None:
                load(ImrConfig, None, overrides)
                continue
            raised = self.assertRaises(ConfigError, load, ImrConfig, None, overrides)
            self.assertIn(why, str(raised))
            self.assertNotIn("too short", str(raised))

    def test_the_samples_listen_on_loopback(self) -> None:
        """The samples and the defaults open no port for daemons to the network."""
        etc = Path(__file__).parents[3] / "etc"
        routers = [load(ImrConfig, str(etc / "imr.toml")), ImrConfig()]
        storages = [load(ImsConfig, str(etc / "ims.toml")), ImsConfig()]
        whole = load(EmbeddedConfig, str(etc / "gobelieve.toml"))
        ports = [one.listen for one in [*routers, whole.imr, EmbeddedConfig().imr]]
        for one in [*storages, whole.ims, EmbeddedConfig().ims]:
            ports += [one.rpc_listen, one.listen, one.sync_listen]
        for address in filter(None, ports):
            self.assertTrue(is_loopback(parse_address(address).host), address)

    def test_loopback(self) -> None:
        """The unspecified address and unknown names do not count as loopback."""
        for host, wanted in (
            ("127.0.0.1", True),
            ("127.8.8.8", True),
            ("::1", True),
            ("localhost", True),
            ("", False),
            ("0.0.0.0", False),
            ("::", False),
            ("10.0.0.1", False),
            ("storage.example", False),
        ):
            self.assertEqual(is_loopback(host), wanted, host)


class ClusterTests(SynchronousTestCase):
    """The service for secrets and certificates, with the ports and connections that it makes."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.events = Events()
        self.patch(Cluster, "log", self.events.log())
        # Refusing to start sets a hook, which is to be gone behind the test.
        self.patch(sys, "excepthook", sys.excepthook)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def file(self, content: bytes, mode: int = 0o600) -> str:
        """Return the path of a new secret file."""
        path = self.folder / "secret"
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    def cluster(self, **values: str) -> Cluster:
        """Return the service for a configuration."""
        return Cluster(ClusterConfig(**values), self.reactor)

    def factory(self, cluster: Cluster, address: str = "127.0.0.1:4444") -> Any:
        """Return the factory with which a port listens."""
        listening: Any = cluster.listening(Port.ROUTE, address, Factory.forProtocol(Protocol))
        return listening._service.factory

    def lets_in(self, cluster: Cluster, secret: bytes) -> bool:
        """Return True if a port accepts a peer with this secret."""
        built: list[object] = []

        class Noted(Factory):
            def buildProtocol(self, addr: Any) -> Protocol:
                built.append(addr)
                return Protocol()

        listening: Any = cluster.listening(Port.ROUTE, "127.0.0.1:4444", Noted())
        handshake = listening._service.factory.buildProtocol(None)
        transport = StringTransport()
        handshake.makeConnection(transport)
        one = ConnectorGreeting(Port.ROUTE, secret, bytes(32))
        handshake.dataReceived(one.begin() + one.feed(transport.value()))
        return bool(built)

    def test_without_a_secret(self) -> None:
        """Without a secret only the bytes of the port itself are on the wire."""
        cluster = self.cluster()
        self.assertIsInstance(self.factory(cluster), PlainFactory)
        self.assertIsInstance(cluster.endpoint(Port.ROUTE, "127.0.0.1:1"), PlainEndpoint)

    def test_with_a_secret(self) -> None:
        """With a secret all ports demand it, and all connections prove it."""
        cluster = self.cluster(secret=SECRET)
        cluster.startService()
        self.assertIsInstance(self.factory(cluster), AuthenticatedFactory)
        self.assertIsInstance(cluster.endpoint(Port.ROUTE, "127.0.0.1:1"), AuthenticatedEndpoint)
        self.assertTrue(self.lets_in(cluster, SECRET.encode()))
        self.assertFalse(self.lets_in(cluster, b"another"))
        self.assertFalse(self.lets_in(cluster, b""))

    def test_a_secret_from_a_file(self) -> None:
        """The secret is read without the line end, and read again unless the file is useless."""
        path = self.file(SECRET.encode() + b"\n")
        cluster = self.cluster(secret_file=path)
        cluster.privilegedStartService()
        cluster.startService()
        self.assertTrue(self.lets_in(cluster, SECRET.encode()))
        self.file(b"the secret of tomorrow")
        cluster.reload()
        self.assertTrue(self.lets_in(cluster, b"the secret of tomorrow"))
        self.file(b"short")
        self.assertRaises(ConfigError, cluster.reload)
        self.assertTrue(self.lets_in(cluster, b"the secret of tomorrow"))

    def test_hangup(self) -> None:
        """At SIGHUP the files are read again; a file that cannot be used is one line of the log."""
        options: Any = imr.Options()
        options.parseOptions(["--set", f"cluster.secret_file={self.file(SECRET.encode())}"])
        service = imr.makeService(options, self.reactor)
        cluster: Any = service.getServiceNamed("cluster")
        cluster.startService()
        self.patch(type(service.hangup), "log", self.events.log())
        self.file(b"the secret of tomorrow")
        service.hangup.call_all()
        self.assertTrue(self.lets_in(cluster, b"the secret of tomorrow"))
        self.file(b"short")
        service.hangup.call_all()
        self.assertTrue(self.lets_in(cluster, b"the secret of tomorrow"))
        good, bad = self.events.texts()
        self.assertEqual(good, "SIGHUP: the cluster's secret and certificates are read again")
        self.assertIn("failed: cluster.secret_file", bad)
        self.events.clear()
        without = imr.Options()
        without.parseOptions([])
        imr.makeService(without, self.reactor).hangup.call_all()
        self.assertEqual(self.events.texts(), [])

    def test_a_relative_file_name(self) -> None:
        """A relative name starts from the folder where twistd was called, also after it changes."""
        self.file(SECRET.encode())
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        cluster = self.cluster(secret_file="secret")
        os.chdir(here)
        cluster.privilegedStartService()
        self.assertTrue(self.lets_in(cluster, SECRET.encode()))

    def test_files_that_cannot_be_used(self) -> None:
        """A file that cannot be used ends the start of the daemon before it listens."""
        files = Authority(self.folder).issue()
        for values, why in (
            ({"secret_file": str(self.folder / "nowhere")}, "nowhere: No such file"),
            (
                {"secret_file": self.file(b"fifteen bytes..\n")},
                "has 15 bytes; at least 16 are needed",
            ),
            ({**files._asdict(), "cert_file": "/nowhere.pem"}, "/nowhere.pem: No such file"),
        ):
            cluster = self.cluster(**values)
            raised = self.assertRaises(StartError, cluster.privilegedStartService)
            self.assertIn(why, str(raised))

    def test_a_secret_that_others_may_read(self) -> None:
        """A secret file that all users may read is warned of."""
        self.cluster(secret_file=self.file(SECRET.encode(), 0o644)).startService()
        (text,) = self.events.texts()
        self.assertIn("other users may read it", text)
        self.events.clear()
        self.cluster(secret_file=self.file(SECRET.encode(), 0o640)).startService()
        self.assertEqual(self.events.texts(), [])

    def test_tls(self) -> None:
        """With TLS all ports and connections use it."""
        cluster = self.cluster(**Authority(self.folder).issue()._asdict())
        cluster.startService()
        factory = self.factory(cluster, "10.0.0.1:4444")
        self.assertIsInstance(factory, TLSFactory)
        self.assertIsInstance(factory.wrappedFactory, AuthenticatedFactory)
        self.assertEqual(self.events.texts(), [])

    def test_a_port_without_authentication(self) -> None:
        """An open port is warned of at the start, with the danger that it means."""
        cluster = self.cluster()
        for port in Port:
            cluster.listening(port, "10.0.0.1:4444", Factory())
            cluster.listening(port, "127.0.0.1:4444", Factory())
        self.assertEqual(self.events.texts(), [])
        cluster.startService()
        texts = self.events.texts()
        self.assertEqual([event["log_level"].name for event in self.events], ["warn"] * 4)
        for port, text in zip(Port, texts, strict=True):
            self.assertIn(f"port {port.name} listens on 10.0.0.1:4444", text)
            self.assertIn(DANGERS[port], text)

    def test_a_port_with_a_secret(self) -> None:
        """A port with a secret is not warned of."""
        cluster = self.cluster(secret=SECRET)
        cluster.listening(Port.ROUTE, "10.0.0.1:4444", Factory())
        cluster.startService()
        self.assertEqual(self.events.texts(), [])

    def test_the_daemons_warn(self) -> None:
        """Each daemon warns of each of its open ports."""
        route = {Port.ROUTE: "listen=0.0.0.0:1"}
        storage = {
            Port.STORAGE_RPC: "rpc_listen=0.0.0.0:2",
            Port.STORAGE_CLIENTS: "listen=0.0.0.0:3",
            Port.REPLICATION: "sync_listen=0.0.0.0:4",
        }
        every = {port: f"ims.{setting}" for port, setting in storage.items()}
        every[Port.ROUTE] = "imr.listen=0.0.0.0:1"
        for module, ports in ((imr, route), (ims, storage), (embedded, every)):
            options: Any = module.Options()
            options.parseOptions([w for one in ports.values() for w in ("--set", one)])
            service = module.makeService(options, self.reactor)
            self.events.clear()
            cluster: Any = service.getServiceNamed("cluster")
            cluster.startService()
            said = {text.partition(" without")[0] for text in self.events.texts()}
            wanted = {f"port {p.name} listens on {s.partition('=')[2]}" for p, s in ports.items()}
            self.assertEqual(said, wanted)
