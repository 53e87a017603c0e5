"""The tables of docs/defects.md, and the tests that they name."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[1] / "docs"


class DefectTable(SynchronousTestCase):
    """Checks one table of docs/defects.md; test modules subclass it.

    A test module imports this module and not the class, which would otherwise run there by itself.
    """

    number: str
    """The form of this table's numbers, as a regular expression."""
    numbers: Sequence[str]
    cases: Sequence[type[SynchronousTestCase]]
    """The test cases of the module. The table names their tests without a module."""

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
        """Each number is in the table once, in order, and no cell is empty."""
        self.assertEqual([row[0] for row in self.rows], list(self.numbers))
        for row in self.rows:
            self.assertTrue(all(len(cell) > 3 for cell in row[1:]), row)

    def test_what_it_names_exists(self) -> None:
        """Each named test exists: in this module by its name, elsewhere by module, class and
        name."""
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
        """Each test of this module is named, and its docstring says what was and what is."""
        shown = "".join(row[3] for row in self.rows)
        for name, text in self.own.items():
            self.assertIn(f"`{name}`", shown)
            said = " ".join(text.split())
            self.assertRegex(said, rf"^{self.number}\. original: .+; ours: .+\.$")
