"""Which bars are judged, and how."""

from __future__ import annotations

import pytest

from scripts.bench.pool.bars import judge

from .sample import result, row


def _held(*rows: object) -> dict[str, bool]:
    return {bar.text: bar.holds for bar in judge(result(*rows))}  # type: ignore[arg-type]


@pytest.mark.parametrize(("theirs", "holds"), [(4.0, True), (3.34, True), (3.3, False)])
def test_checkout_is_held_against_psycopg2(theirs: float, holds: bool) -> None:
    bars = _held(row("ours"), row("psycopg2", block_us=theirs))
    assert bars["checkout in a with block at most x 1.2 of psycopg2, polled"] is holds


def test_a_bar_whose_peer_is_missing_is_not_judged() -> None:
    assert not [text for text in _held(row("ours")) if "psycopg" in text or "SQLAlchemy" in text or "peer" in text]


def test_throughput_is_held_against_peers_that_keep_their_limit_alone() -> None:
    faster = row("psycopg2-pool", ops_per_second=3700.0, backends=[8.0, 65.0])
    slower = row("semaphore", ops_per_second=2700.0)
    assert _held(row("ours"), faster, slower)["throughput above every peer that keeps its limit"]
    too_fast = row("dbutils", ops_per_second=2900.0)
    assert not _held(row("ours"), faster, too_fast)["throughput above every peer that keeps its limit"]


def test_the_worst_round_counts_for_backends_and_failures() -> None:
    bars = _held(row("ours", backends=[8.0, 8.0, 9.0], recovery_failed=[0.0, 0.0, 1.0]))
    assert bars["never more than 8 backends"] is False
    assert bars["ours: no failure after terminate, the first answer within 100 ms"] is False


def test_waits_are_held_against_psycopg_pool() -> None:
    bars = _held(row("ours"), row("psycopg-pool", wait_p99_ms=34.0, wait_max_ms=29.0))
    assert (bars["p99 wait below psycopg_pool's"], bars["longest wait below psycopg_pool's"]) == (True, False)


def test_without_ours_nothing_is_judged() -> None:
    assert judge(result(row("psycopg2"))) == []
