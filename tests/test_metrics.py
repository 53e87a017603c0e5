"""The counters and distributions that the status pages read."""

import math

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.metrics import Counters, Histogram, Outcomes


class CountersTests(SynchronousTestCase):
    """Counters that are found by their names."""

    def test_counts(self) -> None:
        """A counter that never moved is 0, and reading it does not create it."""
        counters = Counters()
        counters.add("live")
        counters.add("live", 2)
        self.assertEqual((counters["live"], counters["logins"]), (3, 0))
        self.assertEqual(counters.counts, {"live": 3})


class RequestsTests(SynchronousTestCase):
    """Counters of requests by command."""

    def test_counts(self) -> None:
        """Each outcome of a request is counted separately."""
        requests = Outcomes()
        requests.done[230] += 1
        requests.failed[230] += 1
        requests.done[230] += 1
        self.assertEqual((requests.done[230], requests.failed[230]), (2, 1))
        self.assertEqual(dict(requests.refused), {})


class DistributionTests(SynchronousTestCase):
    """Counts of measured values up to each bound."""

    def test_a_value_belongs_to_the_first_bound_that_it_does_not_exceed(self) -> None:
        """A value counts for the first bound that it does not exceed, as in Prometheus ("less or
        equal")."""
        values = Histogram((1, 2, 4))
        for value in (0, 1, 1.5, 2, 3, 4, 4.1, 100):
            values.observe(value)
        self.assertEqual(values.counts, [2, 2, 2, 2])
        self.assertEqual(list(values.cumulative()), [(1, 2), (2, 4), (4, 6), (math.inf, 8)])
        self.assertEqual((len(values), values.total), (8, 115.6))

    def test_nothing_measured(self) -> None:
        """Without measured values, all counts are 0."""
        values = Histogram((1,))
        self.assertEqual(list(values.cumulative()), [(1, 0), (math.inf, 0)])
        self.assertEqual((len(values), values.total), (0, 0))
