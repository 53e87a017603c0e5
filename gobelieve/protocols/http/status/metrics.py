"""``/metrics``: a daemon's figures for Prometheus.

Figures are kept as plain numbers where they arise; a `Collector` makes metrics of them when the
page is requested. Each daemon has a registry of its own. A page is made in the event loop, so a
collector reads only sizes that are known: it never walks over queues or connections.
"""

import os
import resource
from collections.abc import Iterable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from twisted.web.resource import Resource
from twisted.web.server import Request

from gobelieve import __version__
from gobelieve.metrics import Counters, Histogram

F = TypeVar("F", CounterMetricFamily, GaugeMetricFamily)
_PAGE_BYTES = resource.getpagesize()
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class MetricsPage(Resource):
    """The metrics of a registry, in the format that the request accepts."""

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        encode, content_type = choose_encoder(request.getHeader("accept") or "")
        request.setHeader("content-type", content_type)
        return encode(self._registry)


def registry_of(collectors: Iterable[Collector]) -> CollectorRegistry:
    """Return a registry for one daemon, with the process's own figures."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (*collectors, ProcessCollector()):
        registry.register(collector)
    return registry


def labelled(family: F, samples: Iterable[tuple[Sequence[str], float]]) -> F:
    """Add samples to a family, each with its labels' values; return the family."""
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def histogram(name: str, what: str, values: Histogram) -> HistogramMetricFamily:
    """Return a distribution as a metric."""
    buckets = [(floatToGoString(bound), float(count)) for bound, count in values.cumulative()]
    return HistogramMetricFamily(name, what, buckets=buckets, sum_value=values.total)


class CountersCollector(Collector):
    """Shows counters as one metric with the label ``event``."""

    def __init__(self, name: str, what: str, counters: Counters) -> None:
        self._name = name
        self._what = what
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        samples = (([event], count) for event, count in sorted(self._counters.counts.items()))
        yield labelled(CounterMetricFamily(self._name, self._what, labels=["event"]), samples)


class ProcessCollector(Collector):
    """Shows the usual metrics of a process, under their usual names, from Linux's /proc.

    The library's own collector lists the open files to count them, which takes half a second with
    100,000 connections. Kernels from 6.2 on tell the number; with an older one it is left out.
    """

    def __init__(self) -> None:
        self._boot_time = _boot_time()

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("gobelieve_build", "Which version runs.", {"version": __version__})
        yield GaugeMetricFamily(
            "process_max_fds", "Open files allowed.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        )
        try:
            with open("/proc/self/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            files = os.stat("/proc/self/fd").st_size
        except OSError:
            return
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
        yield CounterMetricFamily("process_cpu_seconds", "CPU time, user and system.", cpu)
        start = self._boot_time + int(fields[19]) / _TICKS_PER_SECOND
        yield GaugeMetricFamily("process_start_time_seconds", "When it started.", start)
        yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory.", int(fields[20]))
        yield GaugeMetricFamily(
            "process_resident_memory_bytes", "Resident memory.", int(fields[21]) * _PAGE_BYTES
        )
        if files:
            yield GaugeMetricFamily("process_open_fds", "Open files and sockets.", files)


def _boot_time() -> float:
    """Return when the machine started, in seconds since 1970; 0 if that is unknown."""
    try:
        with open("/proc/stat", "rb") as stat:
            return next(
                (float(line.split()[1]) for line in stat if line.startswith(b"btime ")), 0.0
            )
    except OSError:
        return 0.0
