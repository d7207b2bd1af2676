"""What each step brings, over everything else: ratios of cells that differ in one word alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .configs import Config
from .measure import Cell

STEPS = (
    ("Gunicorn gthread instead of the development server", "server", "dev", "gthread"),
    ("gthread instead of sync workers", "server", "sync", "gthread"),
    ("gevent instead of gthread", "server", "gthread", "gevent"),
    ("psycopg2's pool instead of none", "pool", "none", "psycopg2"),
    ("our pool instead of none", "pool", "none", "ours"),
    ("our pool instead of psycopg2's", "pool", "psycopg2", "ours"),
    ("PgBouncer (transaction) before it", "path", "direct", "transaction"),
    ("one query instead of 1 + 3N", "queries", "loop", "batched"),
)


@dataclass(frozen=True)
class Effect:
    """One step over all pairs of cells: throughput after / before.

    Attributes:
        median, low, high: of the ratios.
        pairs: how many there were.
        errors_before, errors_after: share of failed requests, of all pairs' requests.
    """

    text: str
    median: float
    low: float
    high: float
    pairs: int
    errors_before: float
    errors_after: float


def effects(cells: Sequence[Cell]) -> list[Effect]:
    """Return what each step brought; steps without a pair are left out."""
    by_config = {cell.config: cell for cell in cells}
    found = []
    for text, word, before, after in STEPS:
        pairs = [
            (by_config[config], by_config[other])
            for config in by_config
            if getattr(config, word) == before and (other := _with(config, word, after)) in by_config
        ]
        ratios = [new.rps / old.rps for old, new in pairs if old.rps]
        if ratios:
            found.append(Effect(
                text, statistics.median(ratios), min(ratios), max(ratios), len(ratios),
                _errors([old for old, _ in pairs]), _errors([new for _, new in pairs]),
            ))  # fmt: skip
    return found


def _with(config: Config, word: str, value: str) -> Config:
    return replace(config, **{word: value})


def _errors(cells: Sequence[Cell]) -> float:
    return sum(cell.errors for cell in cells) / max(sum(cell.requests for cell in cells), 1)
