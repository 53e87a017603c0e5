"""A test that needs a server says by name why it is skipped."""

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.servers import missing


class MissingTests(SynchronousTestCase):
    """The text of a skipped test."""

    def test_a_program_that_is_not_installed_skips_by_name(self) -> None:
        self.patch(os, "environ", {})
        self.assertEqual(missing("sh", "no-such-db"), "not installed: no-such-db")
        self.assertIsNone(missing("sh"))

    def test_where_tests_must_run_nothing_is_skipped(self) -> None:
        self.patch(os, "environ", {"CI": "true"})
        self.assertIsNone(missing("no-such-db"))
