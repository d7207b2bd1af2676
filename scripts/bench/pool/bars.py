"""What ours has to reach, each against a peer of the same run; a bar whose peer was not measured is not there."""

from __future__ import annotations

from collections.abc import Iterator

from ...demo.report.figures import counted, measured
from ..output import Bar
from .result import Result, Row

CHECKOUT = (("psycopg2", 1.2), ("psycopg-pool", 0.6), ("sqlalchemy", 0.35))
FAIR = 0.99
RECOVERED_MS = 100.0


def judge(result: Result) -> list[Bar]:
    """Return every bar that this run can judge, for reset="rollback" as the pool's own default."""
    ours = result.row("ours")
    if ours is None:
        return []
    bars = [*_checkout(result, ours), *_throughput(result, ours), *_fairness(ours), *_waits(result, ours)]
    return [*bars, *_limit(result), *_recovery(result)]


def _checkout(result: Result, ours: Row) -> Iterator[Bar]:
    for key, limit in CHECKOUT:
        peer = result.row(key)
        ratio = result.ratio(ours, "block_us", key)
        if peer is not None and ratio is not None:
            text = f"checkout in a with block at most x {limit:g} of {peer.label}"
            yield Bar(text, f"x {measured(ratio)}", ratio <= limit)


def _throughput(result: Result, ours: Row) -> Iterator[Bar]:
    mine = ours.median("ops_per_second")
    peers = {
        row.label: row.median("ops_per_second") or 0.0
        for row in result.rows
        if not row.is_ours and result.is_within_limit(row)
    }
    if mine is not None and peers:
        best = max(peers, key=lambda label: peers[label])
        yield Bar(
            "throughput above every peer that keeps its limit",
            f"{measured(mine)} against {measured(peers[best])} ({best})",
            mine > peers[best],
        )


def _fairness(ours: Row) -> Iterator[Bar]:
    jain = ours.median("jain")
    if jain is not None:
        yield Bar(f"Jain at least {FAIR:g}", f"{jain:.3f}", jain >= FAIR)


def _waits(result: Result, ours: Row) -> Iterator[Bar]:
    peer = result.row("psycopg-pool")
    for name, word in (("wait_p99_ms", "p99"), ("wait_max_ms", "longest")):
        mine, theirs = ours.median(name), peer.median(name) if peer else None
        if mine is not None and theirs is not None:
            reached = f"{measured(mine)} ms against {measured(theirs)} ms"
            yield Bar(f"{word} wait below psycopg_pool's", reached, mine < theirs)


def _limit(result: Result) -> Iterator[Bar]:
    found = [row.high(name) for row in result.rows if row.is_ours for name in ("backends", "storm_backends")]
    seen = [most for most in found if most is not None]
    if seen:
        most = max(seen)
        yield Bar(f"never more than {result.plan.size} backends", counted(most), most <= result.plan.size)


def _recovery(result: Result) -> Iterator[Bar]:
    for row in result.rows:
        failed, first = row.high("recovery_failed"), row.median("recovery_first_ms")
        if row.is_ours and failed is not None and first is not None:
            yield Bar(
                f"{row.label}: no failure after terminate, the first answer within {RECOVERED_MS:g} ms",
                f"{counted(failed)} failed, {measured(first)} ms",
                failed == 0 and first <= RECOVERED_MS,
            )
