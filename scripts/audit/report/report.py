"""What every format is made of: the findings, and the figures about them, worked out once.

Everything here is a function of its input: no clock and no path of this machine. Same code, same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..finding import Finding, Severity
from ..rule import Rule
from ..run import Result
from ..score import Step, score, steps
from ..sources import Sources

GRADES = tuple(sorted(Severity, reverse=True))


@dataclass(frozen=True)
class Report:
    """One audit.

    Attributes:
        name: Of what was audited; the last part of its path.
        shown: The findings of this report: some are known, or not sure enough.
        rules: Those that looked.
        notes: What else is to be said, one line each.
    """

    name: str
    result: Result
    shown: tuple[Finding, ...]
    rules: Sequence[Rule]
    notes: tuple[str, ...] = ()

    @property
    def sources(self) -> Sources:
        """The lines of the code."""
        return self.result.sources

    @cached_property
    def score(self) -> int:
        """The readiness score of everything that is shown."""
        return score(self.shown)

    @cached_property
    def steps(self) -> list[Step]:
        """What to do, the most urgent first."""
        return steps(self.shown, self.result.routes)

    @cached_property
    def by_severity(self) -> dict[Severity, int]:
        """How many findings there are of each severity, the worst first."""
        found = Counter(each.severity for each in self.shown)
        return {grade: found[grade] for grade in GRADES}

    @cached_property
    def by_rule(self) -> dict[str, int]:
        """How many findings each rule has, by slug; the most first."""
        return _most(each.name for each in self.shown)

    @cached_property
    def by_file(self) -> dict[str, int]:
        """How many findings each file has; the most first."""
        return _most(each.place.path for each in self.shown)

    @cached_property
    def by_route(self) -> dict[str, int]:
        """How many findings are on the way of each URL; the most first."""
        return _most(name for each in self.shown for name in each.routes)

    def rule(self, finding: Finding) -> Rule | None:
        """Return a finding's rule."""
        return next((rule for rule in self.rules if rule.id == finding.rule), None)


def _most(names: Iterable[str]) -> dict[str, int]:
    found = Counter(names)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def numbered(count: int, one: str, many: str = "") -> str:
    """Write a number of things: 1 file, 2 files."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
