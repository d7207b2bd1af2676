"""H531: a statement that takes long each time."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...target import Target
from ...workload.statements import Asked, fingerprint
from .missing import SHOWN, said

LEAST_CALLS = 5
MOST = 10  # findings, the slowest first


def _check(target: Target) -> Iterator[Advice]:
    slow = [
        each for each in target.workload.statements
        if each.calls >= LEAST_CALLS and each.mean_ms >= target.options.slow_ms
    ]  # fmt: skip
    for each in sorted(slow, key=lambda each: -each.mean_ms)[:MOST]:
        yield of(RULE, each, f"takes {each.mean_ms:,.0f} ms on average, in {each.calls:,} calls",
                 Severity.high if each.mean_ms >= 10 * target.options.slow_ms else Severity.medium)  # fmt: skip


def of(rule: LiveRule, asked: Asked, what: str, severity: Severity) -> Advice:
    """Return a finding about one statement."""
    places = asked.places[:SHOWN] or (Place("statements", 0),)
    return rule.on(
        "statements", f"{said(asked)} {what}", severity=severity, routes=asked.routes, key=fingerprint(asked.text),
        evidence=tuple(Evidence(each, "sent from here" if each.line else f"{asked.rows:,} rows in all") for each in
                       places),
        gain=f"{asked.total_ms / 1000:,.1f} s of the server's time since the counters began",
        risk="none in looking at its plan; EXPLAIN (ANALYZE) executes it",
    )  # fmt: skip


RULE = LiveRule(
    id="H531",
    name="slow-statement",
    finds="A statement that takes longer than --slow-ms (100) on average, in five calls or more.",
    why="Its request waits, and holds a connection meanwhile: ten such at once and a pool of ten is empty.",
    fix="Look at its plan with EXPLAIN (ANALYZE, BUFFERS); an index that it lacks is a finding of its own.",
    leaves_alone=("Statements that were called fewer than five times.", "VACUUM, DDL and COPY."),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
