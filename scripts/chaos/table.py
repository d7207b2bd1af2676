"""The text: what was promised and kept, by fault and in all, and how to repeat a run that broke a promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..demo.report.figures import measured
from .faults import FAULTS
from .figures import by_fault, totals
from .running import Run


def lines(runs: Sequence[Run], seconds: float, faults: str = "") -> Iterator[str]:
    """Yield the report's lines.

    Args:
        faults: as they were asked for, "" for all; for the command that repeats a run.
    """
    only = f" --faults {faults}" if faults else ""
    yield f"{'fault, alone':46}{'times':>7}{'requests':>10}{'failed':>8}{'unknown':>9}{'slowest s':>11}" \
          f"{'no answer s':>13}{'recovery s':>12}"  # fmt: skip
    for each in by_fault(runs):
        yield (
            f"{FAULTS[each.fault].says[:45]:46}{each.times:>7}{each.requests:>10,}{each.failed:>8}{each.unknown:>9}"
            f"{measured(each.longest):>11}{measured(each.gap):>13}{measured(each.recovery):>12}"
        )
    found = totals(runs)
    yield ""
    yield (
        f"{found['runs']} runs, {found['faults']} faults, {found['requests']:,} requests: "
        f"{found['acknowledged']:,} payments acknowledged, {found['read']:,} right reads, "
        f"{found['failed']:,} answered with an error, {found['unknown']:,} without an answer, "
        f"{found['rejected']:,} invalid ones rejected, {found['refused']} valid ones refused"
    )
    yield (
        f"late: {found['late_1s']:,} over 1 s, {found['late_5s']:,} over 5 s; back after "
        f"{found['slowest_back']:.1f} s at most"
    )
    yield (
        f"of the payments without an answer {found['unknown_in_database']} are in the database, of those answered "
        f"with an error {found['failed_in_database']}"
    )
    yield f"reads of /api/me without a payment that was just acknowledged: {found['stale_me']}"
    for what, count in found["what"].items():
        yield f"  {count:>6} x {what}"
    for run in runs:
        for sentence in run.broken:
            yield f"BROKEN in the run of seed {run.seed}: {sentence}"
            yield f"    repeat it: scripts/harden chaos --runs 1 --seed {run.seed} --seconds {seconds:g}{only}"
    kept = found["runs"] - found["broken_runs"]
    yield f"{kept} of {found['runs']} runs kept every promise"
