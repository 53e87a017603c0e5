"""All tests with hypothesis use the profile of `tests`."""

import ast
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, settings
from twisted.trial.unittest import SynchronousTestCase

from tests import PROFILE

ROOT = Path(__file__).parents[1]
OF_A_TEST = {"max_examples", "stateful_step_count"}
"""Settings that a test may choose. The others are a matter of the profile."""
OF_THE_PROFILE = {"load_profile", "register_profile"}


def offences(source: str) -> Iterator[str]:
    """Yield each place where a module changes what the profile decides."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in OF_THE_PROFILE:
            yield f"line {node.lineno}: {name}"
        elif name == "settings":
            for keyword in node.keywords:
                if keyword.arg not in OF_A_TEST:
                    yield f"line {node.lineno}: settings({ast.unparse(keyword)})"


class ProfileTests(SynchronousTestCase):
    """A slow machine fails no test that uses hypothesis."""

    def test_the_profile_is_loaded(self) -> None:
        """A test without settings of its own has no deadline, and may be slow or large."""
        self.assertIs(settings.default, settings.get_profile(PROFILE))
        for of_a_test in (settings(), settings(max_examples=7)):
            self.assertIsNone(of_a_test.deadline)
            self.assertLessEqual(
                {HealthCheck.too_slow, HealthCheck.data_too_large},
                set(of_a_test.suppress_health_check),
            )

    def test_no_test_changes_it(self) -> None:
        """No module of the tests sets a deadline or a health check, or loads another profile."""
        modules = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "__init__.py"]
        self.assertGreater(len(modules), 100)
        bad = [
            f"{path.relative_to(ROOT)}, {offence}"
            for path in modules
            for offence in offences(path.read_text("utf-8"))
        ]
        self.assertEqual(bad, [], "\n".join(["", *bad]))

    def test_a_change_is_seen(self) -> None:
        """Each way to escape the profile fails the test above; a number of examples does not."""
        for source in (
            "@settings(deadline=None)\ndef test(): ...",
            "@hypothesis.settings(max_examples=5, suppress_health_check=[])\ndef test(): ...",
            "settings(**anything)",
            "settings.load_profile('default')",
        ):
            self.assertEqual(len(list(offences(source))), 1, source)
        self.assertEqual(list(offences("@settings(max_examples=5)\ndef test(): ...")), [])
