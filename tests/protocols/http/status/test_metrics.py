"""``/metrics``, read back with the library's own parser."""

import os
import resource
import time
from collections.abc import Iterable

from prometheus_client import parser
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.registry import Collector
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.test.requesthelper import DummyRequest

from gobelieve import __version__
from gobelieve.metrics import Counters, Histogram
from gobelieve.protocols.http.status.metrics import (
    CountersCollector,
    MetricsPage,
    ProcessCollector,
    histogram,
    labelled,
    registry_of,
)


class Shown(Collector):
    """A collector of given metrics."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics: Iterable[Metric] = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def text_of(*collectors: Collector, accept: str = "") -> tuple[str, str]:
    """Return the page of these collectors, and its content type."""
    request = DummyRequest([b"metrics"])
    if accept:
        request.requestHeaders = Headers({"accept": [accept]})
    page = MetricsPage(registry_of(collectors)).render(request)
    kind: str = request.responseHeaders.getRawHeaders("content-type", [""])[0]
    return page.decode(), kind


def samples_of(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the values of a page, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(page)
        for sample in family.samples
    }


class PageTests(SynchronousTestCase):
    """The page has the metrics of its registry."""

    def test_figures_are_those_of_the_moment(self) -> None:
        """Each page is made when it is requested."""
        counters = Counters()
        collector = CountersCollector("gobelieve_test_events", "What happened.", counters)
        page = MetricsPage(registry_of([collector]))
        for count in (1, 2):
            counters.add("logins")
            text = page.render(DummyRequest([b"metrics"])).decode()
            key = "gobelieve_test_events_total", (("event", "logins"),)
            self.assertEqual(samples_of(text)[key], count)

    def test_formats(self) -> None:
        """The page is in the text format, or in OpenMetrics if the request accepts it."""
        shown = Shown(CounterMetricFamily("gobelieve_test", "A count.", 3))
        text, kind = text_of(shown)
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn("# HELP gobelieve_test_total A count.\n", text)
        self.assertIn("# TYPE gobelieve_test_total counter\ngobelieve_test_total 3.0\n", text)
        text, kind = text_of(shown, accept="application/openmetrics-text; version=1.0.0")
        self.assertEqual(kind.partition(";")[0], "application/openmetrics-text")
        names = [family.name for family in openmetrics.text_string_to_metric_families(text)]
        self.assertIn("gobelieve_test", names)

    def test_labels_are_quoted(self) -> None:
        """A label may contain any character."""
        family = GaugeMetricFamily("gobelieve_test", "A gauge.", labels=["slave"])
        text, _ = text_of(Shown(labelled(family, [(['a"b\\c\nd'], 1)])))
        self.assertEqual(samples_of(text)["gobelieve_test", (("slave", 'a"b\\c\nd'),)], 1)

    def test_histogram(self) -> None:
        """Each bucket counts the values up to its bound; the sum is there as well."""
        values = Histogram((0.001, 1))
        for value in (0.0005, 0.5, 7):
            values.observe(value)
        samples = samples_of(text_of(Shown(histogram("gobelieve_test", "Values.", values)))[0])
        for bound, count in (("0.001", 1), ("1.0", 2), ("+Inf", 3)):
            self.assertEqual(samples["gobelieve_test_bucket", (("le", bound),)], count)
        self.assertEqual(samples["gobelieve_test_count", ()], 3)
        self.assertAlmostEqual(samples["gobelieve_test_sum", ()], 7.5005)

    def test_registries_are_apart(self) -> None:
        """Daemons in one process do not show the metrics of each other."""
        text, _ = text_of(Shown(GaugeMetricFamily("gobelieve_one", "One.", 1)))
        other, _ = text_of(Shown(GaugeMetricFamily("gobelieve_other", "Other.", 1)))
        self.assertNotIn("gobelieve_other", text)
        self.assertNotIn("gobelieve_one", other)


class ProcessTests(SynchronousTestCase):
    """The page has the usual figures of the process."""

    def figures(self) -> dict[str, float]:
        """Return the figures of this process."""
        return {
            sample.name: sample.value
            for family in ProcessCollector().collect()
            for sample in family.samples
        }

    def test_figures(self) -> None:
        """The figures agree with those of the resource module."""
        found = self.figures()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = usage.ru_utime + usage.ru_stime
        self.assertLess(abs(found["process_cpu_seconds_total"] - cpu), 0.5)
        self.assertLess(found["process_resident_memory_bytes"], 1.2 * 1024 * usage.ru_maxrss)
        self.assertGreater(found["process_resident_memory_bytes"], 1 << 20)
        self.assertGreater(found["process_virtual_memory_bytes"], 1 << 20)
        self.assertLess(0, time.time() - found["process_start_time_seconds"])
        self.assertLess(time.time() - found["process_start_time_seconds"], 3600 * 24)
        self.assertEqual(found["gobelieve_build_info"], 1)

    def test_version(self) -> None:
        """The version of the daemon is a label."""
        labels = (("version", __version__),)
        self.assertIn(("gobelieve_build_info", labels), samples_of(text_of()[0]))

    def test_open_files(self) -> None:
        """The kernel counts the open files; kernels before 6.2 do not."""
        before = self.figures().get("process_open_fds")
        if before is None:
            raise SkipTest("the kernel is older than 6.2")
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
        after = self.figures()["process_open_fds"]
        for file in files:
            os.close(file)
        self.assertEqual(after - before, 10)
