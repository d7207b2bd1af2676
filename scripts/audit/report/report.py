"""What every format is made of: the findings, and the figures about them, worked out once.

Everything here is a function of its input: no clock and no path of this machine. Same code, same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ..finding import Finding, Severity
from ..fingerprints import Fingerprint
from ..model.project import Broken
from ..rule import Rule
from ..score import Step, score, steps
from ..sources import Sources

GRADES = tuple(sorted(Severity, reverse=True))


class Examined(Protocol):
    """What was looked at: the part of an audit's result, or of the doctor's, that reports show."""

    @property
    def broken(self) -> Sequence[Broken]:
        """What could not be read."""

    @property
    def routes(self) -> int:
        """How many URLs there are."""

    @property
    def sources(self) -> Sources:
        """The lines of the code."""

    @property
    def figures(self) -> Mapping[str, int]:
        """How much was looked at: "files", "lines", ..., in plural."""

    def fingerprint(self, finding: Finding) -> Fingerprint:
        """Return what stays of a finding from run to run."""


@dataclass(frozen=True)
class Report:
    """One audit, or one look at a database.

    Attributes:
        name: Of what was audited; the last part of its path, or the database.
        shown: The findings of this report: some are known, or not sure enough.
        rules: Those that looked.
        notes: What else is to be said, one line each.
    """

    name: str
    result: Examined
    shown: tuple[Finding, ...]
    rules: Sequence[Rule]
    notes: tuple[str, ...] = ()
    tool: str = "harden audit"

    @property
    def amount(self) -> str:
        """How much was looked at, as "3 files, 120 lines"; routes have their own places."""
        figures = self.result.figures.items()
        return ", ".join(numbered(count, _one(name), name) for name, count in figures if name != "routes")

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


def _one(things: str) -> str:
    return "index" if things == "indexes" else things.removesuffix("s")


def _most(names: Iterable[str]) -> dict[str, int]:
    found = Counter(names)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def numbered(count: int, one: str, many: str = "") -> str:
    """Write a number of things: 1 file, 2 files."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
