"""What each step brings, over everything else: ratios of cells that differ in one word alone.

A cell that fails requests is left out: what an error takes says nothing about an answer.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .configs import Config
from .measure import Cell

MOST_FAILED = 0.01  # share of the requests
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
        left_out: pairs in which one cell failed requests.
    """

    text: str
    median: float
    low: float
    high: float
    pairs: int
    left_out: int


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
        ratios = [new.rps / old.rps for old, new in pairs if _answers(old) and _answers(new)]
        if ratios:
            left_out = len(pairs) - len(ratios)
            found.append(Effect(text, statistics.median(ratios), min(ratios), max(ratios), len(ratios), left_out))
    return found


def _with(config: Config, word: str, value: str) -> Config:
    return replace(config, **{word: value})


def _answers(cell: Cell) -> bool:
    return cell.rps > 0 and cell.errors <= MOST_FAILED * cell.requests
