"""What the daemons have in common."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import globalLogPublisher
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import ImConfig, RedisConfig
from gobelieve.config.fields import ignored, secret
from gobelieve.services.process.options import Coroutines, DaemonOptions
from tests.protocols.logs import Events


@dataclass(frozen=True)
class SampleConfig:
    """A daemon's."""

    port: int = 1
    source: str = secret()
    old: int = ignored(0, "it is old")
    redis: RedisConfig = field(default_factory=RedisConfig)


class SampleOptions(DaemonOptions):
    """A daemon's."""

    kind = SampleConfig


class DaemonOptionsTests(SynchronousTestCase):
    """The command line of a daemon."""

    def setUp(self) -> None:
        self.events = Events()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)
        self.options = SampleOptions()

    def test_nothing(self) -> None:
        """All defaults, and nothing to say."""
        self.options.parseOptions([])
        self.assertEqual(self.options.config, SampleConfig())
        self.assertEqual(self.events.texts(), [])

    def test_a_file_and_overrides(self) -> None:
        """The overrides win, whatever the order on the command line."""
        path = Path(self.mktemp())
        path.write_text("port = 2\n[redis]\ndb = 3\n")
        self.options.parseOptions(
            ["--set", "port=4", "--config", str(path), "--set=redis.address=other:6379"]
        )
        config = self.options.config
        self.assertEqual((config.port, config.redis.db), (4, 3))
        self.assertEqual(config.redis.address, "other:6379")

    def test_errors(self) -> None:
        """End the start with a line for the operator, and no traceback."""
        for arguments, why in [
            (["--config", "no-such-file.toml"], "no-such-file.toml: No such file"),
            (["--set", "prot=1"], "there is no key prot; is port meant?"),
            (["--set", "port"], "must have the form key=value"),
            (["surplus"], "Wrong number of arguments"),
        ]:
            with self.assertRaises(UsageError, msg=str(arguments)) as caught:
                SampleOptions().parseOptions(arguments)
            self.assertIn(why, str(caught.exception))

    def test_keys_without_effect(self) -> None:
        """Are told of at the start, once each."""
        self.options.parseOptions(["--set", "old=7"])
        self.assertEqual(self.events.texts(), ["old has no effect: it is old"])

    def test_secrets(self) -> None:
        """Are not in what is printed of the configuration."""
        self.options.parseOptions(["--set", "source=hush", "--set", "redis.password=hush"])
        self.assertNotIn("hush", repr(self.options.config))

    def test_the_gateways_defaults(self) -> None:
        """Are a configuration that the command line can make without a file."""

        class ImOptions(DaemonOptions):
            kind = ImConfig

        options = ImOptions()
        options.parseOptions([])
        self.assertEqual(options.config, ImConfig())


class CoroutinesTests(SynchronousTestCase):
    """Running coroutines."""

    def setUp(self) -> None:
        self.tasks = Coroutines()
        self.notes: list[str] = []

    def wait(self, name: str, until: Deferred[None]) -> Coroutine[Any, Any, None]:
        """Notes its beginning, its end, and that it was cancelled."""

        async def work() -> None:
            self.notes.append(f"begin {name}")
            try:
                await until
            except CancelledError:
                self.notes.append(f"cancelled {name}")
                raise
            self.notes.append(f"end {name}")

        return work()

    def test_begins_at_once(self) -> None:
        """And goes on when what it waits for is there."""
        until: Deferred[None] = Deferred()
        self.tasks.start(self.wait("a", until))
        self.assertEqual(self.notes, ["begin a"])
        until.callback(None)
        self.assertEqual(self.notes, ["begin a", "end a"])

    def test_a_failure_is_logged(self) -> None:
        """As one of ours, with its traceback."""
        until: Deferred[None] = Deferred()
        self.tasks.start(self.wait("a", until))
        until.errback(ValueError("a bug"))
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.value.args, ("a bug",))

    def test_cancel(self) -> None:
        """Cancels all that waits, and only that; a cancelled one is no failure."""
        first: Deferred[None] = Deferred()
        self.tasks.start(self.wait("a", first))
        first.callback(None)
        self.tasks.start(self.wait("b", Deferred()))
        self.tasks.start(self.wait("c", Deferred()))
        self.tasks.cancel()
        self.assertEqual(self.notes[:2], ["begin a", "end a"])
        self.assertEqual(sorted(self.notes[-2:]), ["cancelled b", "cancelled c"])
        self.tasks.cancel()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_started_by_one_that_is_cancelled(self) -> None:
        """Runs: `cancel` is about what waited when it was called."""
        until: Deferred[None] = Deferred()

        async def mourner() -> None:
            try:
                await Deferred()
            except CancelledError:
                self.tasks.start(self.wait("wake", until))

        self.tasks.start(mourner())
        self.tasks.cancel()
        until.callback(None)
        self.assertEqual(self.notes, ["begin wake", "end wake"])
