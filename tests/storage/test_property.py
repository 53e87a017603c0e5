"""Random histories: no answered save is lost, whatever is saved and however a life ends.

A round is one life of a storage, its end by a clean stop, `kill -9` or a power cut, and the next
start. Then everything is compared with a plain model. The modules `life` and `world` have the
events.

`GOBELIEVE_ROUNDS=20000` sets the number of rounds, and `GOBELIEVE_SEED=5` chooses other histories.
A failure names the seed that makes it happen again.
"""

import os
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.storage.files import durable_mark
from tests.storage.world import History

ROUNDS = int(os.environ.get("GOBELIEVE_ROUNDS", "1000"))
SEED = int(os.environ.get("GOBELIEVE_SEED", "1"))
LIVES = 20
"""The number of rounds of one directory."""
ENTRIES_PER_BATCH = 8
"""Used instead of 1000, so that short queues have links too."""


class PropertyTests(SynchronousTestCase):
    """A storage is compared with a model of it."""

    timeout = 3600

    def setUp(self) -> None:
        for name, module in list(sys.modules.items()):
            if name.startswith("gobelieve.storage.") and hasattr(module, "ENTRIES_PER_BATCH"):
                self.patch(module, "ENTRIES_PER_BATCH", ENTRIES_PER_BATCH)
        # Otherwise damage to answered records of the last second before a power cut would count as
        # a hole that the power cut left.
        self.patch(durable_mark, "INTERVAL", 0)

    def test_nothing_answered_is_lost_doubled_or_hidden(self) -> None:
        """Answered saves are neither lost nor doubled nor hidden, and all reads are right."""
        for seed in range(SEED, SEED + -(-ROUNDS // LIVES)):
            self.play(seed, min(LIVES, ROUNDS))

    def play(self, seed: int, rounds: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            history = History(Path(folder) / "storage", seed)
            try:
                history.begin()
                for _ in range(rounds):
                    history.end(history.live())
                    history.begin(history.meddle())
                history.check_all()
            except BaseException as why:
                again = f"GOBELIEVE_SEED={seed} GOBELIEVE_ROUNDS={rounds}"
                steps = "\n  ".join(history.steps)
                raise self.failureException(f"{why!r}\n{again}\n  {steps}") from why
            finally:
                history.drop_slave()
                history.disk.abandon()
