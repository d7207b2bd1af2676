"""Chaos on hosts: cables and power are cut while people pay, and no acknowledged payment is lost or doubled.

HARDEN_LAB_CHAOS=20 has that many runs; HARDEN_LAB_SEED=N draws the same faults again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from scripts.chaos.figures import by_fault, totals
from scripts.chaos.people import Books
from scripts.chaos.running import Run, one_run

from . import chaotic
from .deployed import Service
from .lab import Lab

SEED = int(os.environ.get("HARDEN_LAB_SEED") or random.SystemRandom().randrange(10**6))
RUNS = int(os.environ.get("HARDEN_LAB_CHAOS") or 3)
SECONDS = 8.0  # of faults in each run
Tell = Callable[[str], None]


def told(runs: list[Run]) -> list[str]:
    """Return the figures, a line each."""
    lines = [
        f"{each.fault} x {each.times}: {each.requests:,} requests, {each.failed} failed, {each.unknown} without "
        f"an answer, slowest {each.longest:.1f} s, nobody served for {each.gap:.1f} s, "
        f"last error {each.recovery:.1f} s after it"
        for each in by_fault(runs)
    ]
    found = totals(runs)
    return [*lines, ", ".join(f"{name} {value}" for name, value in found.items())]


def test_no_acknowledged_payment_is_lost_or_doubled_whatever_is_cut(
    two: tuple[Service, Service], empty_lab: Lab, tell: Tell, patience: Callable[[float], None]
) -> None:
    patience(300.0 + 120.0 * RUNS)
    app, database = two
    place, books, runs = chaotic.place(app, database), Books(), list[Run]()
    tell(f"{RUNS} runs, HARDEN_LAB_SEED={SEED}")
    for number in range(RUNS):
        with empty_lab.inside():  # people's threads begin where this one is
            runs.append(one_run(place, books, SEED + number, chaotic.FAULTS, SECONDS, lambda _: None))
        tell(f"seed {SEED + number}: {', '.join(span.fault for span in runs[-1].spans)}")
        if runs[-1].broken:
            pytest.fail(f"seed {SEED + number}: {runs[-1].broken}\n{app.why()}")
    for line in told(runs):
        tell(line)
    assert sum(event.kind == "acknowledged" for run in runs for event in run.events) > 50
    assert app.disorder() == []
