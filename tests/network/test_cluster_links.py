"""Links between daemons with a secret and TLS: only daemons of the cluster get in."""

import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from gobelieve.wire import route
from gobelieve.wire.cluster import LinkRefused
from gobelieve.wire.frames import FrameReader, encode_frame
from gobelieve.wire.storage import USERS, Save, pack_save
from tests.certificates import Authority
from tests.network.processes import (
    AllInOne,
    Cluster,
    Daemon,
    DaemonError,
    Daemons,
    sample,
    settings,
)
from tests.network.test_cluster import ClusterCase
from tests.ports import free_port
from tests.servers import missing, shared_redis
from tests.waits import until

SECRET = b"what only our own daemons know\n"
REDIS = missing("redis-server")


class Stranger(Protocol):
    """Sends bytes to a port, and keeps what it receives until it is cut off."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._came = b""
        self.ended: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._says)

    def dataReceived(self, data: bytes) -> None:
        self._came += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self._came)


class LinksCase(ClusterCase):
    """Has a folder with the secret and certificates."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gobelieve-links-"))
        self.addCleanup(rmtree, self.folder)
        self.authority = Authority(self.folder)

    def secret(self, content: bytes = SECRET, name: str = "secret") -> dict[str, Any]:
        """Return settings with a secret in a file."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return {"cluster.secret_file": path}

    def tls(self, authority: Authority | None = None, name: str = "daemon") -> dict[str, Any]:
        """Return settings with a certificate."""
        files = (authority or self.authority).issue(name)._asdict()
        return {f"cluster.{key}": path for key, path in files.items()}

    def cluster(self, values: dict[str, Any], **changed: Any) -> Cluster:
        """Start daemons with the same settings, except for the changed ones."""
        every = {"im": values, "imr": values, "ims": values, **changed}
        return Cluster(shared_redis(), **every)

    async def exchange(self, cluster: Cluster) -> None:
        """Let Alice send a message to Bob at another gateway."""
        alice = await self.connected(cluster.client(1001, 0))
        bob = await self.connected(cluster.client(1002, len(cluster.im) - 1))
        for text in ("first", "second"):
            await alice.send(1002, text)
            self.assertEqual((await bob.receive()).content, text.encode())
            await bob.sync_to_end()


class WholeClusterTests(LinksCase):
    """All daemons have the secret, TLS, or both."""

    skip = REDIS

    async def test_secret_and_tls_on_every_link(self) -> None:
        """Gateways, router, storage and its slave connect with the secret on TLS."""
        values = {**self.secret(), **self.tls()}
        sync = free_port()
        ims = {**values, "sync_listen": f"127.0.0.1:{sync}"}
        cluster = await self.started(self.cluster(values, gateways=2, ims=ims))
        slave = self.slave(sync, values)
        await slave.start()
        await slave.logged("master .* is connected")
        await self.exchange(cluster)
        copy, original = (one.folder / "storage" / "message_0" for one in (slave, cluster.ims[0]))
        await until(lambda: copy.read_bytes() == original.read_bytes(), "the slave has everything")

    async def test_a_secret_alone(self) -> None:
        """A secret is enough without TLS."""
        await self.exchange(await self.started(self.cluster(self.secret(), gateways=2)))

    async def test_tls_alone(self) -> None:
        """A certificate of the authority is enough without a secret."""
        await self.exchange(await self.started(self.cluster(self.tls(), gateways=2)))

    async def test_a_slave_of_another_authority(self) -> None:
        """A slave with a foreign certificate gets nothing, and both logs say why."""
        values = self.tls()
        sync = free_port()
        ims = {**values, "sync_listen": f"127.0.0.1:{sync}"}
        cluster = await self.started(self.cluster(values, ims=ims))
        other = self.tls(Authority(self.folder, "other"), "stranger")
        slave = self.slave(sync, {**other, "cluster.ca_file": self.authority.path})
        await slave.start()
        await slave.logged("master .* cannot be reached: TLS with it failed: .*unknown ca")
        await cluster.ims[0].logged(
            "port REPLICATION refuses 127.0.0.1:.*certificate verify failed"
        )
        self.assertNotIn("is connected", slave.log)

    def slave(self, sync: int, values: dict[str, Any]) -> Daemon:
        """Start a slave of the master at this port."""
        slaves = Daemons()
        daemon = Daemon("gobelieve-ims", listens=[free_port()])
        own = {
            "rpc_listen": f"127.0.0.1:{daemon.listens[0]}",
            "storage_root": daemon.folder / "storage",
            "master_address": f"127.0.0.1:{sync}",
        }
        daemon.arguments = [*sample("ims"), *settings({**own, **values})]
        slaves.daemons.append(daemon)
        self.addCleanup(slaves.stop)
        return daemon


class StrangeDaemonTests(LinksCase):
    """One daemon whose secret differs from that of the others."""

    skip = REDIS

    async def test_the_wrong_secret_until_it_is_corrected(self) -> None:
        """A wrong secret is in both logs. When the file is corrected, SIGHUP is enough."""
        good = self.secret()
        bad = self.secret(b"another secret, of another cluster", "other")
        cluster = self.cluster(good, im=bad)
        self.addCleanup(cluster.stop)
        await cluster.start()
        (ims,), (imr,), (im,) = cluster.ims, cluster.imr, cluster.im
        for what in ("router", "storage"):
            await im.logged(f"{what} .* cannot be reached: it refuses us: it has another .*secret")
        await imr.logged("port ROUTE refuses 127.0.0.1:.* it does not know our cluster secret")
        await ims.logged(
            "port STORAGE_RPC refuses 127.0.0.1:.* it does not know our cluster secret"
        )
        self.assertNotRegex(im.log, "(router|storage) .* is connected")
        self.assertNotRegex(imr.log, "gateway .* connected")
        self.assertNotRegex(ims.log, "asker .* came")
        self.secret(SECRET, "other")
        im.signal("HUP")
        await im.logged("router .* is connected")
        await im.logged("storage .* is connected")
        await self.exchange(cluster)
        for daemon in (ims, imr, im):
            self.assertNotIn("what only our own", daemon.log)
            self.assertNotIn("of another cluster", daemon.log)

    async def test_no_secret(self) -> None:
        """The gateway's log says what is missing. The other logs name the daemon without a
        secret."""
        cluster = self.cluster(self.secret(), im={})
        self.addCleanup(cluster.stop)
        await cluster.start()
        (im,) = cluster.im
        for port in ("ROUTE", "STORAGE_RPC"):
            await im.logged(f"no link to port {port} of .* no cluster secret is configured here")
        await cluster.imr[0].logged("port ROUTE refuses 127.0.0.1")
        await cluster.ims[0].logged("port STORAGE_RPC refuses 127.0.0.1")
        self.assertNotRegex(cluster.imr[0].log, "gateway .* connected")
        im.arguments += settings(self.secret())
        await im.restart()
        await im.logged("router .* is connected")
        await self.exchange(cluster)

    async def test_a_secret_where_the_others_have_none(self) -> None:
        """A daemon with a secret does not trust daemons without one."""
        cluster = self.cluster({}, im=self.secret())
        self.addCleanup(cluster.stop)
        await cluster.start()
        await cluster.im[0].logged("router .* cannot be reached: .* it has no cluster secret")
        await cluster.imr[0].logged("port ROUTE refuses .* no cluster secret is configured here")

    async def test_a_secret_file_that_is_not_there(self) -> None:
        """Without its secret file a daemon does not start, and says why in one line."""
        cluster = self.cluster({"cluster.secret_file": self.folder / "nowhere"})
        self.addCleanup(cluster.stop)
        try:
            await cluster.ims[0].start()
        except DaemonError as why:
            error = str(why)
        self.assertRegex(error, r"cluster.secret_file .*/nowhere: No such file")


class ScanTests(LinksCase):
    """A stranger who reaches the ports."""

    skip = REDIS

    async def test_a_stranger_changes_nothing(self) -> None:
        """A stranger changes neither storage, nor the router's table or its push lists."""
        cluster = await self.started(self.cluster(self.secret()))
        await self.exchange(cluster)
        ims, imr = cluster.ims[0], cluster.imr[0]
        stored = (ims.folder / "storage" / "message_0").read_bytes()
        pushes = cluster.redis.run("LLEN", "push_queue")
        gateways, askers = imr.log.count(" connected"), ims.log.count(" connected")
        self.assertTrue(gateways and askers)

        body = b"\0" * 24 + b"forged"
        save = encode_frame(Save.number, pack_save(0, 4, USERS, (7, 1002), body), 1)
        inner = encode_frame(4, body, 0, 1)
        push = route.Push(appid=7, receivers=(1999,), inner=inner).frame(version=0)
        subscribe = route.Subscribe(appid=7, uid=1002, online=1).frame()
        for port, says in (
            (ims.listens[0], save * 1000),
            (ims.listens[0], b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
            (imr.listens[0], subscribe + push * 1000),
            (imr.listens[0], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ):
            heard = FrameReader(64).feed(await self.stranger(port, says))
            # The challenge. A REFUSED after it is lost if the daemon did not read all bytes.
            self.assertIn([frame.cmd for frame in heard], ([161], [161, LinkRefused.number]))

        self.assertEqual((ims.folder / "storage" / "message_0").read_bytes(), stored)
        self.assertEqual(cluster.redis.run("LLEN", "push_queue"), pushes)
        self.assertEqual(
            (imr.log.count(" connected"), ims.log.count(" connected")), (gateways, askers)
        )
        await imr.logged("port ROUTE refuses 127.0.0.1")
        self.assertEqual(imr.log.count("refuses"), 1, "one line a minute")
        await self.exchange(cluster)

    async def stranger(self, port: int, says: bytes) -> bytes:
        """Return the bytes that a stranger receives for these bytes."""
        from twisted.internet import reactor

        protocol = Stranger(says)
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
        await endpoint.connect(Factory.forProtocol(lambda: protocol))
        return await protocol.ended


class EmbeddedTests(LinksCase):
    """The all-in-one daemon with a secret."""

    skip = REDIS

    async def test_a_further_gateway_joins_by_the_secret(self) -> None:
        """A gateway with the secret uses the daemon's storage and router."""
        values = {**self.secret(), **self.tls()}
        server = AllInOne(values)
        self.addCleanup(server.stop)
        await server.start()
        *_, router, rpc = server.daemon.listens
        where = {
            "storage_rpc_addrs": [f"127.0.0.1:{rpc}"],
            "route_addrs": [f"127.0.0.1:{router}"],
        }
        gateway = Cluster(shared_redis(), im={**values, **where})
        gateway.daemons = list(gateway.im)
        self.addCleanup(gateway.stop)
        await gateway.start()
        await gateway.im[0].logged("router .* is connected")
        await gateway.im[0].logged("storage .* is connected")
        alice = await self.connected(gateway.client(1001))
        bob = await self.connected(await server.client(1002))
        await alice.send(1002, "through both")
        self.assertEqual((await bob.receive()).content, b"through both")
