"""The tables of docs/journey.md are the frames on the wire."""

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from gobelieve.client import Client
from gobelieve.client.keys import KeyStore, MemoryKeyStore
from tests.network.processes import Cluster, Daemon, settings
from tests.network.tap import Tap
from tests.servers import missing, shared_redis

DOCUMENT = Path(__file__).parents[2] / "docs" / "journey.md"
Steps = dict[str, list[str]]


def tables() -> list[Steps]:
    """Return the frames of each table in the document, by link and in order."""
    found: list[Steps] = []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if line.startswith("| # |"):
            found.append({})
        elif re.match(r"\| \d+ \|", line):
            wire = line.split("|")[4]
            for link, frames in re.findall(r"(\S+ → \S+): ([A-Z_, ]+)", wire):
                labels = [label.strip() for label in frames.split(",")]
                found[-1].setdefault(link, []).extend(labels)
    return found


class JourneyTests(TestCase):
    """Alice's phone and tablet are at one gateway, and Bob is at another. A tap is on every
    link."""

    skip = missing("redis-server")

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.cluster = Cluster(shared_redis(), gateways=2)
        self.addCleanup(self.cluster.stop)
        for daemon in (*self.cluster.ims, *self.cluster.imr):
            await daemon.start()
        self.taps: dict[str, Tap] = {}
        for number, gateway in enumerate(self.cluster.im, 1):
            await self._tap_links(f"im-{number}", gateway)
            await gateway.start()
            await gateway.logged("router .* is connected")

    async def _tap_links(self, name: str, gateway: Daemon) -> None:
        rpc = await self._tap(f"{name} → ims", self.cluster.ims[0].listens[0])
        route = await self._tap(f"{name} → imr", self.cluster.imr[0].listens[0])
        gateway.arguments += settings(
            {
                "storage_rpc_addrs": [f"127.0.0.1:{rpc}"],
                "route_addrs": [f"127.0.0.1:{route}"],
            }
        )

    async def _tap(self, link: str, target: int) -> int:
        tap = self.taps[link] = Tap()
        port = await tap.start(target)
        self.addCleanup(tap.stop)
        return port

    async def _client(self, name: str, uid: int, gateway: int, keys: KeyStore) -> Client:
        from twisted.internet import reactor

        target = self.cluster.port(gateway)
        port = await self._tap(f"{name} → im-{gateway + 1}", target)
        client = Client(
            reactor,
            f"127.0.0.1:{port}",
            uid,
            self.cluster.token(uid),
            device_id=name,
            key_store=keys,
        )
        self.addCleanup(client.close)
        await client.connect()
        await client.sync_to_end()
        return client

    async def _saw(self, steps: Steps) -> None:
        for link, labels in steps.items():
            end, other = link.split(" → ")
            if link in self.taps:
                await self.taps[link].saw(self.taps[link].there, labels)
            else:
                tap = self.taps[f"{other} → {end}"]
                await tap.saw(tap.back, labels)

    def _forget(self) -> None:
        for tap in self.taps.values():
            tap.forget()

    async def test_the_tables_are_the_frames_on_the_wire(self) -> None:
        """The frames of each table pass its link in order, and no others."""
        pushed, synced = tables()
        bobs_keys = MemoryKeyStore()
        phone = await self._client("phone", 1001, 0, MemoryKeyStore())
        tablet = await self._client("tablet", 1001, 0, MemoryKeyStore())
        bob = await self._client("bob", 1002, 1, bobs_keys)
        # The first message of a queue has no previous id, and is only notified.
        await phone.send(1002, "before")
        for one in (tablet, bob):
            self.assertEqual((await one.receive()).content, b"before")
            await one.sync_to_end()

        self._forget()
        await phone.send(1002, "hello")
        self.assertTrue((await bob.receive()).pushed)
        await self._saw(pushed)

        await bob.close()
        # Only the gateway knows when it has seen the end of Bob's connection. A message that is
        # sent before could still be published to Bob, and UNSUBSCRIBE be recorded below.
        await self._saw({"im-2 → imr": ["UNSUBSCRIBE"]})
        await phone.send(1002, "while you were away")
        self._forget()
        bob = await self._client("bob", 1002, 1, bobs_keys)
        await self._saw(synced)


def symbols() -> list[list[str]]:
    """Return the names of code in each step of the document."""
    rows = re.findall(r"^\| \d+ \| ([^|]*) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return [re.findall(r"`([^`]+)`", row) for row in rows]


def resolve(name: str) -> object:
    """Import the object ``module.path:Class.method`` below `gobelieve`."""
    module, _, path = name.partition(":")
    found: object = import_module(f"gobelieve.{module}")
    for part in path.split("."):
        found = getattr(found, part)
    return found


class JourneySymbolTests(SynchronousTestCase):
    """The code that the document names."""

    def test_each_step_names_code_that_exists(self) -> None:
        """If code is renamed or moved, the document must follow."""
        steps = symbols()
        self.assertEqual(len(steps), 18)
        for number, names in enumerate(steps, 1):
            self.assertTrue(names, f"step {number} names no code")
            for name in names:
                self.assertTrue(callable(resolve(name)), name)

    def test_an_unknown_name_is_found(self) -> None:
        """A wrong module, class or method fails the test above."""
        self.assertIs(resolve("client.client:Client"), Client)
        for wrong in ("gateway.nowhere:Peer", "gateway.rules.peer:Nobody"):
            with self.assertRaises((ImportError, AttributeError), msg=wrong):
                resolve(wrong)
        with self.assertRaises(AttributeError):
            resolve("gateway.rules.peer:Peer.nothing")
