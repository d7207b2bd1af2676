"""What came out of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..output import Bar
from .scoring import RuleScore, Score

OURS = "ours"


@dataclass(frozen=True)
class Reached:
    """One tool's part.

    Attributes:
        seconds: Wall time by repository.
        raw: Against the labels as they are.
        amended: Against the labels with our amendments.
    """

    version: str
    seconds: Mapping[str, float]
    raw: Score
    amended: Score

    @property
    def total_seconds(self) -> float:
        """Of the whole corpus, one repository after the other."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        repositories: How many were looked at.
        amendments: How many were applied.
        tools: By name, ours first.
        absent: Why a peer is not among them, by name.
    """

    date: str
    command: str
    repositories: int
    amendments: int
    tools: Mapping[str, Reached]
    absent: Mapping[str, str]


def render_json(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole run as JSON, misses and wrong reports included."""
    document = {
        "date": result.date, "command": result.command, "repositories": result.repositories,
        "amendments": result.amendments, "absent": dict(result.absent),
        "tools": {name: _reached(each) for name, each in result.tools.items()},
        "bars": [asdict(bar) for bar in bars],
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _reached(reached: Reached) -> dict[str, Any]:
    return {
        "version": reached.version, "seconds": {name: round(each, 3) for name, each in reached.seconds.items()},
        "raw": _score(reached.raw), "amended": _score(reached.amended),
    }  # fmt: skip


def _score(score: Score) -> dict[str, Any]:
    return {
        "rules": {rule: _rule(each) for rule, each in score.rules.items()},
        "all": _rule(score.total),
        "missed": [{"repo": repo, **asdict(label)} for repo, label in score.missed],
        "wrong": [asdict(row) for row in score.wrong],
    }


def _rule(rule: RuleScore) -> dict[str, Any]:
    return {
        "labels": rule.labels, "hit": rule.hit, "recall": rule.recall, "macro": rule.macro, "right": rule.right,
        "wrong": rule.wrong, "precision": rule.precision, "traps": rule.traps,
    }  # fmt: skip
