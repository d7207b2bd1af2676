"""What came out of a run, for the renderers: rows of spreads, and all that says how far to trust them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..noise import Noise
from ..spread import Spread, spread
from .rounds import Outcome, Plan
from .subjects import OURS, Subject

LOUD_ROUNDS = 1.5  # the slowest round of a checkout over the quickest, for the typical subject


@dataclass(frozen=True)
class Row:
    """One subject's figures by name; one that could not be measured is not there."""

    key: str
    label: str
    figures: Mapping[str, Spread]

    @property
    def is_ours(self) -> bool:
        """Whether it is the project's own pool."""
        return self.key in OURS

    def median(self, name: str) -> float | None:
        """Return the median of a figure, or None."""
        return self.figures[name].median if name in self.figures else None

    def high(self, name: str) -> float | None:
        """Return the most that any round had, or None."""
        return self.figures[name].high if name in self.figures else None


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        date: ISO.
        command: what to type to measure again.
        machine: as the demo's report describes it.
        versions: of the packages that were compared.
        plan: how much was measured.
        noise: what disturbed it.
        rows: in the order of the subjects.
        left_out: label to reason.
        problems: single measurements that failed.
    """

    date: str
    command: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    plan: Plan
    noise: Noise
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    problems: Sequence[str]

    def row(self, key: str) -> Row | None:
        """Return a subject's row, if it was measured."""
        return next((row for row in self.rows if row.key == key), None)

    def ratio(self, row: Row, name: str, to: str = "ours") -> float | None:
        """Return a figure as a multiple of another subject's."""
        base = self.row(to)
        above, below = row.median(name), base.median(name) if base else None
        return above / below if above is not None and below else None

    def is_within_limit(self, row: Row) -> bool:
        """Tell whether a pool never had more backends than it was told to."""
        most = row.high("backends")
        return most is not None and most <= self.plan.size

    def unrest(self) -> float:
        """Return how much the rounds differ: the slowest over the quickest checkout, of the typical subject."""
        ratios = sorted(
            row.figures["checkout_us"].high / row.figures["checkout_us"].low
            for row in self.rows
            if "checkout_us" in row.figures
        )
        return ratios[len(ratios) // 2] if ratios else 1.0

    def noise_line(self) -> str:
        """Say how quiet it was, as the machine and as the rounds show it."""
        said = self.noise.verdict()
        if self.unrest() > LOUD_ROUNDS:
            said += f"; UNSTEADY: the rounds of one subject differ by x {self.unrest():.1f}"
        return said


def rows(subjects: Sequence[Subject], outcome: Outcome) -> tuple[Row, ...]:
    """Return a row for each subject that was measured."""
    return tuple(
        Row(subject.key, subject.label, {name: spread(values) for name, values in figures.items()})
        for subject in subjects
        if (figures := outcome.measured.get(subject.key))
    )


def render_json(result: Result, bars: Sequence[Any]) -> str:
    """Return the whole run as JSON, each round included."""
    document = {
        "date": result.date,
        "command": result.command,
        "machine": result.machine,
        "versions": result.versions,
        "noise": {**asdict(result.noise), "unrest": result.unrest(), "verdict": result.noise_line()},
        "settings": asdict(result.plan),
        "subjects": [asdict(row) for row in result.rows],
        "bars": [asdict(bar) for bar in bars],
        "left_out": result.left_out,
        "problems": result.problems,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
