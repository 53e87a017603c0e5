"""Options, coroutines and threads of the daemons."""

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
    """The configuration of a sample daemon."""

    port: int = 1
    source: str = secret()
    old: int = ignored(0, "it is old")
    redis: RedisConfig = field(default_factory=RedisConfig)


class SampleOptions(DaemonOptions):
    """The command line of a sample daemon."""

    kind = SampleConfig


class DaemonOptionsTests(SynchronousTestCase):
    """The command line of a daemon."""

    def setUp(self) -> None:
        self.events = Events()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)
        self.options = SampleOptions()

    def test_no_options(self) -> None:
        """Without options all keys have their defaults, and nothing is logged."""
        self.options.parseOptions([])
        self.assertEqual(self.options.config, SampleConfig())
        self.assertEqual(self.events.texts(), [])

    def test_a_file_and_overrides(self) -> None:
        """Overrides win over the file, in any order on the command line."""
        path = Path(self.mktemp())
        path.write_text("port = 2\n[redis]\ndb = 3\n")
        self.options.parseOptions(
            ["--set", "port=4", "--config", str(path), "--set=redis.address=other:6379"]
        )
        config = self.options.config
        self.assertEqual((config.port, config.redis.db), (4, 3))
        self.assertEqual(config.redis.address, "other:6379")

    def test_errors(self) -> None:
        """An error ends the start with one line for the operator, without a traceback."""
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
        """Keys without effect are logged once each at the start."""
        self.options.parseOptions(["--set", "old=7"])
        self.assertEqual(self.events.texts(), ["old has no effect: it is old"])

    def test_secrets(self) -> None:
        """Secrets are not shown when the configuration is printed."""
        self.options.parseOptions(["--set", "source=hush", "--set", "redis.password=hush"])
        self.assertNotIn("hush", repr(self.options.config))

    def test_the_gateways_defaults(self) -> None:
        """The defaults of the gateway are a valid configuration."""

        class ImOptions(DaemonOptions):
            kind = ImConfig

        options = ImOptions()
        options.parseOptions([])
        self.assertEqual(options.config, ImConfig())


class CoroutinesTests(SynchronousTestCase):
    """Coroutines that run in the event loop."""

    def setUp(self) -> None:
        self.tasks = Coroutines()
        self.notes: list[str] = []

    def wait(self, name: str, until: Deferred[None]) -> Coroutine[Any, Any, None]:
        """Return a coroutine that notes its start, its end and its cancellation."""

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
        """A coroutine starts at once, and continues when its Deferred fires."""
        until: Deferred[None] = Deferred()
        self.tasks.start(self.wait("a", until))
        self.assertEqual(self.notes, ["begin a"])
        until.callback(None)
        self.assertEqual(self.notes, ["begin a", "end a"])

    def test_a_failure_is_logged(self) -> None:
        """An error of a coroutine is logged with its traceback."""
        until: Deferred[None] = Deferred()
        self.tasks.start(self.wait("a", until))
        until.errback(ValueError("a bug"))
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.value.args, ("a bug",))

    def test_cancel(self) -> None:
        """Only coroutines that wait are cancelled; that is not logged as an error."""
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

    def test_a_coroutine_that_is_started_during_cancel(self) -> None:
        """A coroutine that starts during `cancel` is not cancelled."""
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
