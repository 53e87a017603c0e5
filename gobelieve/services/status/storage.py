"""The status of storage: its metrics, its summary, and whether it can store messages.

The figures are read on each request, from counters that storage keeps anyway.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gobelieve.interfaces import Time
from gobelieve.names import AckStatus
from gobelieve.protocols.http.status.metrics import histogram, labelled
from gobelieve.protocols.replication.master import SlavesFactory
from gobelieve.protocols.replication.slave import MasterLink
from gobelieve.protocols.storage.listener import StorageFactory
from gobelieve.services.status.pages import PartStatus
from gobelieve.storage.replication.reader import id_of
from gobelieve.storage.storage import Storage
from gobelieve.wire.message import MESSAGES
from gobelieve.wire.storage import SUPER_GROUPS, USERS, StoragePing

Counter, Gauge = CounterMetricFamily, GaugeMetricFamily
REFUSALS = {
    AckStatus.STORAGE_AWAY: "away",
    AckStatus.TOO_LARGE: "too_large",
    AckStatus.STORAGE_FULL: "full",
    AckStatus.STORAGE_FAILED: "failed",
    AckStatus.READ_ONLY: "read_only",
}
"""The reasons why a message was not stored, by the names of the outcomes in metrics."""
OUTCOMES = ("done", "failed", "refused")
"""The outcomes of a request; see `gobelieve.metrics.Outcomes`."""


@dataclass(frozen=True)
class StorageParts:
    """The parts of the storage daemon that have figures."""

    storage: Storage
    ports: Mapping[str, StorageFactory]
    """The ports for gateways and older clients, by their names."""
    slaves: SlavesFactory | None
    master: MasterLink | None


class StorageStatus(PartStatus):
    """The metrics and figures of storage."""

    def __init__(self, parts: StorageParts, time: Time) -> None:
        self.storage = parts.storage
        self._parts = parts
        self._time = time

    @property
    def trouble(self) -> str:
        """The reason why storage cannot store messages; "" if it can."""
        return self.storage.trouble

    # --- /metrics

    def collect(self) -> Iterable[Metric]:
        yield from self._saves()
        yield from self._reads_and_requests()
        yield from self._files()
        yield from self._snapshots()
        yield from self._slaves()
        yield from self._master()

    def _saves(self) -> Iterator[Metric]:
        counters = self.storage.counters
        what = "Messages that were given an id, by whose queue they are for."
        groups = counters.group_appends
        yield labelled(
            Counter("gobelieve_storage_appends", what, labels=["queue"]),
            [(["user"], counters.appends - groups), (["group"], groups)],
        )
        what = "Messages that were to be saved, by the answer to their sender."
        outcomes = [(["stored"], counters.stored)]
        outcomes += [([name], counters.not_stored.get(s, 0)) for s, name in REFUSALS.items()]
        yield labelled(Counter("gobelieve_storage_saves", what, labels=["outcome"]), outcomes)
        blocks = self.storage.store.blocks
        yield Counter("gobelieve_storage_written_bytes", "Bytes written to blocks.", blocks.written)
        what = "Writes that failed."
        yield Counter("gobelieve_storage_writes_failed", what, counters.writes_failed)
        what = "Syncs that went well, by how long they took."
        yield histogram("gobelieve_storage_sync_seconds", what, counters.sync_seconds)
        yield Counter("gobelieve_storage_syncs_failed", "Syncs that failed.", counters.syncs_failed)
        what = "Syncs that went well, by how many messages they covered, if any."
        yield histogram("gobelieve_storage_commit_messages", what, counters.group_sizes)

    def _reads_and_requests(self) -> Iterator[Metric]:
        counters, ports = self.storage.counters, self._parts.ports
        yield Counter("gobelieve_storage_reads", "Questions that were answered.", counters.reads)
        what = "Messages in the answers."
        yield Counter("gobelieve_storage_read_messages", what, counters.messages_read)
        what = "Damaged records that were met."
        damaged = self.storage.store.reader.damaged_records
        yield Gauge("gobelieve_storage_damaged_records", what, damaged)
        what = "Messages that were too long for a list on the port of the older clients."
        left_out = sum(port.counters["left_out"] for port in ports.values())
        yield Counter("gobelieve_storage_left_out", what, left_out)
        what = "Connections of gateways and older clients, by port."
        yield labelled(
            Gauge("gobelieve_storage_connections", what, labels=["port"]),
            [([name], len(port.connections)) for name, port in ports.items()],
        )
        labels = ["port", "command", "outcome"]
        counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        for name, port in ports.items():
            requests = port.requests
            outcomes = (requests.done, requests.failed, requests.refused)
            for outcome, by_command in zip(OUTCOMES, outcomes, strict=True):
                for cmd, count in by_command.items():
                    counts[name, command_name(cmd), outcome] += count
        yield labelled(
            Counter("gobelieve_storage_requests", "Requests that were answered.", labels=labels),
            sorted(counts.items()),
        )

    def _files(self) -> Iterator[Metric]:
        store = self.storage.store
        blocks, index = store.blocks, store.index
        what = "1 if messages can be stored, as far as is known."
        yield Gauge("gobelieve_storage_ready", what, not self.trouble)
        yield labelled(
            Gauge("gobelieve_storage_queues", "Queues there are.", labels=["queue"]),
            [(["user"], index.count(USERS)), (["group"], index.count(SUPER_GROUPS))],
        )
        end, settled = id_of(store, blocks.end), id_of(store, store.settled)
        what = "The id behind the newest record that readers may see."
        yield Gauge("gobelieve_storage_end_id", what, settled)
        what = "Bytes that are appended and that readers may not see yet."
        yield Gauge("gobelieve_storage_unsettled_bytes", what, end - settled)
        yield Gauge("gobelieve_storage_blocks", "Block files there are.", len(blocks.numbers))
        reading, writing = blocks.open_files
        yield labelled(
            Gauge("gobelieve_storage_open_files", "Block files that are open.", labels=["use"]),
            [(["reading"], reading), (["writing"], writing)],
        )

    def _snapshots(self) -> Iterator[Metric]:
        counters, stated = (
            self.storage.store.snapshots.counters,
            self.storage.store.snapshots.stated,
        )
        what = "Snapshots of the index that were to be taken."
        yield labelled(
            Counter("gobelieve_storage_snapshots", what, labels=["outcome"]),
            [(["taken"], counters.taken), (["failed"], counters.failed)],
        )
        what = "When the snapshot on disk was written; 0: there is none."
        yield Gauge("gobelieve_storage_snapshot_timestamp_seconds", what, counters.at)
        what = "How long the last one took since the start."
        yield Gauge("gobelieve_storage_snapshot_duration_seconds", what, counters.seconds)
        what = "The id that the snapshot on disk reaches; 0: there is none."
        yield Gauge("gobelieve_storage_snapshot_id", what, stated or 0)

    def _slaves(self) -> Iterator[Metric]:
        factory, now = self._parts.slaves, self._time.seconds()
        fed = [] if factory is None else factory.slaves
        end = 0 if factory is None else factory.end
        yield Gauge("gobelieve_storage_slaves", "Slaves that are connected.", len(fed))
        what = "Bytes that a slave has not confirmed to have on disk."
        yield labelled(
            Gauge("gobelieve_storage_slave_lag_bytes", what, labels=["slave"]),
            [([slave.address], slave.lag_bytes(end)) for slave in fed],
        )
        what = "For how long a slave has lacked something."
        yield labelled(
            Gauge("gobelieve_storage_slave_lag_seconds", what, labels=["slave"]),
            [([slave.address], max(0.0, slave.lag_seconds(now))) for slave in fed],
        )
        what = "Bytes that a slave was not sent yet."
        yield labelled(
            Gauge("gobelieve_storage_slave_unsent_bytes", what, labels=["slave"]),
            [([slave.address], max(0, end - slave.sent)) for slave in fed],
        )

    def _master(self) -> Iterator[Metric]:
        link = self._parts.master
        yield Gauge("gobelieve_storage_is_slave", "1 if this is a slave.", self.storage.is_slave)
        what = "Pieces of its files that the master sent."
        yield Counter("gobelieve_storage_pieces", what, self.storage.counters.pieces)

        def gauge(name: str, what: str, value: Callable[[MasterLink], float]) -> Metric:
            samples = [] if link is None else [([link.address], value(link))]
            name = f"gobelieve_storage_master_{name}"
            return labelled(Gauge(name, what, labels=["master"]), samples)

        yield gauge("connected", "1 if the master is connected.", _is_connected)
        what = "1 if the last answer of the master was a refusal."
        yield gauge("refused", what, lambda link: link.refused)
        what = "Bytes that came from the master and are not on disk yet."
        yield gauge("unsynced_bytes", what, lambda link: link.unsynced)
        what = "When the master sent something last; 0: it never did."
        yield gauge("heard_timestamp_seconds", what, lambda link: link.heard_at)

    # --- /summary

    def summary(self) -> dict[str, object]:
        """Return the four figures of the Go server, and those that an operator needs first."""
        counters, store = self.storage.counters, self.storage.store
        return {
            "goroutine_count": threading.active_count(),
            "request_count": sum(map(_request_count, self._parts.ports.values())),
            "peer_message_count": counters.appends - counters.group_appends,
            "group_message_count": counters.group_appends,
            "stored": counters.stored,
            "not_stored": {name: counters.not_stored.get(s, 0) for s, name in REFUSALS.items()},
            "trouble": self.trouble,
            "role": "slave" if self.storage.is_slave else "master",
            "end_id": id_of(store, store.settled),
            "queues": {"user": store.index.count(USERS), "group": store.index.count(SUPER_GROUPS)},
            "blocks": len(store.blocks.numbers),
            "connections": {
                name: len(port.connections) for name, port in self._parts.ports.items()
            },
            "snapshot": self._summary_of_snapshot(),
            "slaves": self._summary_of_slaves(),
            "master": self._summary_of_master(),
        }

    def _summary_of_snapshot(self) -> dict[str, object] | None:
        snapshots = self.storage.store.snapshots
        if snapshots.stated is None:
            return None
        age = max(0.0, self._time.seconds() - snapshots.counters.at)
        return {"id": snapshots.stated, "age": round(age, 3)}

    def _summary_of_slaves(self) -> list[dict[str, object]]:
        factory, now = self._parts.slaves, self._time.seconds()
        if factory is None:
            return []
        return [
            {
                "address": slave.address,
                "lag_bytes": slave.lag_bytes(factory.end),
                "lag_seconds": round(max(0.0, slave.lag_seconds(now)), 3),
            }
            for slave in factory.slaves
        ]

    def _summary_of_master(self) -> dict[str, object] | None:
        link = self._parts.master
        if link is None:
            return None
        return {
            "address": link.address,
            "connected": _is_connected(link),
            "refused": link.refused,
            "unsynced_bytes": link.unsynced,
        }


def command_name(cmd: int) -> str:
    """Return the name of a command in metrics; all unknown commands share one name."""
    return MESSAGES[cmd].label.lower() if cmd in MESSAGES else "unknown"


def _request_count(port: StorageFactory) -> int:
    """Return the number of answered requests, without pings."""
    requests = port.requests
    ends = (requests.done, requests.failed, requests.refused)
    return sum(sum(end.values()) - end.get(StoragePing.number, 0) for end in ends)


def _is_connected(link: MasterLink) -> bool:
    return link.connection is not None
