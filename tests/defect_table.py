"""The tables of docs/defects.md, and the tests that they name."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[1] / "docs"


class DefectTable(SynchronousTestCase):
    """The tests of one table, to be subclassed.

    A test module imports this module, not the class, which would be run by itself there.
    """

    number: str
    """What a number of this table looks like, as a regular expression."""
    numbers: Sequence[str]
    cases: Sequence[type[SynchronousTestCase]]
    """The test cases of the module, whose tests it names without one."""

    def setUp(self) -> None:
        row = re.compile(rf"^\| ({self.number}) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
        self.rows = row.findall((DOCS / "defects.md").read_text())
        self.own = {
            name: getattr(case, name).__doc__
            for case in self.cases
            for name in dir(case)
            if name.startswith("test_")
        }

    def test_all_are_in_it(self) -> None:
        """Each number once, in order, and each says something."""
        self.assertEqual([row[0] for row in self.rows], list(self.numbers))
        for row in self.rows:
            self.assertTrue(all(len(cell) > 3 for cell in row[1:]), row)

    def test_what_it_names_exists(self) -> None:
        """A test of this module by its name, others by module, class and name."""
        for number, _, _, shown in self.rows:
            names = re.findall("`([^`]+)`", shown)
            self.assertTrue(names, f"{number} is shown by nothing")
            for name in names:
                if "." not in name:
                    self.assertTrue(self.own[name].startswith(f"{number}. original: "), name)
                    continue
                module, case, method = name.rsplit(".", 2)
                found = getattr(import_module(f"tests.{module}"), case)
                self.assertTrue(callable(getattr(found, method)), name)

    def test_it_names_all_of_these(self) -> None:
        """And each says what was, and what is."""
        shown = "".join(row[3] for row in self.rows)
        for name, text in self.own.items():
            self.assertIn(f"`{name}`", shown)
            said = " ".join(text.split())
            self.assertRegex(said, rf"^{self.number}\. original: .+; ours: .+\.$")
