"""Puts on the board what can only be looked at now and then: the pools, the process, the caches.

Looked at once a second by a thread of its own: in an outage the pools' housekeeper is busy connecting, and that
is when their figures are wanted. What a worker counted since the last look is lost when it is killed.
Must not import Flask. If this is wrong, gauges are; nothing else stops.
"""

from __future__ import annotations

import weakref
from typing import Any

from . import system_metrics
from .cache_stats import cache_stats
from .database_helper import current_pool
from .dropin import installed
from .metric_names import BY_NAME
from .pool_classes import covered
from .recorder import Recorder

GAUGES = {
    "maxconn": "db_pool_max", "waiting": "db_pool_pending_requests", "outage": "db_pool_outage_seconds",
    "longest_lease": "db_pool_longest_lease_seconds",
}  # fmt: skip
COUNTERS = {
    "timeouts": "db_pool_timeouts", "refused": "db_pool_refused", "nested": "db_pool_nested",
    "connect_failures": "db_pool_connect_failures",
}  # fmt: skip
SUMMARIES = {
    "db_pool_wait_time_seconds": ("waited", "wait_time"), "db_pool_use_time_seconds": ("leased", "use_time"),
    "db_pool_create_time_seconds": ("opened", "create_time"),
}  # fmt: skip
Counted = dict[tuple[str, tuple[str, ...]], tuple[float, ...]]  # metric and labels: what it has counted


class WorkerFigures:
    """What was seen at the last look, so that counters get what came since.

    Args:
        recorder: where they go.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pools: weakref.WeakKeyDictionary[Any, Counted] = weakref.WeakKeyDictionary()
        self._process: Counted = {}
        self._gauges: set[tuple[str, tuple[str, ...]]] = set()

    def look(self) -> None:
        """Look at all."""
        self._look_at_pools()
        self._look_at_process()
        counted: Counted = {}
        for name, figures in cache_stats.snapshot().items():
            counted["harden_cache_hits", (name,)] = (figures["hits"],)
            counted["harden_cache_misses", (name,)] = (figures["misses"],)
        self._count(self._process, counted)

    def _look_at_pools(self) -> None:
        found: dict[tuple[str, tuple[str, ...]], float] = dict.fromkeys(self._gauges, 0.0)
        for name, pool in _pools():
            figures = pool.stats()
            if not pool.closed:
                _add_gauges(found, name, figures)
            self._count(self._pools.setdefault(pool, {}), _counted(name, figures))
        for (metric, labels), value in found.items():
            self._recorder.put(metric, labels, (value,))
        self._gauges.update(found)  # a pool that is gone has none

    def _look_at_process(self) -> None:
        figures = system_metrics.snapshot()
        put = self._recorder.put
        for name, total, most in (
            ("rss_bytes", "harden_resident_memory_bytes", "harden_largest_worker_memory_bytes"),
            ("threads", "harden_threads", "harden_most_threads"),
            ("open_files", "harden_open_files", "harden_most_open_files"),
        ):
            if figures[name] is not None:
                put(total, (), (float(figures[name]),))
                put(most, (), (float(figures[name]),))
        put_cpu: Counted = {("harden_cpu_seconds", ()): (float(figures["cpu_seconds"]),)}
        self._count(self._process, put_cpu)

    def _count(self, before: Counted, now: Counted) -> None:
        for key, values in now.items():
            last = before.get(key, (0.0,) * len(values))
            # Less than before is a count that began anew, such as a cache that was cleared.
            more = [new - old if new >= old else new for new, old in zip(values, last, strict=True)]
            if any(more) or key not in before:
                self._recorder.add(*key, *more)
            before[key] = values


def _pools() -> list[tuple[str, Any]]:
    shared, drop_in = current_pool(), installed()
    found: list[tuple[str, Any]] = [("DATABASE_URL", shared)] if shared is not None else []
    found += [("psycopg2.connect", pool) for pool in list(drop_in.pools.values())] if drop_in is not None else []
    return found + [("psycopg2.pool", pool) for pool in covered()]


def _add_gauges(found: dict[tuple[str, tuple[str, ...]], float], name: str, figures: dict[str, Any]) -> None:
    seen: Counted = {("db_pool_connections", (name, state)): (figures[state],) for state in ("idle", "used")}
    seen |= {(metric, (name,)): (figures[key],) for key, metric in GAUGES.items()}
    seen["db_pool_fullest_worker_ratio", (name,)] = (figures["used"] / max(1, figures["maxconn"]),)
    for key, (value,) in seen.items():  # several pools of one name, such as one per DSN, are shown as one
        before = found.get(key, 0.0)
        found[key] = max(before, value) if BY_NAME[key[0]].worst else before + value


def _counted(name: str, figures: dict[str, Any]) -> Counted:
    counted: Counted = {(metric, (name,)): (figures[key],) for key, metric in COUNTERS.items()}
    counted |= {(metric, (name,)): (figures[a], figures[b]) for metric, (a, b) in SUMMARIES.items()}
    counted |= {("db_pool_closed", (name, why)): (count,) for why, count in figures["closed_for"].items()}
    return counted
