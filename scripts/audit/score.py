"""The readiness score, 0 to 100, and what to mend first.

Each rule that finds something takes a share of the score: half of its cap for one finding of its worst grade, and
closer to the whole cap with each further one. Caps at least halve from grade to grade, so mending a finding never
lowers the score; and as a rule has a cap, a large project loses no more by a habit than twice what one slip costs.
The lines of code do not count: an application with an open door is as open in 100 files as in one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .finding import Confidence, Finding, Severity

CAPS = {Severity.critical: 0.5, Severity.high: 0.25, Severity.medium: 0.12, Severity.low: 0.04}
WEIGHTS = {Severity.critical: 8.0, Severity.high: 4.0, Severity.medium: 1.5, Severity.low: 0.5}
FIRST = 3
EVERY = "*"  # a route's name that stands for all of them


def score(findings: Iterable[Finding]) -> int:
    """Return the score; 100 only where nothing is found."""
    by_rule: dict[str, list[Severity]] = {}
    for each in findings:
        by_rule.setdefault(each.rule, []).append(_grade(each))
    left = math.prod(1 - _share(by_rule[rule]) for rule in sorted(by_rule))
    return math.floor(100 * left + 1e-9)


def _grade(finding: Finding) -> Severity:
    """Return the severity that counts: one step less where the rule is not sure."""
    if finding.confidence > Confidence.low or finding.severity == Severity.low:
        return finding.severity
    return Severity(finding.severity - 1)


def _share(grades: Sequence[Severity]) -> float:
    """Return what one rule takes of the score, as a share of 1."""
    worst = max(grades)
    total = sum(WEIGHTS[each] for each in grades)
    return CAPS[worst] * total / (total + WEIGHTS[worst])


@dataclass(frozen=True)
class Step:
    """One rule's findings, as one thing to do.

    Attributes:
        routes: How many URLs they are on the way of.
        after: The score when they are mended.
    """

    findings: tuple[Finding, ...]
    routes: int
    after: int

    @cached_property
    def worst(self) -> Finding:
        """The finding to begin with."""
        return min(
            self.findings, key=lambda each: (-each.severity, -each.confidence, -len(each.routes), each.place)
        )

    @property
    def gains(self) -> list[str]:
        """What mending them brings, each once."""
        return list(dict.fromkeys(each.gain for each in self.findings if each.gain))


def steps(findings: Sequence[Finding], routes: int) -> list[Step]:
    """Return what there is to do, the most urgent first: by grade, then by routes.

    Args:
        routes: Of the whole project.
    """
    by_rule: dict[str, list[Finding]] = {}
    for each in findings:
        by_rule.setdefault(each.rule, []).append(each)
    found = [(_urgency(each, routes), rule, each) for rule, each in by_rule.items()]
    return [
        Step(tuple(each), reached(each, routes), score(other for other in findings if other.rule != rule))
        for _, rule, each in sorted(found, key=lambda item: (*(-each for each in item[0]), item[1]))
    ]


def _urgency(findings: Sequence[Finding], routes: int) -> tuple[int, int, int]:
    return max(map(_grade, findings)), reached(findings, routes), len(findings)


def reached(findings: Iterable[Finding], routes: int) -> int:
    """Return how many URLs findings are on the way of."""
    names = {name for each in findings for name in each.routes}
    return routes if EVERY in names else len(names)
