"""Recall and precision of a tool's reports against the labels.

A report hits a label of the same repository and rule when its lines touch the label's statement, or one of the
places where a report is equally right; for rules about a whole function, when they touch that function. A report
that hits only a neutral label counts for nothing; one that hits no label is wrong. Were this laxer than a reader
would be, every figure of the audit's proof would be worth nothing, so the rules here have a test each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .labels import Label, Repository

FUNCTION_WIDE = frozenset({"leaked-connection", "missing-rollback"})
SUMMED = ("labels", "hit", "right", "wrong", "traps")
LEFT_OUT = frozenset({"query-in-loop", "missing-commit"})  # of the totals


@dataclass(frozen=True)
class Row:
    """One report of a tool."""

    repo: str
    path: str
    line: int
    end: int
    rule: str


@dataclass(frozen=True)
class RuleScore:
    """What a tool reached for a rule.

    Attributes:
        labels: What there is to find.
        hit: How much of it was found.
        shares: The share that was found in each repository that has any.
        right: Reports that hit a label.
        wrong: Reports that hit none, nor a neutral one.
        traps: Those among the wrong ones that a trap was laid for.
    """

    rule: str
    labels: int = 0
    hit: int = 0
    shares: tuple[float, ...] = ()
    right: int = 0
    wrong: int = 0
    traps: int = 0

    @property
    def recall(self) -> float | None:
        """The share of all labels that was found."""
        return self.hit / self.labels if self.labels else None

    @property
    def macro(self) -> float | None:
        """The mean of the repositories' shares: one with many like findings does not decide it."""
        return sum(self.shares) / len(self.shares) if self.shares else None

    @property
    def precision(self) -> float | None:
        """The share of right ones among the reports that count."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None


@dataclass(frozen=True)
class Score:
    """What a tool reached on a corpus.

    Attributes:
        rules: By slug, those that the corpus has.
        missed: Labels that no report hit, with their repository.
        wrong: Reports that hit nothing.
    """

    rules: dict[str, RuleScore]
    missed: tuple[tuple[str, Label], ...] = field(default=())
    wrong: tuple[Row, ...] = field(default=())

    @property
    def total(self) -> RuleScore:
        """All rules that count, as one; its macro stays empty."""
        kept = [each for rule, each in self.rules.items() if rule not in LEFT_OUT]
        sums = {name: sum(getattr(each, name) for each in kept) for name in SUMMED}
        return RuleScore("all", **sums)


def score(repositories: Sequence[Repository], rows: Iterable[Row]) -> Score:
    """Return what the reports are worth; those of a rule that no label has are left out."""
    by_repository: dict[str, list[Row]] = {}
    for row in rows:
        by_repository.setdefault(row.repo, []).append(row)
    rules = sorted({label.rule for each in repositories for label in each.findings})
    missed, wrong = [], []
    for each in repositories:
        reports = by_repository.get(each.name, [])
        missed += [(each.name, label) for label in each.findings if not _is_hit(label, reports)]
        wrong += [row for row in reports if row.rule in rules and _is_wrong(row, each)]
    found = {rule: _of_rule(rule, repositories, by_repository) for rule in rules}
    return Score(found, tuple(missed), tuple(wrong))


def _of_rule(rule: str, repositories: Sequence[Repository], reports: dict[str, list[Row]]) -> RuleScore:
    labels = hit = right = wrong = traps = 0
    shares = []
    for each in repositories:
        rows = [row for row in reports.get(each.name, []) if row.rule == rule]
        wanted = [label for label in each.findings if label.rule == rule]
        found = sum(_is_hit(label, rows) for label in wanted)
        labels, hit = labels + len(wanted), hit + found
        if wanted:
            shares.append(found / len(wanted))
        right += sum(_hits_any(row, each.findings) for row in rows)
        bad = [row for row in rows if _is_wrong(row, each)]
        wrong += len(bad)
        traps += sum(_hits_any(row, each.traps) for row in bad)
    return RuleScore(rule, labels, hit, tuple(shares), right, wrong, traps)


def _is_hit(label: Label, rows: Iterable[Row]) -> bool:
    return any(touches(row, label) for row in rows)


def _hits_any(row: Row, labels: Iterable[Label]) -> bool:
    return any(touches(row, label) for label in labels)


def _is_wrong(row: Row, repository: Repository) -> bool:
    return not _hits_any(row, repository.findings) and not _hits_any(row, repository.neutral)


def touches(row: Row, label: Label) -> bool:
    """Whether a report is about a label."""
    if row.rule != label.rule:
        return False
    stretches = _stretches(label)
    return any(path == row.path and row.line <= last and first <= row.end for path, first, last in stretches)


def _stretches(label: Label) -> Iterator[tuple[str, int, int]]:
    """Yield where a report of it may stand, as path, first and last line."""
    yield label.path, label.first, label.last
    if label.span and label.rule in FUNCTION_WIDE:
        yield label.path, *label.span
    for path, line in label.also:
        yield path, line, line
