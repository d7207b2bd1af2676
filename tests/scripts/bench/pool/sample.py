"""A made-up result with round figures."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.bench.noise import Noise
from scripts.bench.pool.result import Result, Row
from scripts.bench.pool.rounds import Plan
from scripts.bench.pool.subjects import BY_KEY
from scripts.bench.spread import spread

QUIET = Noise(load_before=0.1, load_after=1.5, steal=0.0, cores=2)
FIGURES = {
    "checkout_us": 4.0, "block_us": 4.0, "query_us": 100.0, "ops_per_second": 2800.0, "wait_p50_ms": 20.0,
    "wait_p99_ms": 25.0, "wait_max_ms": 30.0, "jain": 0.999, "ops_low": 80.0, "ops_high": 90.0, "failed": 0.0,
    "backends": 8.0,
    "storm_ms": 40.0, "storm_failed": 0.0, "storm_opened": 8.0, "storm_backends": 8.0, "threads_1_us": 100.0,
    "threads_64_us": 200.0, "memory_kib": 24.0, "recovery_failed": 0.0, "recovery_untried": 0.0,
    "recovery_first_ms": 10.0, "recovery_all_ms": 150.0,
}  # fmt: skip


def row(key: str, **changed: float | list[float]) -> Row:
    """A subject with the usual figures, less those that are changed; a list has a value per round."""
    values: Mapping[str, float | list[float]] = {**FIGURES, **changed}
    figures = {name: spread(found if isinstance(found, list) else [found]) for name, found in values.items()}
    return Row(key, BY_KEY[key].label, figures)


def result(*rows: Row, noise: Noise = QUIET) -> Result:
    """A result with these rows."""
    return Result(
        date="2026-11-22",
        command="scripts/harden bench pool",
        machine={"cpu": "a <CPU>", "cores": 2, "memory_gib": 4.0, "os": "Linux", "python": "3.11",
                 "postgresql": "15.1"},
        versions={"psycopg2-binary": "2.9"},
        plan=Plan(threads=(1, 64)),
        noise=noise,
        rows=rows,
        left_out={"DBUtils PooledDB": "dbutils could not be installed: no network"},
        problems=["recovery: SQLAlchemy: it ended"],
    )  # fmt: skip
