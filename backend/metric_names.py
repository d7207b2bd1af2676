"""Every metric there is: its name, kind, labels, and what it says. One table.

The board lays its cells out by it, `/metrics` is written from it, and a test holds the documentation, the alert
rules and the dashboard against it. Words for the pool are OpenTelemetry's (`db.client.connection.*`).
Imports nothing. If this is wrong, a figure goes under another's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
OTHER = "other"  # the label of all that came after the last that had room


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as Prometheus knows it; a counter's samples end in `_total` as well.
        kind: "counter", "gauge", "histogram", or "summary" (a sum and a count, no quantiles).
        labels: their names, in the order in which values are given.
        help: what it says.
        bounds: a histogram's upper bounds, the last one (+Inf) left out.
        worst: of a gauge: whether the highest worker's is shown instead of the sum of all.
        most: how many sets of labels there may be; what comes after goes to `other`.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()
    worst: bool = False
    most: int = 1000

    @property
    def cells(self) -> int:
        """How many numbers it takes: a histogram's counts per bucket, +Inf and sum; a summary's count and sum."""
        return {"histogram": len(self.bounds) + 2, "summary": 2}.get(self.kind, 1)


_STATEMENT = ("fingerprint", "summary")
_DATABASE, _CLIENT = ("database",), ("database", "user")
TABLE: tuple[Metric, ...] = (
    Metric("harden_request_duration_seconds", "histogram", ("route", "method", "status"),
           "Time of requests, streamed bodies included, by URL rule, method and class of status.", SECONDS),
    Metric("harden_request_queries", "histogram", ("route",), "Queries per request.", COUNTS, most=300),
    Metric("harden_request_query_seconds", "counter", ("route",), "Time of requests in queries.", most=300),
    Metric("harden_query_duration_seconds", "histogram", _STATEMENT,
           "Time of queries by statement, whatever its values.", SECONDS, most=300),
    Metric("harden_query_errors", "counter", _STATEMENT, "Queries that failed.", most=300),
    Metric("harden_slow_queries", "counter", ("route",), "Queries longer than DB_SLOW_QUERY_MS.", most=300),
    Metric("harden_statement_timeouts", "counter", ("route",),
           "Queries that the server ended for their statement_timeout.", most=300),
    Metric("harden_repeats", "counter", ("route",),
           "N+1 reports: a request ran statements from one function more often than DB_REPEAT_LIMIT.", most=300),
    Metric("harden_repeated_queries", "counter", ("route",), "Queries in those reports.", most=300),
    Metric("harden_repeated_query_seconds", "counter", ("route",), "Time spent in those queries.", most=300),
    Metric("harden_cache_hits", "counter", ("cache",), "Answers that came from a cache.", most=300),
    Metric("harden_cache_misses", "counter", ("cache",), "Answers that had to be made.", most=300),
    Metric("db_pool_connections", "gauge", ("pool", "state"), "Connections that are open, `idle` or `used`."),
    Metric("db_pool_max", "gauge", ("pool",), "Most connections that there may be."),
    Metric("db_pool_pending_requests", "gauge", ("pool",), "Callers waiting for a connection."),
    Metric("db_pool_fullest_worker_ratio", "gauge", ("pool",),
           "Used connections over the most, in the worker where that is highest.", worst=True),
    Metric("db_pool_timeouts", "counter", ("pool",), "Callers that waited for DB_POOL_TIMEOUT in vain."),
    Metric("db_pool_refused", "counter", ("pool",), "Callers refused at once, for DB_POOL_MAX_WAITING."),
    Metric("db_pool_nested", "counter", ("pool",), "Leases taken by a thread that held one already."),
    Metric("db_pool_wait_time_seconds", "summary", ("pool",), "Time that callers waited for a connection."),
    Metric("db_pool_use_time_seconds", "summary", ("pool",), "Time between a lease's begin and its end."),
    Metric("db_pool_create_time_seconds", "summary", ("pool",), "Time that opening connections took."),
    Metric("db_pool_connect_failures", "counter", ("pool",), "Connections that could not be opened."),
    Metric("db_pool_closed", "counter", ("pool", "reason"), "Connections closed, by reason."),
    Metric("db_pool_outage_seconds", "gauge", ("pool",),
           "For how long connecting has failed, in the worker where longest; 0 when it works.", worst=True),
    Metric("db_pool_longest_lease_seconds", "gauge", ("pool",), "Age of the oldest lease.", worst=True),
    Metric("harden_workers", "gauge", (), "Worker processes alive."),
    Metric("harden_worker_starts", "counter", (), "Worker processes started, since the service did."),
    Metric("harden_worker_ends", "counter", ("how",),
           "Worker processes that ended: `exit` of their own, or `killed` (no memory, a crash)."),
    Metric("harden_metrics_alone", "gauge", (),
           "1 when a page is of one worker that has nowhere to share figures (HARDEN_RUN_DIR), 0 when of all.",
           worst=True),
    Metric("harden_resident_memory_bytes", "gauge", (), "Resident memory of all workers, shared pages in each."),
    Metric("harden_largest_worker_memory_bytes", "gauge", (), "The same of the largest worker.", worst=True),
    Metric("harden_cpu_seconds", "counter", (), "Processor time of all workers, those that ended included."),
    Metric("harden_threads", "gauge", (), "Threads of all workers."),
    Metric("harden_most_threads", "gauge", (), "Threads of the worker with the most.", worst=True),
    Metric("harden_open_files", "gauge", (), "File descriptors of all workers, sockets included."),
    Metric("harden_most_open_files", "gauge", (), "File descriptors of the worker with the most.", worst=True),
    Metric("harden_pgbouncer_up", "gauge", (), "1 when PgBouncer's console answers; with HARDEN_PGBOUNCER_DSN."),
    Metric("harden_pgbouncer_clients", "gauge", (*_CLIENT, "state"),
           "PgBouncer's client connections: `active`, or `waiting` for a server connection."),
    Metric("harden_pgbouncer_servers", "gauge", (*_CLIENT, "state"),
           "PgBouncer's server connections: `active`, `idle`, `used`, `tested` or `login`."),
    Metric("harden_pgbouncer_max_wait_seconds", "gauge", _CLIENT, "How long a client has waited, at most."),
    Metric("harden_pgbouncer_transactions", "counter", _DATABASE, "Transactions through PgBouncer."),
    Metric("harden_pgbouncer_queries", "counter", _DATABASE, "Queries through PgBouncer."),
    Metric("harden_pgbouncer_received_bytes", "counter", _DATABASE, "Bytes from clients."),
    Metric("harden_pgbouncer_sent_bytes", "counter", _DATABASE, "Bytes to clients."),
    Metric("harden_pgbouncer_transaction_seconds", "counter", _DATABASE, "Time in transactions."),
    Metric("harden_pgbouncer_query_seconds", "counter", _DATABASE, "Time in queries."),
    Metric("harden_pgbouncer_wait_seconds", "counter", _DATABASE, "Time that clients waited for a server."),
)  # fmt: skip
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in TABLE}
# Cells are added up between processes: only between those that mean the same by them.
_LAYOUT = [(metric.name, metric.kind, metric.labels, metric.bounds) for metric in TABLE]
SCHEMA = hashlib.blake2b(repr(_LAYOUT).encode(), digest_size=8).digest()


def sample_names(metric: Metric) -> list[str]:
    """Return the names under which a metric's samples appear on `/metrics`."""
    ends = {
        "counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "summary": ["_count", "_sum"],
    }.get(metric.kind, [""])  # fmt: skip
    return [metric.name + end for end in ends]
