"""What the audit has to reach on the labels as they are: an amendment of ours helps it over no bar."""

from __future__ import annotations

from collections.abc import Iterator

from ..output import Bar
from .scoring import Score

MACRO = {
    "n-plus-one": 0.90, "connect-per-request": 0.97, "leaked-connection": 0.97, "global-shared-connection": 0.97,
    "sql-injection": 0.98, "hardcoded-credentials": 0.90, "debug-on": 0.97, "dev-server": 0.97,
    "unbounded-select": 0.85, "missing-rollback": 0.80,
}  # fmt: skip
PRECISION = 0.95
TRAPS = 2


def judge(score: Score) -> list[Bar]:
    """Return every bar that this corpus can judge."""
    return [*_recalls(score), *_reports(score)]


def _recalls(score: Score) -> Iterator[Bar]:
    for rule, least in MACRO.items():
        found = score.rules.get(rule)
        if found is not None and found.macro is not None:
            text = f"{rule}: recall over the repositories at least {least:.2f}"
            yield Bar(text, f"{found.macro:.3f} ({found.hit} of {found.labels})", found.macro >= least)


def _reports(score: Score) -> Iterator[Bar]:
    total = score.total
    if total.precision is not None:
        reached = f"{total.precision:.3f} ({total.wrong} wrong of {total.right + total.wrong})"
        yield Bar(f"precision over all rules at least {PRECISION:.2f}", reached, total.precision >= PRECISION)
    yield Bar(f"traps at most {TRAPS}", str(total.traps), total.traps <= TRAPS)
